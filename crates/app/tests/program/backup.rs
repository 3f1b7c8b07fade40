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

#[test]
#[cfg(unix)]
fn a_backup_through_a_link_contains_what_the_server_has_not_moved_to_the_file_yet() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(first.path().join("data")).unwrap();
    fs::write(first.path().join("data/real.db"), "").unwrap();
    std::os::unix::fs::symlink("data/real.db", first.path().join("greenroom.db")).unwrap();
    let server = Greenroom::start(first.path());
    let token = server.log_in();
    server.request("POST", "/rooms", &token, r#"{"name":"tea"}"#);
    let backup = second.path().join("backup");
    let made = run(first.path(), &["backup", backup.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let restored = run(second.path(), &["restore", "backup"]);
    assert!(restored.status.success(), "{restored:?}");
    let server = Greenroom::start(second.path());
    let rooms = server.request("GET", "/rooms", &token, "");
    assert!(rooms.contains("tea"), "{rooms}");
}

#[test]
fn a_restore_is_refused_beside_a_file_with_changes_of_an_old_database() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Greenroom::start(folder.path()).terminate());
    assert!(run(folder.path(), &["backup", "a"]).status.success());
    let other = tempfile::tempdir().unwrap();
    let source = folder.path().join("a");
    fs::write(other.path().join("greenroom.db-wal"), "old").unwrap();
    let restored = run(other.path(), &["restore", source.to_str().unwrap()]);
    assert_refused(&restored, "greenroom.db-wal exists");
    fs::remove_file(other.path().join("greenroom.db-wal")).unwrap();
    // The top folder of a file system often contains `lost+found`.
    fs::create_dir_all(other.path().join("agents/lost+found")).unwrap();
    let restored = run(other.path(), &["restore", source.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    assert!(Greenroom::start(other.path()).terminate());
}

#[test]
#[cfg(unix)]
fn a_backup_reports_what_it_cannot_copy_and_copies_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Greenroom::start(folder.path()).terminate());
    let agents = folder.path().join("agents");
    std::os::unix::fs::symlink("/nowhere", agents.join("a link")).unwrap();
    let inside = agents.join("backup");
    assert_refused(
        &run(folder.path(), &["backup", inside.to_str().unwrap()]),
        "inside the agents",
    );
    assert!(!inside.exists());
    let made = run(folder.path(), &["backup", "a"]);
    assert!(made.status.success(), "{made:?}");
    let text = String::from_utf8_lossy(&made.stdout);
    assert!(
        text.contains("a link: a link out of the agents' folder"),
        "{text}"
    );
    let link = folder.path().join("a/agents/a link");
    assert_eq!(fs::read_link(link).unwrap(), Path::new("/nowhere"));
}
