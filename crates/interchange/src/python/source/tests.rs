use std::fs;

use super::*;

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 1];

fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_groups_settings_are_read_and_each_other_line_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let text = "priority: 3\ninterrupt_every_turn: true\nmood: 9\ntransparent: 1 # ?\n";
    write(folder.path(), "group_g/group_config.yaml", text);
    write(folder.path(), "group_g/group.yaml", "priority: 9\n");
    write(folder.path(), "group_CON/Ada/in_a_nutshell.md", "x");
    let mut report = Report::default();
    let source = Source::open(folder.path(), &mut report).unwrap();
    let wanted = GroupDefaults {
        interrupt_every_turn: Some(true),
        priority: Some(3),
        transparent: None,
    };
    assert_eq!(source.groups()[0].defaults, wanted);
    let lines = report.lines.join("\n");
    for part in [
        "left out with its agents: \"CON\" is not a valid group name",
        "group.yaml: left out: Greenroom uses this file name itself",
        "line 3: mood: 9",
        "line 4: transparent: 1",
        "comments are left out",
    ] {
        assert!(lines.contains(part), "{part} is not in\n{lines}");
    }
    assert_eq!(report.lines.len(), 5, "{lines}");
}

#[test]
fn an_agent_is_read_with_its_best_picture_and_other_files() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "agents/Ada/in_a_nutshell.md", "a");
    write(folder.path(), "agents/Ada/zed.png", PNG);
    write(folder.path(), "agents/Ada/Avatar.jpg", PNG);
    write(folder.path(), "agents/Ada/anti_pattern.md", "never");
    write(folder.path(), "agents/Ada/.hidden", "x");
    let mut report = Report::default();
    let source = Source::open(folder.path(), &mut report).unwrap();
    let defaults = GroupDefaults {
        priority: Some(2),
        ..GroupDefaults::default()
    };
    let agent = source.agents()[0].read(&defaults, &mut report).unwrap();
    assert_eq!(agent.config.priority, 2);
    assert_eq!(agent.config.profile_pic.as_deref(), Some("Avatar.jpg"));
    let names: Vec<_> = agent.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Avatar.jpg", "zed.png", "anti_pattern.md"]);
    assert_eq!(report.lines.len(), 3, "{:#?}", report.lines);
}

#[test]
fn a_folder_that_is_no_agents_is_skipped_with_a_line() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "CON/in_a_nutshell.md", "x");
    write(folder.path(), "Empty/readme.md", "x");
    let mut report = Report::default();
    let source = Source::open(folder.path(), &mut report).unwrap();
    for agent in source.agents() {
        let read = agent.read(&GroupDefaults::default(), &mut report);
        assert_eq!(read, None);
    }
    assert_eq!((report.skipped, report.lines.len()), (2, 2));
}
