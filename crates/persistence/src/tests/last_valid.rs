//! Tests of the last valid persona: readers never receive an older one, and it saves reading files.

use std::{fs, path::Path, sync::Arc, time::Duration};

use domain::{AgentChange, AgentConfigs, AgentFiles as _, Agents, Error};

use super::{ADA, new_agent, open, with_ada};
use crate::{
    agent_files::{disk::RealDisk, faulty_disk::FaultyDisk},
    store::SqlStore,
};

fn prioritized(priority: i32) -> AgentChange {
    AgentChange {
        priority: Some(priority),
        ..AgentChange::default()
    }
}

/// Writes an `agent.yaml` that contains Ada's id and a priority.
fn write_priority(file: &Path, priority: i32) {
    fs::write(file, format!("id: {ADA}\npriority: {priority}\n")).unwrap();
}

/// Returns Ada's priority, read from the files or from the last valid persona.
async fn read_priority(store: &SqlStore) -> i32 {
    let config = AgentConfigs::find(store, ADA).await.unwrap();
    config.unwrap().priority
}

/// Returns Ada's priority as [`AgentConfigs::find_again`] returns it.
async fn reread_priority(store: &SqlStore) -> i32 {
    let found = store.find_again(&[ADA]).await.unwrap();
    assert_eq!(found.len(), 1);
    found[0].1.priority
}

/// Moves a file's modification time one minute back, so that the store trusts it.
fn age(file: &Path) {
    let file = fs::File::options().write(true).open(file).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_modified(modified - Duration::from_mins(1))
        .unwrap();
}

#[tokio::test]
async fn a_folder_moved_onto_another_agents_name_is_refused_and_no_reader_receives_its_persona() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    store.create(new_agent("Bo")).await.unwrap();
    let agents = root.path().join("agents");
    fs::create_dir(agents.join("friends")).unwrap();
    fs::rename(agents.join("Ada"), agents.join("friends/Bo")).unwrap();
    write_priority(&agents.join("friends/Bo/agent.yaml"), 5);
    let refused = store.reload(ADA).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(read_priority(&store).await, 0);
}

#[tokio::test]
async fn a_persona_found_by_a_change_that_writes_nothing_is_the_last_valid_one() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let file = root.path().join("agents/Ada/agent.yaml");
    write_priority(&file, 5);
    assert_eq!(read_priority(&store).await, 5);
    write_priority(&file, 6);
    store.update(ADA, prioritized(6)).await.unwrap();
    fs::remove_file(file).unwrap();
    assert_eq!(read_priority(&store).await, 6);
}

#[tokio::test]
async fn a_persona_read_in_the_middle_of_a_save_is_kept_when_the_files_go_before_the_table_follows()
{
    let root = with_ada().await;
    let disk = Arc::new(FaultyDisk::without_fault());
    let store = open(root.path(), disk.clone()).await;
    let file = root.path().join("agents/Ada/agent.yaml");
    write_priority(&file, 5);
    disk.empty_next_read();
    assert_eq!(read_priority(&store).await, 5);
    assert!(
        !disk.empties_next_read(),
        "the file was read while it was empty"
    );
    fs::remove_file(file).unwrap();
    assert_eq!(read_priority(&store).await, 5);
}

#[tokio::test]
async fn a_persona_found_again_is_read_only_if_the_files_have_changed() {
    let root = with_ada().await;
    let folder = root.path().join("agents/Ada");
    let (agent, memory) = (folder.join("agent.yaml"), folder.join("memory.yaml"));
    let disk = Arc::new(FaultyDisk::without_fault());
    let store = open(root.path(), disk.clone()).await;
    let mut reads = disk.reads();
    let mut reads_since = || {
        let before = std::mem::replace(&mut reads, disk.reads());
        reads - before
    };
    assert_eq!(reread_priority(&store).await, 0);
    assert!(reads_since() > 0, "the persona was read for the first time");
    // A file may change again within the same tick of the clock, so young files are read again.
    assert_eq!(reread_priority(&store).await, 0);
    assert!(reads_since() > 0, "the files are young");
    age(&agent);
    age(&memory);
    assert_eq!(reread_priority(&store).await, 0);
    assert!(reads_since() > 0, "the files have new times");
    for _ in 0..3 {
        assert_eq!(reread_priority(&store).await, 0);
        assert_eq!(reads_since(), 0, "the files have not changed");
    }
    write_priority(&agent, 5);
    assert_eq!(reread_priority(&store).await, 5);
    age(&agent);
    // `changed` probes the files and records their new stamps, but it does not read the persona.
    write_priority(&agent, 6);
    age(&agent);
    assert_eq!(store.changed(&[ADA]).await.unwrap(), [ADA]);
    reads_since();
    assert_eq!(reread_priority(&store).await, 6);
    assert!(
        reads_since() > 0,
        "no reader received the persona that the probe found"
    );
    fs::remove_file(&agent).unwrap();
    assert_eq!(reread_priority(&store).await, 6, "the last valid persona");
    store.update(ADA, prioritized(7)).await.unwrap_err();
    Agents::delete(&store, ADA).await.unwrap();
    assert!(store.find_again(&[ADA]).await.unwrap().is_empty());
}
