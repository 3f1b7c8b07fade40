use std::{env, fs, process::Command};

use domain::{AgentConfig, RecentEvent};

use super::*;
use crate::{
    disk::{
        RealDisk,
        faulty::{Fault, FaultyDisk},
    },
    files::with_event,
    yaml::{self, Persona},
};

/// Where a child process finds the folder, and how many memories it is to append.
const CHILD: &str = "GREENROOM_TEST_APPENDS";

fn place(name: &str) -> Place {
    Place {
        group: None,
        name: AgentName::parse(name).unwrap(),
    }
}

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: None,
        text: text.into(),
    }
}

fn real(root: &Path) -> Folder {
    Folder::new(root, Arc::new(RealDisk))
}

fn persona(folder: &Folder, place: &Place) -> Option<Persona> {
    folder
        .texts(place)
        .unwrap()
        .map(|texts| yaml::parse(&texts).unwrap())
}

fn append(folder: &Folder, place: &Place, text: &str) -> Result<()> {
    let locked = folder.lock()?;
    folder.finish(&locked, place)?;
    let (read, memory) = with_event(folder, place, event(text))?;
    let staged = folder.stage(
        &locked,
        place,
        read,
        vec![(MEMORY.to_owned(), memory.into_bytes())],
        None,
    )?;
    folder.commit(&locked, staged)
}

/// Both files, a picture, and the folder's place.
fn change(folder: &Folder, from: &Place, to: &Place) -> Result<()> {
    let locked = folder.lock()?;
    folder.finish(&locked, from)?;
    let texts = folder
        .texts(from)?
        .ok_or_else(|| Error::missing("agent", 1))?;
    let old = yaml::parse(&texts).map_err(Error::Invalid)?;
    let mut new = old.clone();
    new.config.characteristics = "new".into();
    new.config.recent_events.push(event("new"));
    let edited = yaml::edited(&texts, &old, &new).map_err(Error::Conflict)?;
    let picture = ("profile.png".to_owned(), b"new".to_vec());
    let files = vec![
        picture,
        (MEMORY.to_owned(), edited.memory.into_bytes()),
        (AGENT.to_owned(), edited.agent.into_bytes()),
    ];
    let staged = folder.stage(
        &locked,
        from,
        texts,
        files,
        (from != to).then(|| to.clone()),
    )?;
    folder.commit(&locked, staged)
}

fn create(folder: &Folder, place: &Place) -> Result<()> {
    let locked = folder.lock()?;
    folder.finish(&locked, place)?;
    let config = AgentConfig {
        characteristics: "old".into(),
        recent_events: vec![event("old")],
        ..AgentConfig::default()
    };
    let texts = yaml::print(Some(1), &config, String::new());
    let files = vec![
        (MEMORY.to_owned(), texts.memory.into_bytes()),
        (AGENT.to_owned(), texts.agent.into_bytes()),
    ];
    let staged = folder.stage(&locked, place, Texts::default(), files, None)?;
    folder.commit(&locked, staged)
}

/// A disk with one agent, `Ada`, whose files a person wrote.
fn with_ada() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write_ada(root.path());
    root
}

fn write_ada(root: &Path) {
    let ada = root.join("Ada");
    fs::create_dir(&ada).unwrap();
    fs::write(
        ada.join(AGENT),
        "# by hand\nid: 1\ncharacteristics: old # so far\n",
    )
    .unwrap();
    fs::write(
        ada.join(MEMORY),
        "# what happened\nrecent_events:\n- text: old # long ago\n",
    )
    .unwrap();
    fs::write(ada.join("profile.png"), "old").unwrap();
}

/// Agents with their personas and pictures.
type Found = Vec<(Place, Persona, Option<Vec<u8>>)>;

/// All agents as a start finds them: what was left half done is ended first.
fn restarted(root: &Path) -> Found {
    let folder = real(root);
    let locked = folder.lock().unwrap();
    for place in folder.list().unwrap() {
        folder.finish(&locked, &place).unwrap();
    }
    let found = folder.list().unwrap();
    for place in &found {
        let left: Vec<_> = fs::read_dir(root.join(place.folder()))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            left.iter()
                .all(|name| !name.to_string_lossy().starts_with('.')),
            "left behind: {left:?}"
        );
    }
    let picture = |place: &Place| folder.picture(place, "profile.png").unwrap();
    found
        .iter()
        .map(|place| {
            (
                place.clone(),
                persona(&folder, place).unwrap(),
                picture(place),
            )
        })
        .collect()
}

type Work = fn(&Folder) -> Result<()>;

#[rustfmt::skip] // One row a line.
const WORKS: [(&str, Work); 5] = [
    ("an append",            |folder| append(folder, &place("Ada"), "new")),
    ("a change",             |folder| change(folder, &place("Ada"), &place("Ada"))),
    ("a change with a name", |folder| change(folder, &place("Ada"), &Place { group: Some(GroupName::parse("g").unwrap()), ..place("Bo") })),
    ("a new agent",          |folder| create(folder, &place("Cy"))),
    ("a deletion",           |folder| folder.set_aside(&folder.lock()?, &place("Ada"), 1)),
];

