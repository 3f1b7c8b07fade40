//! Tests of edits by people, of changes by several processes, and of symbolic links.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use domain::Error;

use super::{append, change, create, event, path, persona, real, with_ada, write_ada};
use crate::{
    agent_files::persona::add_event,
    yaml::{AGENT, MEMORY},
};

/// The environment variable that passes the agents' folder to a child process.
const CHILD: &str = "GREENROOM_TEST_APPENDS";

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join("Ada").join(file)).unwrap()
}

#[test]
fn a_change_leaves_alone_what_people_wrote() {
    let root = with_ada();
    append(&real(root.path()), &path("Ada"), "new").unwrap();
    assert_eq!(
        read(root.path(), AGENT),
        "# by hand\nid: 1\ncharacteristics: old # so far\n"
    );
    assert_eq!(
        read(root.path(), MEMORY),
        "# what happened\nrecent_events:\n- text: old # long ago\n- text: new\n"
    );
    change(&real(root.path()), &path("Ada"), &path("Ada")).unwrap();
    assert_eq!(
        read(root.path(), AGENT),
        "# by hand\nid: 1\ncharacteristics: new # so far\n"
    );
}

#[test]
fn an_edit_by_hand_between_reading_and_writing_is_not_overwritten_in_either_file_however_soon() {
    // The edited text has the length of the original, and may be written within one tick of the
    // file system's clock. So only the content reveals the edit.
    for (file, by_hand) in [
        (MEMORY, "recent_events:\n- text: theirs\n"),
        (AGENT, "# by hand\nid: 1\ncharacteristics: new # so far\n"),
    ] {
        for is_staged_before in [true, false] {
            let root = with_ada();
            let folder = real(root.path());
            let lock = folder.lock().unwrap();
            let edit = add_event(&folder, &path("Ada"), event("ours")).unwrap();
            let edit_by_hand = || fs::write(root.path().join("Ada").join(file), by_hand).unwrap();
            if !is_staged_before {
                edit_by_hand();
            }
            let files = vec![(MEMORY.to_owned(), edit.memory.into_bytes())];
            let staged = folder
                .stage(&lock, &path("Ada"), edit.base, files, None)
                .unwrap();
            if is_staged_before {
                edit_by_hand();
            }
            assert!(
                matches!(folder.commit(&lock, staged), Err(Error::Conflict(_))),
                "{file}"
            );
            let other = if file == MEMORY { AGENT } else { MEMORY };
            assert_eq!(read(root.path(), file), by_hand);
            assert_eq!(read(root.path(), other), read(with_ada().path(), other));
        }
    }
}

#[test]
fn a_change_that_writes_nothing_is_refused_all_the_same_if_the_files_say_something_else_by_then() {
    let root = with_ada();
    let folder = real(root.path());
    let lock = folder.lock().unwrap();
    let stage_nothing = || {
        let base = folder.texts(&path("Ada")).unwrap().unwrap();
        folder
            .stage(&lock, &path("Ada"), base, Vec::new(), None)
            .unwrap()
    };
    folder.commit(&lock, stage_nothing()).unwrap();
    let staged = stage_nothing();
    fs::write(root.path().join("Ada").join(MEMORY), "recent_events: []\n").unwrap();
    assert!(matches!(
        folder.commit(&lock, staged),
        Err(Error::Conflict(_))
    ));
}

#[test]
fn files_in_a_folder_of_no_agent_are_not_taken_for_a_new_agents() {
    let root = with_ada();
    fs::create_dir(root.path().join("Cy")).unwrap();
    fs::write(root.path().join("Cy").join(MEMORY), "# by hand\n").unwrap();
    assert!(matches!(
        create(&real(root.path()), &path("Cy")),
        Err(Error::Conflict(_))
    ));
    assert_eq!(
        fs::read_to_string(root.path().join("Cy").join(MEMORY)).unwrap(),
        "# by hand\n"
    );
    assert!(!root.path().join("Cy").join(AGENT).exists());
}

#[test]
fn two_processes_that_append_to_one_agent_lose_nothing() {
    let each = appends_of_each();
    if let Ok(root) = env::var(CHILD) {
        // This is a child process, started below.
        let folder = real(Path::new(&root));
        for number in 0..each {
            let text = format!("{} {number}", std::process::id());
            append(&folder, &path("Ada"), &text).unwrap();
        }
        return;
    }
    // This test checks locks. It makes thousands of flushes, which are slow on a real disk. So it
    // uses a file system in memory where there is one.
    let root = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    write_ada(root.path());
    let mut children = [spawn_child(root.path()), spawn_child(root.path())];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let events = persona(&real(root.path()), &path("Ada"))
        .unwrap()
        .config
        .recent_events;
    let mut texts: Vec<_> = events.iter().map(|event| event.text.clone()).collect();
    assert_eq!(texts.len(), 1 + 2 * each);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1 + 2 * each, "each event is in the file once");
    for child in &children {
        let numbers = events.iter().filter_map(|event| {
            let number = event.text.strip_prefix(&format!("{} ", child.id()))?;
            number.parse::<usize>().ok()
        });
        assert!(
            numbers.eq(0..each),
            "the events of each process are in order"
        );
    }
}

/// Returns the number of appends by each process. Each append parses and writes the whole file, so
/// the time grows with the square of this number.
fn appends_of_each() -> usize {
    match env::var_os("GREENROOM_PROOF") {
        Some(_) => 1_000,
        None => 250,
    }
}

/// Starts this test program as a child process that runs only the test that appends.
fn spawn_child(root: &Path) -> Child {
    let test = concat!(
        "agent_files::tests::edits::",
        "two_processes_that_append_to_one_agent_lose_nothing"
    );
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test])
        .env(CHILD, root)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_picture_is_never_read_from_elsewhere() {
    let root = with_ada();
    let folder = real(root.path());
    let ada = path("Ada");
    assert!(folder.picture(&ada, "profile.png").is_some());
    fs::write(root.path().join("secret.png"), "secret").unwrap();
    for name in [
        "../secret.png",
        "../../etc/passwd",
        "/etc/passwd",
        "",
        ".",
        "none.png",
    ] {
        assert_eq!(folder.picture(&ada, name), None, "{name}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;

        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("profile.png"), "secret").unwrap();
        symlink(
            root.path().join("secret.png"),
            root.path().join("Ada/link.png"),
        )
        .unwrap();
        symlink(outside.path(), root.path().join("Eve")).unwrap();
        assert_eq!(folder.picture(&ada, "link.png"), None, "a link to a file");
        assert_eq!(
            folder.picture(&path("Eve"), "profile.png"),
            None,
            "a link to a folder"
        );
    }
}
