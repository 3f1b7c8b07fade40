use std::{collections::BTreeMap, fs};

use super::*;

const MEMORIES: [&str; 2] = ["consolidated_memory.md", "long_term_memory.md"];

const PNG: &[u8] = &[0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 1];

fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn start(folder: &Path) -> impl FnOnce() -> Result<AgentImport> {
    let folder = folder.to_path_buf();
    move || AgentImport::start(&folder)
}

fn dry_run(folder: &Path) -> impl FnOnce() -> Result<AgentImport> {
    let folder = folder.to_path_buf();
    move || AgentImport::dry_run(&folder)
}

fn import_from(
    from: &Path,
    open: impl FnOnce() -> Result<AgentImport>,
    progress: impl FnMut(usize, usize),
) -> Result<Report> {
    let mut report = Report::default();
    import(from, open, &mut report, progress)?;
    Ok(report)
}

fn export_to(from: &Path, to: &Path, progress: impl FnMut(usize, usize)) -> Result<Report> {
    let mut report = Report::default();
    export(from, to, &mut report, progress)?;
    Ok(report)
}

/// Returns every file below a folder, with its bytes.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(
                files(&path)
                    .into_iter()
                    .map(|(path, bytes)| (format!("{name}/{path}"), bytes)),
            );
        } else if name != ".lock" {
            found.insert(name.clone(), fs::read(root.join(&name)).unwrap());
        }
    }
    found
}

/// Writes a collection of realistic size: 61 agents, 60 of them in 24 groups.
fn collection(root: &Path) {
    for number in 0..60 {
        let agent = format!("agents/group_모임 {}/하늘 {number}", number % 24);
        write(
            root,
            &format!("{agent}/in_a_nutshell.md"),
            format!("우산 수리점의 주인 #{number}: \"밤\"\n"),
        );
        write(
            root,
            &format!("{agent}/characteristics.md"),
            "## 성격\n\n- 말이 느리다: 다정하다 \n\n\t끝\n".repeat(60),
        );
        let events = "- [2026-01-02] 빨간 우산\n  이어짐\n\n- [2026-02-03] # 둘\n- 날짜 없음\n";
        write(root, &format!("{agent}/recent_events.md"), events);
        let memories =
            "## [첫 우산]\n\n할머니\n\n### 다른 제목\n## 괄호 없음\n끝\n\n## [둘]\n짧다\n";
        write(root, &format!("{agent}/{}", MEMORIES[number % 2]), memories);
        write(root, &format!("{agent}/anti_pattern.md"), "하지 말 것\n");
        write(
            root,
            &format!("{agent}/avatar.png"),
            [PNG, &vec![7; 400_000]].concat(),
        );
    }
    for group in 0..24 {
        write(
            root,
            &format!("agents/group_모임 {group}/group_config.yaml"),
            "# 모임\npriority: 3\ninterrupt_every_turn: true\nmood: 9\n",
        );
        write(
            root,
            &format!("agents/group_모임 {group}/extreme_traits.yaml"),
            "하늘: 말이 없다\n",
        );
    }
    write(
        root,
        "agents/혼자/in_a_nutshell.md",
        "no newline at the end",
    );
}

