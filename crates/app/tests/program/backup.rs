//! `greenroom backup` and `greenroom restore`.

use std::{fs, path::Path, process::Output};

use crate::server::{Greenroom, command};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder).args(arguments).output().unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, why: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(why), "{output:?}");
}

#[test]
fn a_backup_of_a_running_server_is_restored_with_passwords_and_agents() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Greenroom::start(first.path());
    let token = server.log_in();
    server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
    let message = r#"{"content":"kept","role":"user"}"#;
    server.request("POST", "/rooms/1/messages/send", &token, message);
    let backup = second.path().join("backup");
    let made = run(first.path(), &["backup", backup.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let message = r#"{"content":"too late","role":"user"}"#;
    server.request("POST", "/rooms/1/messages/send", &token, message);
    drop(server);
    let restored = run(second.path(), &["restore", "backup"]);
    assert!(restored.status.success(), "{restored:?}");
    let text = String::from_utf8_lossy(&restored.stdout);
    assert!(text.contains("restored a database of"), "{text}");
    let server = Greenroom::start(second.path());
    assert_eq!(server.password, None, "the password is restored");
    let messages = server.request("GET", "/rooms/1/messages", &token, "");
    assert!(
        messages.contains("kept") && !messages.contains("too late"),
        "{messages}"
    );
    let original = fs::read_dir(first.path().join("agents")).unwrap().count();
    let copy = fs::read_dir(second.path().join("agents")).unwrap().count();
    assert!(original > 1 && copy == original, "{copy} of {original}");
}

#[test]
fn a_backup_overwrites_nothing_and_neither_does_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(&run(folder.path(), &["backup", "a"]), "not found");
    assert!(Greenroom::start(folder.path()).terminate());
    assert!(run(folder.path(), &["backup", "a"]).status.success());
    assert_refused(&run(folder.path(), &["backup", "a"]), "a exists");
    assert_refused(&run(folder.path(), &["restore", "a"]), "exists");
    assert_refused(&run(folder.path(), &["restore", "agents"]), "not found");
    // A backup without its manifest is incomplete.
    fs::remove_file(folder.path().join("a/backup.yaml")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let source = folder.path().join("a");
    let restored = run(elsewhere.path(), &["restore", source.to_str().unwrap()]);
    assert_refused(&restored, "not found");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
