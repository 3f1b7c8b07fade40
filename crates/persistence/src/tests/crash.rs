//! Tests that files and table agree after a start that follows an interrupted change.

use std::{future::poll_fn, path::Path, pin::Pin, sync::Arc, task::Poll};

use domain::{
    AgentChange, AgentConfig, AgentConfigs, AgentId, AgentName, Agents, GroupName, Result,
};

use super::{ADA, config, event, new_agent, open, with_ada};
use crate::{
    agent_files::{
        disk::RealDisk,
        faulty_disk::{DiskFault, FaultyDisk},
        path::AgentPath,
    },
    agents::{
        snapshot::to_snapshot,
        table::{find_snapshot, list_living},
    },
    store::SqlStore,
};

type WorkFuture = Pin<Box<dyn Future<Output = Result<()>>>>;
type Work = fn(SqlStore) -> WorkFuture;

#[rustfmt::skip] // One row a line.
const WORKS: [(&str, Work); 6] = [
    ("an append",   |store| discard(async move { store.append_memory(ADA, event("new")).await })),
    ("a save",      |store| discard(async move { store.save(ADA, config("new")).await })),
    ("a change",    |store| discard(async move { store.update(ADA, characterized()).await })),
    ("a new name",  |store| discard(async move { store.update(ADA, renamed()).await })),
    ("a new agent", |store| discard(async move { store.create(new_agent("Cy")).await })),
    ("a deletion",  |store| discard(async move { Agents::delete(&store, ADA).await })),
];

fn discard<T>(work: impl Future<Output = Result<T>> + 'static) -> WorkFuture {
    Box::pin(async move { work.await.map(drop) })
}

fn characterized() -> AgentChange {
    AgentChange {
        characteristics: Some("new".into()),
        ..AgentChange::default()
    }
}

fn renamed() -> AgentChange {
    AgentChange {
        name: Some(AgentName::parse("Bo").unwrap()),
        group: Some(Some(GroupName::parse("friends").unwrap())),
        ..characterized()
    }
}

/// An agent as it is after a restart.
#[derive(Debug, PartialEq)]
struct FoundAgent {
    id: AgentId,
    path: AgentPath,
    config: AgentConfig,
}

/// Opens the store again, checks that files and table agree, and returns the agents.
async fn restart(root: &Path) -> Vec<FoundAgent> {
    let store = open(root, Arc::new(RealDisk)).await;
    let agents = list_living(&store.database.read()).await.unwrap();
    let mut found = Vec::new();
    for agent in &agents {
        let (id, path) = (agent.id, AgentPath::of(agent));
        let config = AgentConfigs::find(&store, id)
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("agent {id} has no persona"));
        let persona = store
            .files
            .inspect_persona(path.clone(), Some(id.0))
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("agent {id} has no files"));
        assert_eq!(persona.config, *config);
        assert_eq!(
            to_snapshot(&config),
            find_snapshot(&store.database.read(), id).await.unwrap(),
            "the snapshot of agent {id} differs from its files"
        );
        found.push(FoundAgent {
            id,
            path,
            config: (*config).clone(),
        });
    }
    let folders = store.files.folder.list().unwrap().agents;
    assert_eq!(
        folders.len(),
        found.len(),
        "some folders are no agent's: {folders:?}"
    );
    found
}

/// Returns all agents before and after `work`.
async fn before_and_after(work: Work) -> [Vec<FoundAgent>; 2] {
    let root = with_ada().await;
    let before = restart(root.path()).await;
    work(open(root.path(), Arc::new(RealDisk)).await)
        .await
        .unwrap();
    [before, restart(root.path()).await]
}

#[tokio::test]
async fn a_process_that_ends_at_any_change_of_the_disk_leaves_files_and_table_that_say_the_same() {
    for (name, work) in WORKS {
        let expected = before_and_after(work).await;
        assert_ne!(expected[0], expected[1], "{name} changes nothing");
        for fault in [DiskFault::Stop, DiskFault::PowerLoss] {
            for n in 1.. {
                let root = with_ada().await;
                // `open` makes changes of the disk as well. The fault occurs at the n-th change
                // after those.
                let disk = Arc::new(FaultyDisk::without_fault());
                drop(open(root.path(), disk.clone()).await);
                let disk = Arc::new(FaultyDisk::new(fault, disk.changes() + n));
                let outcome = work(open(root.path(), disk.clone()).await).await;
                let found = restart(root.path()).await;
                assert!(
                    expected.contains(&found),
                    "{name}, {fault:?} at change {n}: {found:?}"
                );
                assert!(
                    outcome.is_err() || found == expected[1],
                    "{name}, {fault:?} at change {n}: an acknowledged change is lost"
                );
                if !disk.is_stopped() {
                    assert!(n > 3, "{name} makes fewer than {n} changes of the disk");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_process_that_ends_at_any_step_of_a_change_leaves_files_and_table_that_say_the_same() {
    for (name, work) in WORKS {
        let expected = before_and_after(work).await;
        for n in 1.. {
            let root = with_ada().await;
            let store = open(root.path(), Arc::new(RealDisk)).await;
            let (files, database) = (store.files.clone(), store.database.clone());
            let mut polls = 0;
            let mut working = Some(work(store));
            let ended = poll_fn(|context| {
                polls += 1;
                let future = working.as_mut().expect("it is dropped after this");
                match future.as_mut().poll(context) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending if polls == n => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            working.take();
            // When a process ends, the kernel ends its threads. Here only the future is dropped, so
            // the test waits until the blocking threads have finished before it starts the store
            // again.
            files.settle().await.unwrap();
            database.settle().await.unwrap();
            drop(database);
            let found = restart(root.path()).await;
            assert!(
                expected.contains(&found),
                "{name}, ended at step {n}: {found:?}"
            );
            if let Some(outcome) = ended {
                outcome.unwrap();
                assert_eq!(found, expected[1], "{name}");
                assert!(n > 3, "{name} has {n} steps");
                break;
            }
        }
    }
}
