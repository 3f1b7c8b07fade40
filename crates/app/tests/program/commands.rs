//! `--help`, and messages about wrong settings.

use std::fs;

use crate::server::command;

#[test]
fn unknown_settings_are_refused_by_name_and_help_names_them_all() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("greenroom.yaml"), "lissten: 1\n").unwrap();
    let refused = command(folder.path())
        .args(["check", "--config", "greenroom.yaml"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("lissten"));
    let help = command(folder.path()).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for name in [
        "--listen",
        "--database",
        "--agents",
        "--preset",
        "--ttl",
        "--capacity",
        "--config",
        "--no-samples",
        "GREENROOM_LISTEN",
    ] {
        assert!(help.contains(name), "{name} is not in:\n{help}");
    }
    // `--help` must show the defaults that are in force.
    for default in ["127.0.0.1:8001", "1000", "4194304", "100ms", "30s"] {
        let shown = format!("[default: {default}]");
        assert!(help.contains(&shown), "{shown} is not in:\n{help}");
    }
}

#[test]
fn a_wrong_flag_is_refused_with_an_example_of_a_right_one() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, value, expected) in [
        (
            "--listen",
            "localhost",
            "must be an IP address and a port such as `127.0.0.1:8001`",
        ),
        ("--probe", "5", "must be a duration such as `30s`"),
        ("--preset", "fast", "must be `classic` or `coherent`"),
        ("--ttl", "room_obj", "must be REGION=VALUE"),
    ] {
        let refused = command(folder.path()).args([flag, value]).output().unwrap();
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && error.contains(flag) && error.contains(expected),
            "{error}"
        );
    }
}
