//! Tests of modes, owners and symbolic links of the files that the store writes.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    sync::Arc,
};

use domain::{AgentChange, AgentConfigs, AgentId, Agents, Error};

use super::{ADA, event, new_agent, open, with_ada};
use crate::agent_files::disk::RealDisk;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn characterized(text: &str) -> AgentChange {
    AgentChange {
        characteristics: Some(text.into()),
        ..AgentChange::default()
    }
}

#[tokio::test]
async fn new_files_and_folders_are_private() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    store.append_memory(ADA, event("new")).await.unwrap();
    for file in ["greenroom.db", "greenroom.db-wal", "greenroom.db.lock"] {
        assert_eq!(mode(&root.path().join(file)), 0o600, "{file}");
    }
    let agents = root.path().join("agents");
    for file in ["Ada/agent.yaml", "Ada/memory.yaml", ".lock"] {
        assert_eq!(mode(&agents.join(file)), 0o600, "{file}");
    }
    assert_eq!((mode(&agents), mode(&agents.join("Ada"))), (0o700, 0o700));
}

#[tokio::test]
async fn a_change_keeps_the_mode_and_the_owner_of_each_file() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let folder = root.path().join("agents/Ada");
    let (agent, memory) = (folder.join("agent.yaml"), folder.join("memory.yaml"));
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o664)).unwrap();
    fs::set_permissions(&memory, fs::Permissions::from_mode(0o640)).unwrap();
    // Only root may give a file to another user.
    let _ = chown(&agent, Some(1000), Some(1000));
    let owner = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    };
    let before = owner(&agent);
    // A change of one file, and a change of both.
    store.append_memory(ADA, event("new")).await.unwrap();
    let mut config = (*AgentConfigs::find(&store, ADA).await.unwrap().unwrap()).clone();
    config.recent_events.push(event("newer"));
    config.characteristics = "new".into();
    store.save(ADA, config).await.unwrap();
    assert_eq!((mode(&agent), mode(&memory)), (0o664, 0o640));
    assert_eq!(owner(&agent), before);
}

#[tokio::test]
async fn a_change_is_written_through_a_link_inside_the_agents_folder() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let agents = root.path().join("agents");
    let (link, shared) = (agents.join("Ada/memory.yaml"), agents.join("shared.yaml"));
    fs::rename(&link, &shared).unwrap();
    symlink("../shared.yaml", &link).unwrap();
    store.append_memory(ADA, event("new")).await.unwrap();
    let mut config = (*AgentConfigs::find(&store, ADA).await.unwrap().unwrap()).clone();
    config.recent_events.push(event("newer"));
    config.characteristics = "new".into();
    store.save(ADA, config).await.unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    let text = fs::read_to_string(shared).unwrap();
    assert!(text.contains("newer"), "{text}");
}

#[tokio::test]
async fn a_change_of_a_link_out_of_the_agents_folder_is_refused_and_changes_nothing() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let folder = root.path().join("agents/Ada");
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("memory.yaml");
    fs::rename(folder.join("memory.yaml"), &target).unwrap();
    symlink(&target, folder.join("memory.yaml")).unwrap();
    let before = fs::read(&target).unwrap();
    for refused in [
        store.append_memory(ADA, event("new")).await.map(drop),
        store.update(ADA, characterized("new")).await.map(drop),
    ] {
        // A change of `agent.yaml` alone does not write the link.
        if let Err(error) = refused {
            let Error::Conflict(why) = error else {
                panic!("{error:?}")
            };
            assert!(why.contains("a link out of the agents' folder"), "{why}");
        }
    }
    let refused = store.append_memory(ADA, event("new")).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(fs::read(&target).unwrap(), before);
    // A change in a folder that is a link is refused, too.
    let bo = store.create(new_agent("Bo")).await.unwrap().id;
    assert_eq!(bo, AgentId(2));
    let moved = outside.path().join("Bo");
    fs::rename(root.path().join("agents/Bo"), &moved).unwrap();
    symlink(&moved, root.path().join("agents/Bo")).unwrap();
    let refused = store.append_memory(bo, event("new")).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn a_link_in_the_place_of_a_change_is_removed_and_never_followed() {
    for name in [".change.new", ".change"] {
        let root = with_ada().await;
        let outside = tempfile::tempdir().unwrap();
        fs::write(
            outside.path().join("agent.yaml"),
            "characteristics: secret\n",
        )
        .unwrap();
        fs::write(outside.path().join("letter.txt"), "mine").unwrap();
        let link = root.path().join("agents/Ada").join(name);
        symlink(outside.path(), &link).unwrap();
        let store = open(root.path(), Arc::new(RealDisk)).await;
        let persona = AgentConfigs::find(&store, ADA).await.unwrap().unwrap();
        assert_eq!(persona.characteristics, "old", "{name}");
        store.update(ADA, characterized("new")).await.unwrap();
        assert!(link.symlink_metadata().is_err(), "{name} is still there");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_that_is_written_delays_no_change() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let folder = root.path().join("agents/Ada");
    let pipe = std::process::Command::new("mkfifo")
        .arg(folder.join("memory-archive.yaml"))
        .status();
    assert!(pipe.unwrap().success());
    let events = "- text: old\n".repeat(domain::MAX_RECENT_EVENTS);
    fs::write(
        folder.join("memory.yaml"),
        format!("recent_events:\n{events}"),
    )
    .unwrap();
    store.append_memory(ADA, event("new")).await.unwrap_err();
    store.update(ADA, characterized("new")).await.unwrap();
}