/// What a start finds before and after `work`.
fn before_and_after(work: Work) -> [Found; 2] {
    let root = with_ada();
    let before = restarted(root.path());
    work(&real(root.path())).unwrap();
    [before, restarted(root.path())]
}

/// Calls `check` with a disk that fails at its n-th change, for every n.
fn at_every_change(
    fault: Fault,
    work: Work,
    mut check: impl FnMut(&Path, &Folder, Result<()>, usize),
) -> usize {
    for n in 1.. {
        let root = with_ada();
        let disk = Arc::new(FaultyDisk::new(fault, n));
        let folder = Folder::new(root.path(), disk.clone());
        let outcome = work(&folder);
        if disk.changes() < n {
            outcome.unwrap();
            return n - 1;
        }
        check(root.path(), &folder, outcome, n);
    }
    unreachable!("each work ends")
}

#[test]
fn a_crash_at_any_call_leaves_all_of_a_change_or_nothing_and_nothing_acknowledged_is_lost() {
    for (name, work) in WORKS {
        let wanted = before_and_after(work);
        for fault in [Fault::Stops, Fault::LosesPower] {
            let changes = at_every_change(fault, work, |root, _, outcome, n| {
                let found = restarted(root);
                assert!(
                    wanted.contains(&found),
                    "{name}, {fault:?} at call {n}: {found:?}"
                );
                assert!(
                    outcome.is_err() || found == wanted[1],
                    "{name}, {fault:?} at call {n}: an acknowledged change is lost"
                );
            });
            assert!(changes >= 3, "{name} changes the disk {changes} times");
        }
    }
}

#[test]
fn power_lost_after_the_answer_loses_nothing() {
    for (name, work) in WORKS {
        let wanted = before_and_after(work);
        let changes = at_every_change(Fault::Stops, work, |_, _, _, _| {});
        let root = with_ada();
        let folder = Folder::new(
            root.path(),
            Arc::new(FaultyDisk::new(Fault::LosesPower, changes + 1)),
        );
        work(&folder).unwrap();
        assert!(
            append(&folder, &place("Nobody"), "too late").is_err()
                && append(&folder, &place("Ada"), "too late").is_err()
        );
        assert_eq!(restarted(root.path()), wanted[1], "{name}");
    }
}

#[test]
fn a_full_disk_is_an_error_at_any_call_and_damages_nothing() {
    for (name, work) in WORKS {
        let wanted = before_and_after(work);
        for fault in [Fault::IsFullOnce, Fault::IsFull] {
            at_every_change(fault, work, |root, folder, outcome, n| {
                let seen = folder
                    .list()
                    .unwrap()
                    .iter()
                    .map(|place| (place.clone(), persona(folder, place).unwrap()))
                    .collect::<Vec<_>>();
                let found = restarted(root);
                let is_told_right = match &outcome {
                    Ok(()) => found == wanted[1],
                    Err(error) if error.may_be_applied() => wanted.contains(&found),
                    Err(_) => found == wanted[0],
                };
                assert!(
                    is_told_right,
                    "{name}, {fault:?} at call {n}: {outcome:?}, {found:?}"
                );
                let read = |wanted: &Found| {
                    seen.iter()
                        .all(|(_, seen)| wanted.iter().any(|(_, persona, _)| persona == seen))
                };
                assert!(
                    wanted.iter().any(read),
                    "{name}, {fault:?} at call {n}: half of a change is read: {seen:?}"
                );
                // As soon as there is space it goes on.
                if let Some((at, ..)) = found.first() {
                    append(&real(root), at, "later").unwrap();
                }
            });
        }
    }
}

#[test]
fn a_change_leaves_alone_what_people_wrote() {
    let root = with_ada();
    append(&real(root.path()), &place("Ada"), "new").unwrap();
    let read = |name: &str| fs::read_to_string(root.path().join("Ada").join(name)).unwrap();
    assert_eq!(
        read(AGENT),
        "# by hand\nid: 1\ncharacteristics: old # so far\n"
    );
    assert_eq!(
        read(MEMORY),
        "# what happened\nrecent_events:\n- text: old # long ago\n- text: new\n"
    );
    change(&real(root.path()), &place("Ada"), &place("Ada")).unwrap();
    assert_eq!(
        read(AGENT),
        "# by hand\nid: 1\ncharacteristics: new # so far\n"
    );
}

