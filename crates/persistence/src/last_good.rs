//! What files gave last: it is not taken back, and need not be read again while they are as they were.

use std::{path::Path, sync::Arc, time::Duration};

use domain::{AgentChange, AgentConfigs, Agents, Error};

use crate::{
    crash::{ADA, new, open, with_ada},
    disk::{
        RealDisk,
        faulty::{Fault, FaultyDisk},
    },
    sql::SqlStore,
};

#[tokio::test]
async fn a_folder_moved_onto_another_agents_name_is_refused_and_nobody_is_given_what_stands_in_it()
{
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    store.create(new("Bo")).await.unwrap();
    let agents = root.path().join("agents");
    std::fs::create_dir(agents.join("friends")).unwrap();
    std::fs::rename(agents.join("Ada"), agents.join("friends/Bo")).unwrap();
    std::fs::write(
        agents.join("friends/Bo/agent.yaml"),
        format!("id: {ADA}\npriority: 5\n"),
    )
    .unwrap();
    let refused = store.reload(ADA).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(
        AgentConfigs::find(&store, ADA)
            .await
            .unwrap()
            .unwrap()
            .priority,
        0
    );
}

#[tokio::test]
async fn what_a_change_that_writes_nothing_found_is_the_last_good_one() {
    let root = with_ada().await;
    let store = open(root.path(), Arc::new(RealDisk)).await;
    let file = root.path().join("agents/Ada/agent.yaml");
    let edit = |priority: i32| {
        std::fs::write(&file, format!("id: {ADA}\npriority: {priority}\n")).unwrap();
    };
    edit(5);
    assert_eq!(
        AgentConfigs::find(&store, ADA)
            .await
            .unwrap()
            .unwrap()
            .priority,
        5
    );
    edit(6);
    let same = AgentChange {
        priority: Some(6),
        ..AgentChange::default()
    };
    store.update(ADA, same).await.unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(
        AgentConfigs::find(&store, ADA)
            .await
            .unwrap()
            .unwrap()
            .priority,
        6
    );
}

#[tokio::test]
async fn what_was_read_in_the_midst_of_a_save_is_not_taken_back_when_the_files_go_before_the_table_follows()
 {
    let root = with_ada().await;
    let disk = Arc::new(FaultyDisk::new(Fault::Stops, usize::MAX));
    let store = open(root.path(), disk.clone()).await;
    let file = root.path().join("agents/Ada/agent.yaml");
    std::fs::write(&file, format!("id: {ADA}\npriority: 5\n")).unwrap();
    disk.empties_next_read();
    assert_eq!(
        AgentConfigs::find(&store, ADA)
            .await
            .unwrap()
            .unwrap()
            .priority,
        5
    );
    assert!(
        !disk.empties_a_read(),
        "the file was read when it was empty"
    );
    std::fs::remove_file(file).unwrap();
    assert_eq!(
        AgentConfigs::find(&store, ADA)
            .await
            .unwrap()
            .unwrap()
            .priority,
        5
    );
}

/// As if the last edit had been made some time ago.
fn ages(file: &Path) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(file.metadata().unwrap().modified().unwrap() - Duration::from_mins(1))
        .unwrap();
}

async fn priority(store: &SqlStore) -> i32 {
    let found = store.find_again(&[ADA]).await.unwrap();
    assert_eq!(found.len(), 1);
    found[0].1.priority
}

#[tokio::test]
async fn what_is_found_again_is_read_only_if_the_files_are_not_as_they_were() {
    let root = with_ada().await;
    let folder = root.path().join("agents/Ada");
    let (agent, memory) = (folder.join("agent.yaml"), folder.join("memory.yaml"));
    let disk = Arc::new(FaultyDisk::new(Fault::Stops, usize::MAX));
    let store = open(root.path(), disk.clone()).await;
    // Young files may be changed within a tick of the clock, so they are read.
    let mut reads = disk.reads();
    let mut reads_since = || {
        let before = std::mem::replace(&mut reads, disk.reads());
        reads - before
    };
    assert_eq!(priority(&store).await, 0);
    assert!(reads_since() > 0, "it was never given");
    assert_eq!(priority(&store).await, 0);
    assert!(reads_since() > 0, "they are young");
    ages(&agent);
    ages(&memory);
    assert_eq!(priority(&store).await, 0);
    assert!(reads_since() > 0, "their times are others");
    for _ in 0..3 {
        assert_eq!(priority(&store).await, 0);
        assert_eq!(reads_since(), 0, "they are as they were");
    }
    std::fs::write(&agent, format!("id: {ADA}\npriority: 5\n")).unwrap();
    assert_eq!(priority(&store).await, 5);
    ages(&agent);
    // Whoever else looks at the files knows them, and this one was not given what they say.
    std::fs::write(&agent, format!("id: {ADA}\npriority: 6\n")).unwrap();
    ages(&agent);
    assert_eq!(store.changed(&[ADA]).await.unwrap(), [ADA]);
    reads_since();
    assert_eq!(priority(&store).await, 6);
    assert!(reads_since() > 0, "what a probe saw was given to nobody");
    std::fs::remove_file(&agent).unwrap();
    assert_eq!(priority(&store).await, 6, "the last good one");
    store
        .update(
            ADA,
            AgentChange {
                priority: Some(7),
                ..AgentChange::default()
            },
        )
        .await
        .unwrap_err();
    Agents::delete(&store, ADA).await.unwrap();
    assert!(store.find_again(&[ADA]).await.unwrap().is_empty());
}