#[test]
fn import_export_and_import_again_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    collection(&at("theirs"));
    let dry = import_from(&at("theirs"), dry_run(&at("ours")), |_, _| {}).unwrap();
    assert!(!at("ours").exists(), "a dry run writes nothing");
    let mut steps = Vec::new();
    let report = import_from(&at("theirs"), start(&at("ours")), |done, total| {
        steps.push((done, total));
    })
    .unwrap();
    assert_eq!(
        (report.written, report.skipped, &report),
        (61, 0, &dry),
        "{report:#?}"
    );
    assert_eq!((steps[0], steps[steps.len() - 1]), ((0, 61), (61, 61)));
    let ours = files(&at("ours"));
    let agent = String::from_utf8(ours["모임 1/하늘 1/agent.yaml"].clone()).unwrap();
    assert!(
        agent.starts_with(
            "# yaml-language-server: $schema=../../.schema/agent.json\nschema: 1\nin_a_nutshell: "
        ),
        "{agent}"
    );
    assert!(
        agent.contains("profile_pic: avatar.png") && !agent.contains("priority"),
        "{agent}"
    );
    let again = import_from(&at("theirs"), start(&at("ours")), |_, _| {}).unwrap();
    assert_eq!(
        (again.written, again.unchanged, again.skipped),
        (0, 61, 0),
        "{again:#?}"
    );
    assert_eq!(files(&at("ours")), ours, "a second run changes nothing");

    let exported = export_to(&at("ours"), &at("back"), |_, _| {}).unwrap();
    assert_eq!((exported.written, exported.skipped), (61, 0));
    let back = import_from(&at("back"), start(&at("ours again")), |_, _| {}).unwrap();
    assert_eq!((back.written, back.skipped), (61, 0));
    let (ours, again) = (files(&at("ours")), files(&at("ours again")));
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        again.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &ours {
        assert!(again[path] == *bytes, "{path} differs");
    }
}

#[test]
fn nothing_is_lost_without_a_line_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("theirs"), "Ada/in_a_nutshell.md", "\u{feff}a\r\nb");
    write(
        &at("theirs"),
        "Ada/recent_events.md",
        "# Recent\n- [2026-01-02] x\n- [soon] y\n",
    );
    write(
        &at("theirs"),
        "Ada/consolidated_memory.md",
        "before\n## [one]\n1\n",
    );
    write(&at("theirs"), "Ada/long_term_memory.md", "## [two]\n2\n");
    write(&at("theirs"), "Ada/notes.txt", "n");
    write(&at("theirs"), "Ada/zed.png", PNG);
    write(&at("theirs"), "Ada/Photo.jpg", PNG);
    write(&at("theirs"), "Ada/agent.yaml", "x");
    write(&at("theirs"), "Ada/sub/x.md", "x");
    write(&at("theirs"), "Empty/readme.md", "x");
    write(&at("theirs"), "CON/in_a_nutshell.md", "x");
    write(&at("theirs"), "loose.md", "x");
    write(
        &at("theirs"),
        "group_g/group_config.yaml",
        "priority: high\n",
    );
    write(&at("theirs"), "group_g/extreme_traits.yaml", "a: b");
    write(&at("theirs"), "group_g/Ada/in_a_nutshell.md", "another");
    let report = import_from(&at("theirs"), start(&at("ours")), |_, _| {}).unwrap();
    assert_eq!((report.written, report.skipped), (1, 3), "{report:#?}");
    for part in [
        "in_a_nutshell.md: line ends changed",
        "recent_events.md: the text before the first event",
        "consolidated_memory.md: the text before the first header",
        "long_term_memory.md: its memories are appended",
        "notes.txt: kept unchanged",
        "zed.png: kept unchanged",
        "Ada/agent.yaml: left out",
        "sub: left out",
        "Empty: left out: it has neither",
        "CON: left out: \"CON\" is not a valid agent name",
        "loose.md: left out",
        "group_config.yaml: left out: line 1: priority: high",
        "extreme_traits.yaml: kept unchanged",
        "group_g/Ada: left out: Ada/agent.yaml has this name already",
    ] {
        assert!(
            report.lines.iter().any(|line| line.contains(part)),
            "{part} is not in {:#?}",
            report.lines
        );
    }
    let ours = files(&at("ours"));
    let text = |path: &str| String::from_utf8(ours[path].clone()).unwrap();
    assert!(
        text("Ada/agent.yaml").contains("profile_pic: Photo.jpg")
            && text("Ada/agent.yaml").contains("in_a_nutshell: |-\n  a\n  b\n")
    );
    for part in ["# Recent", "[soon] y", "before", "title: one", "title: two"] {
        assert!(
            text("Ada/memory.yaml").contains(part),
            "{part} is not in {}",
            text("Ada/memory.yaml")
        );
    }
    assert_eq!(
        (text("Ada/notes.txt"), text("g/extreme_traits.yaml")),
        ("n".into(), "a: b".into())
    );
}

