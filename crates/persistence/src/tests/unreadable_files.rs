//! Tests that a file or folder that cannot be read affects only its own agent.

use std::{fs, io, path::Path, process::Command, sync::Arc};

use domain::{AgentChange, AgentConfigs, AgentFiles as _, AgentId, Agents, ConfigProblem, Error};

use super::{ADA, event, new_agent, open, with_ada};
use crate::{
    agent_files::{disk::RealDisk, faulty_disk::FaultyDisk},
    store::SqlStore,
};

const BO: AgentId = AgentId(2);

/// A function that creates something at a path that cannot be read as a part of a persona.
type Damage = fn(&Path) -> io::Result<()>;

#[cfg(unix)]
#[rustfmt::skip] // One row a line.
const DAMAGES: [(&str, Damage); 8] = [
    ("a folder",            |file| fs::create_dir(file)),
    ("a pipe",              |file| Command::new("mkfifo").arg(file).status().map(drop)),
    ("a socket",            |file| std::os::unix::net::UnixListener::bind(file).map(drop)),
    ("a link to nothing",   |file| std::os::unix::fs::symlink("nothing", file)),
    ("a link to itself",    |file| std::os::unix::fs::symlink(file, file)),
    ("not UTF-8",           |file| fs::write(file, [0xff, 0xfe, 0x41])),
    ("a very long file",    |file| fs::File::create(file)?.set_len(1 << 30)),
    ("a bomb of aliases",   |file| fs::write(file, bomb())),
];

/// Returns a text of 1 MiB that takes 8 GiB when its aliases are expanded.
fn bomb() -> String {
    let aliases = vec!["*a"; 8_000].join(", ");
    format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(1 << 20))
}

/// Checks that both agents have their last personas, that Bo can be changed and Ada cannot, and
/// that the problem is reported.
async fn assert_only_ada_is_affected(store: &SqlStore, what: &str) {
    let found = AgentConfigs::find_many(store, &[ADA, BO]).await.unwrap();
    let ids: Vec<_> = found.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [ADA, BO], "{what}");
    assert!(
        found
            .iter()
            .all(|(_, config)| config.characteristics == "old"),
        "{what}: {found:?}"
    );
    store.append_memory(BO, event("new")).await.unwrap();
    let change = AgentChange {
        characteristics: Some("new".into()),
        ..AgentChange::default()
    };
    let refused = store.update(ADA, change).await;
    assert!(
        matches!(refused, Err(Error::Conflict(_))),
        "{what}: {refused:?}"
    );
    let names: Vec<_> = problems(store).await.into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["Ada"], "{what}");
}

async fn problems(store: &SqlStore) -> Vec<ConfigProblem> {
    store.problems().await.unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn an_agent_whose_file_cannot_be_read_keeps_its_persona_and_affects_no_other_agent() {
    for file in ["agent.yaml", "memory.yaml"] {
        for (what, damage) in DAMAGES {
            let root = with_ada().await;
            let store = open(root.path(), Arc::new(RealDisk)).await;
            store.create(new_agent("Bo")).await.unwrap();
            let path = root.path().join("agents/Ada").join(file);
            let intact = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            damage(&path).unwrap();
            // A link to nothing counts as a missing file, and `memory.yaml` may be missing.
            if file == "memory.yaml" && what == "a link to nothing" {
                continue;
            }
            assert_only_ada_is_affected(&store, what).await;
            drop(store);
            let store = open(root.path(), Arc::new(RealDisk)).await;
            assert_only_ada_is_affected(&store, what).await;
            fs::remove_file(&path)
                .or_else(|_| fs::remove_dir(&path))
                .unwrap();
            fs::write(&path, intact).unwrap();
            assert_eq!(problems(&store).await, []);
        }
    }
}

#[tokio::test]
async fn an_agent_with_a_file_without_permission_keeps_its_persona_and_affects_no_other_agent() {
    let root = with_ada().await;
    let disk = Arc::new(FaultyDisk::without_fault());
    let store = open(root.path(), disk.clone()).await;
    store.create(new_agent("Bo")).await.unwrap();
    disk.deny(root.path().join("agents/Ada/agent.yaml"));
    assert_only_ada_is_affected(&store, "no permission").await;
    drop(store);
    assert_only_ada_is_affected(&open(root.path(), disk).await, "no permission").await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_read_or_has_no_valid_name_is_left_out_and_reported() {
    let root = with_ada().await;
    let agents = root.path().join("agents");
    for folder in [
        "Cy ",
        " group/Di",
        "group/\u{3000}Ed",
        "locked/Fay",
        "lost+found/Guy",
    ] {
        fs::create_dir_all(agents.join(folder)).unwrap();
        fs::write(agents.join(folder).join("agent.yaml"), "priority: 1\n").unwrap();
    }
    let disk = Arc::new(FaultyDisk::without_fault());
    disk.deny(agents.join("locked"));
    disk.deny(agents.join("lost+found"));
    let store = open(root.path(), disk).await;
    let living = Agents::list(&store, None, 10).await.unwrap();
    assert_eq!(living.len(), 1, "{living:?}");
    let names: Vec<_> = problems(&store).await.into_iter().map(|p| p.name).collect();
    assert_eq!(names, [" group", "Cy ", "group/\u{3000}Ed", "locked"]);
}

#[tokio::test]
async fn a_picture_that_cannot_be_read_is_missing() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let agent = root.path().join("agents/Ada");
    fs::write(
        agent.join("agent.yaml"),
        "id: 1\ncharacteristics: old\nprofile_pic: profile.png\n",
    )
    .unwrap();
    fs::create_dir(agent.join("profile.png")).unwrap();
    assert_eq!(store.picture(ADA).await.unwrap(), None);
}
