//! `greenroom import` and `greenroom export`.

use std::fs;

use crate::server::command;

#[test]
fn a_python_servers_agents_are_imported_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("theirs/agents/group_모임/하늘");
    fs::create_dir_all(&agent).unwrap();
    fs::write(agent.join("in_a_nutshell.md"), "우산 수리점의 주인").unwrap();
    fs::write(agent.join("anti_pattern.md"), "x").unwrap();
    let run = |arguments: &[&str]| {
        let output = command(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let report = run(&["import", "theirs", "--dry-run"]);
    assert!(
        report.contains("anti_pattern.md: kept unchanged")
            && report.contains("1 agents would be imported"),
        "{report}"
    );
    assert!(!folder.path().join("agents").exists());
    assert!(run(&["import", "theirs"]).contains("1 agents imported"));
    assert!(folder.path().join("agents/모임/하늘/agent.yaml").exists());
    assert!(run(&["import", "theirs"]).contains("0 agents imported, 1 unchanged"));
    assert!(run(&["export", "back"]).contains("1 agents exported"));
    assert_eq!(
        fs::read_to_string(folder.path().join("back/group_모임/하늘/in_a_nutshell.md")).unwrap(),
        "우산 수리점의 주인"
    );
    assert_eq!(run(&["check"]), "no problems found\n");
}