#[test]
fn existing_files_are_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("theirs"), "Ada/in_a_nutshell.md", "theirs");
    write(
        &at("ours"),
        "Ada/agent.yaml",
        "in_a_nutshell: mine # by hand\n",
    );
    write(&at("theirs"), "Bo/in_a_nutshell.md", "theirs");
    write(
        &at("ours"),
        "Bo/memory.yaml",
        "# by hand, in a folder of no agent\n",
    );
    let before = files(&at("ours"));
    let dry = import_from(&at("theirs"), dry_run(&at("ours")), |_, _| {}).unwrap();
    assert_eq!((dry.written, dry.skipped), (0, 2), "{dry:#?}");
    let report = import_from(&at("theirs"), start(&at("ours")), |_, _| {}).unwrap();
    assert_eq!(report, dry);
    let after = files(&at("ours"));
    for (path, bytes) in before {
        assert!(after[&path] == bytes, "{path} differs");
    }
    assert!(!after.contains_key("Bo/agent.yaml"));
    assert!(
        export_to(&at("ours"), &at("theirs"), |_, _| {}).is_err(),
        "nor by an export"
    );
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_read_are_left_out_and_reported_and_the_rest_is_imported() {
    use std::os::unix::{ffi::OsStrExt, fs::symlink};

    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let theirs = at("theirs/agents");
    write(&theirs, "Ada/in_a_nutshell.md", "good");
    let utf_16: Vec<u8> = "\u{feff}하늘"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write(&theirs, "Bo/in_a_nutshell.md", utf_16);
    write(&theirs, "Cy/in_a_nutshell.md", [0xb0, 0xa1, 0xc7]);
    write(&theirs, "Di/in_a_nutshell.md", "good");
    write(root.path(), "secret.txt", "secret");
    symlink(at("secret.txt"), theirs.join("Di/characteristics.md")).unwrap();
    symlink("nothing", theirs.join("Di/notes.txt")).unwrap();
    symlink(at("secret.txt"), theirs.join("Eve")).unwrap();
    symlink("loop", theirs.join("loop")).unwrap();
    let pipe = std::process::Command::new("mkfifo")
        .arg(theirs.join("Ada/pipe"))
        .status();
    assert!(pipe.unwrap().success());
    let odd = std::ffi::OsStr::from_bytes(&[0xb0, 0xa1]);
    fs::create_dir(theirs.join(odd)).unwrap();
    write(&theirs, "group_g/Fay/in_a_nutshell.md", "good");
    write(&theirs, "group_g/group_config.yaml", [0xff, 0x00]);

    let report = import_from(&at("theirs"), start(&at("ours")), |_, _| {}).unwrap();
    let expect = |path: &str, reason: &str| {
        let is_there = |line: &String| line.contains(path) && line.contains(reason);
        assert!(
            report.lines.iter().any(is_there),
            "{path}: {:#?}",
            report.lines
        );
    };
    expect("Cy", "neither UTF-8 nor UTF-16");
    expect("Di/characteristics.md", "a symbolic link");
    expect("Di/notes.txt", "a symbolic link");
    expect("Eve", "a symbolic link");
    expect("loop", "a symbolic link");
    expect("Ada/pipe", "neither a file nor a folder");
    expect("agents/", "not valid UTF-8");
    expect("group_g/group_config.yaml", "neither UTF-8");
    assert_eq!(
        (report.written, report.skipped),
        (4, 1),
        "{:#?}",
        report.lines
    );
    let imported = files(&at("ours"));
    assert!(
        imported
            .values()
            .all(|bytes| !bytes.windows(6).any(|text| text == b"secret")),
        "a link was followed"
    );
    let bo = String::from_utf8(imported["Bo/agent.yaml"].clone()).unwrap();
    assert!(bo.contains("하늘"), "{bo}");
}
