//! Tests in which a crash, a power loss or a full disk occurs at each call of a change in turn.

use std::{fs, path::Path, sync::Arc};

use domain::{GroupName, Result};

use super::{append, change, create, path, persona, real, with_ada};
use crate::{
    agent_files::{
        faulty_disk::{DiskFault, FaultyDisk},
        folder::AgentsFolder,
        path::AgentPath,
    },
    yaml::Persona,
};

/// An agent as it is after a restart.
#[derive(Debug, PartialEq)]
struct FoundAgent {
    path: AgentPath,
    persona: Persona,
    picture: Option<Vec<u8>>,
}

/// Finishes interrupted changes as a start does, and returns all agents.
fn restart(root: &Path) -> Vec<FoundAgent> {
    let folder = real(root);
    let lock = folder.lock().unwrap();
    for path in folder.list().unwrap().agents {
        folder.finish(&lock, &path).unwrap();
    }
    let paths = folder.list().unwrap().agents;
    for path in &paths {
        let names: Vec<_> = fs::read_dir(root.join(path.folder()))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            names
                .iter()
                .all(|name| !name.to_string_lossy().starts_with('.')),
            "a hidden file is left behind: {names:?}"
        );
    }
    let found = paths.into_iter().map(|path| FoundAgent {
        persona: persona(&folder, &path).unwrap(),
        picture: folder.picture(&path, "profile.png"),
        path,
    });
    found.collect()
}

type Work = fn(&AgentsFolder) -> Result<()>;

fn change_with_name(folder: &AgentsFolder) -> Result<()> {
    let target = AgentPath {
        group: Some(GroupName::parse("g").unwrap()),
        ..path("Bo")
    };
    change(folder, &path("Ada"), &target)
}

#[rustfmt::skip] // One row a line.
const WORKS: [(&str, Work); 5] = [
    ("an append",            |folder| append(folder, &path("Ada"), "new")),
    ("a change",             |folder| change(folder, &path("Ada"), &path("Ada"))),
    ("a change with a name", change_with_name),
    ("a new agent",          |folder| create(folder, &path("Cy"))),
    ("a deletion",           |folder| folder.set_aside(&folder.lock()?, &path("Ada"), 1)),
];

/// Returns all agents before and after `work`.
fn before_and_after(work: Work) -> [Vec<FoundAgent>; 2] {
    let root = with_ada();
    let before = restart(root.path());
    work(&real(root.path())).unwrap();
    [before, restart(root.path())]
}

/// Runs `work` on disks that fail at change number 1, 2 and so on, and calls `check` after each
/// run. Stops when `work` succeeds, and returns the number of changes that it makes.
fn at_every_change(
    fault: DiskFault,
    work: Work,
    mut check: impl FnMut(&Path, &AgentsFolder, Result<()>, usize),
) -> usize {
    for n in 1.. {
        let root = with_ada();
        let disk = Arc::new(FaultyDisk::new(fault, n));
        let folder = AgentsFolder::new(root.path(), disk.clone());
        let outcome = work(&folder);
        if disk.changes() < n {
            outcome.unwrap();
            return n - 1;
        }
        check(root.path(), &folder, outcome, n);
    }
    unreachable!("every work ends")
}

#[test]
fn a_crash_at_any_call_leaves_all_of_a_change_or_nothing_and_nothing_acknowledged_is_lost() {
    for (name, work) in WORKS {
        let expected = before_and_after(work);
        for fault in [DiskFault::Stop, DiskFault::PowerLoss] {
            let changes = at_every_change(fault, work, |root, _, outcome, n| {
                let found = restart(root);
                assert!(
                    expected.contains(&found),
                    "{name}, {fault:?} at call {n}: {found:?}"
                );
                assert!(
                    outcome.is_err() || found == expected[1],
                    "{name}, {fault:?} at call {n}: an acknowledged change is lost"
                );
            });
            assert!(changes >= 3, "{name} makes {changes} changes of the disk");
        }
    }
}

#[test]
fn power_lost_after_the_answer_loses_nothing() {
    for (name, work) in WORKS {
        let expected = before_and_after(work);
        let changes = at_every_change(DiskFault::Stop, work, |_, _, _, _| {});
        let root = with_ada();
        let disk = FaultyDisk::new(DiskFault::PowerLoss, changes + 1);
        let folder = AgentsFolder::new(root.path(), Arc::new(disk));
        work(&folder).unwrap();
        assert!(
            append(&folder, &path("Unknown"), "too late").is_err()
                && append(&folder, &path("Ada"), "too late").is_err()
        );
        assert_eq!(restart(root.path()), expected[1], "{name}");
    }
}

#[test]
fn a_full_disk_is_an_error_at_any_call_and_damages_nothing() {
    for (name, work) in WORKS {
        let expected = before_and_after(work);
        for fault in [DiskFault::FullOnce, DiskFault::Full] {
            at_every_change(fault, work, |root, folder, outcome, n| {
                let read: Vec<_> = folder
                    .list()
                    .unwrap()
                    .agents
                    .iter()
                    .map(|path| persona(folder, path).unwrap())
                    .collect();
                let found = restart(root);
                let is_outcome_right = match &outcome {
                    Ok(()) => found == expected[1],
                    Err(error) if error.may_be_applied() => expected.contains(&found),
                    Err(_) => found == expected[0],
                };
                assert!(
                    is_outcome_right,
                    "{name}, {fault:?} at call {n}: {outcome:?}, {found:?}"
                );
                let contains_read = |agents: &Vec<FoundAgent>| {
                    read.iter()
                        .all(|persona| agents.iter().any(|agent| agent.persona == *persona))
                };
                assert!(
                    expected.iter().any(contains_read),
                    "{name}, {fault:?} at call {n}: half of a change is read: {read:?}"
                );
                // When the disk has space again, changes succeed.
                if let Some(agent) = found.first() {
                    append(&real(root), &agent.path, "later").unwrap();
                }
            });
        }
    }
}