#[test]
fn an_edit_by_hand_between_reading_and_writing_is_not_overwritten_whichever_file_it_is_in_and_however_soon()
 {
    // The second one is as long as what it replaces, within the same tick of the file system's clock.
    for (file, by_hand) in [
        (MEMORY, "recent_events:\n- text: theirs\n"),
        (AGENT, "# by hand\nid: 1\ncharacteristics: new # so far\n"),
    ] {
        for is_staged_before in [true, false] {
            let root = with_ada();
            let folder = real(root.path());
            let locked = folder.lock().unwrap();
            let (read, memory) = with_event(&folder, &place("Ada"), event("ours")).unwrap();
            let edit = || fs::write(root.path().join("Ada").join(file), by_hand).unwrap();
            if !is_staged_before {
                edit();
            }
            let staged = folder
                .stage(
                    &locked,
                    &place("Ada"),
                    read,
                    vec![(MEMORY.to_owned(), memory.into_bytes())],
                    None,
                )
                .unwrap();
            if is_staged_before {
                edit();
            }
            assert!(
                matches!(folder.commit(&locked, staged), Err(Error::Conflict(_))),
                "{file}"
            );
            let other = if file == MEMORY { AGENT } else { MEMORY };
            let read =
                |root: &Path, file: &str| fs::read_to_string(root.join("Ada").join(file)).unwrap();
            assert_eq!(read(root.path(), file), by_hand);
            assert_eq!(read(root.path(), other), read(with_ada().path(), other));
        }
    }
}

#[test]
fn a_change_that_writes_nothing_is_refused_all_the_same_if_the_files_say_something_else_by_then() {
    let root = with_ada();
    let folder = real(root.path());
    let locked = folder.lock().unwrap();
    let nothing = || {
        folder
            .stage(
                &locked,
                &place("Ada"),
                folder.texts(&place("Ada")).unwrap().unwrap(),
                Vec::new(),
                None,
            )
            .unwrap()
    };
    folder.commit(&locked, nothing()).unwrap();
    let staged = nothing();
    fs::write(root.path().join("Ada").join(MEMORY), "recent_events: []\n").unwrap();
    assert!(matches!(
        folder.commit(&locked, staged),
        Err(Error::Conflict(_))
    ));
}

#[test]
fn files_in_a_folder_of_nobody_are_not_taken_for_a_new_agents() {
    let root = with_ada();
    fs::create_dir(root.path().join("Cy")).unwrap();
    fs::write(root.path().join("Cy").join(MEMORY), "# by hand\n").unwrap();
    assert!(matches!(
        create(&real(root.path()), &place("Cy")),
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
    const EACH: usize = 1_000;
    if let Ok(root) = env::var(CHILD) {
        let folder = real(Path::new(&root));
        for number in 0..EACH {
            append(
                &folder,
                &place("Ada"),
                &format!("{} {number}", std::process::id()),
            )
            .unwrap();
        }
        return;
    }
    // Thousands of flushes: in memory, where there is such a file system, since locks are the point here.
    let root = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    write_ada(root.path());
    let child = || {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "folder::tests::two_processes_that_append_to_one_agent_lose_nothing",
            ])
            .env(CHILD, root.path());
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut children = [child(), child()];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let found = persona(&real(root.path()), &place("Ada"))
        .unwrap()
        .config
        .recent_events;
    let mut texts: Vec<_> = found.iter().map(|event| event.text.clone()).collect();
    assert_eq!(texts.len(), 1 + 2 * EACH);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 1 + 2 * EACH, "each stands there once");
    for child in &children {
        let own = found.iter().filter_map(|event| {
            event
                .text
                .strip_prefix(&format!("{} ", child.id()))?
                .parse::<usize>()
                .ok()
        });
        assert!(own.eq(0..EACH), "each process's own are in order");
    }
}

#[test]
fn a_picture_is_never_read_from_elsewhere() {
    let root = with_ada();
    let folder = real(root.path());
    let ada = root.path().join("Ada");
    assert!(
        folder
            .picture(&place("Ada"), "profile.png")
            .unwrap()
            .is_some()
    );
    fs::write(root.path().join("secret.png"), "secret").unwrap();
    for name in [
        "../secret.png",
        "../../etc/passwd",
        "/etc/passwd",
        "",
        ".",
        "none.png",
    ] {
        assert_eq!(folder.picture(&place("Ada"), name).unwrap(), None, "{name}");
    }
    #[cfg(unix)]
    {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("profile.png"), "secret").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret.png"), ada.join("link.png")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("Eve")).unwrap();
        assert_eq!(
            folder.picture(&place("Ada"), "link.png").unwrap(),
            None,
            "a link to a file"
        );
        assert_eq!(
            folder.picture(&place("Eve"), "profile.png").unwrap(),
            None,
            "a link to a folder"
        );
    }
}

#[tokio::test]
async fn a_new_agent_leaves_alone_the_picture_in_a_folder_of_nobody() {
    let root = tempfile::tempdir().unwrap();
    let store = crate::crash::open(root.path(), Arc::new(RealDisk)).await;
    let cy = root.path().join("agents/Cy");
    fs::create_dir_all(&cy).unwrap();
    fs::write(cy.join("profile.png"), "a person's").unwrap();
    let picture = domain::Picture {
        media_type: "image/png".into(),
        bytes: b"another's".to_vec(),
    };
    let refused = domain::Agents::create(
        &store,
        domain::NewAgent {
            picture: Some(picture),
            ..crate::crash::new("Cy")
        },
    )
    .await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(fs::read(cy.join("profile.png")).unwrap(), b"a person's");
    assert!(!cy.join(AGENT).exists());
}
