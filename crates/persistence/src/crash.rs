//! What a start finds after the process ended in the midst of a change of files and table.

use std::{future::poll_fn, path::Path, pin::Pin, sync::Arc, task::Poll};

use domain::{
    AgentChange, AgentConfig, AgentConfigs, AgentId, AgentName, Agents, GroupName, NewAgent,
    RecentEvent, Result,
};

use crate::{
    agents::{list_living, snapshot},
    db::Db,
    disk::{
        Disk, RealDisk,
        faulty::{Fault, FaultyDisk},
    },
    files::Files,
    folder::Folder,
    place::Place,
    sql::SqlStore,
};

pub(crate) const ADA: AgentId = AgentId(1);

type Working = Pin<Box<dyn Future<Output = Result<()>>>>;
type Work = fn(SqlStore) -> Working;

#[rustfmt::skip] // One row a line.
const WORKS: [(&str, Work); 6] = [
    ("an append",   |store| Box::pin(async move { store.append_memory(ADA, event("new")).await.map(drop) })),
    ("a save",      |store| Box::pin(async move { store.save(ADA, config("new")).await.map(drop) })),
    ("a change",    |store| Box::pin(async move { store.update(ADA, AgentChange { characteristics: Some("new".into()), ..AgentChange::default() }).await.map(drop) })),
    ("a new name",  |store| Box::pin(async move { store.update(ADA, renamed()).await.map(drop) })),
    ("a new agent", |store| Box::pin(async move { store.create(new("Cy")).await.map(drop) })),
    ("a deletion",  |store| Box::pin(async move { Agents::delete(&store, ADA).await })),
];

fn event(text: &str) -> RecentEvent {
    RecentEvent {
        date: None,
        text: text.into(),
    }
}

fn config(text: &str) -> AgentConfig {
    AgentConfig {
        characteristics: text.into(),
        recent_events: vec![event(text)],
        ..AgentConfig::default()
    }
}

pub(crate) fn new(name: &str) -> NewAgent {
    NewAgent {
        name: AgentName::parse(name).unwrap(),
        group: None,
        config: config("old"),
        picture: None,
    }
}

fn renamed() -> AgentChange {
    let (name, group) = (
        AgentName::parse("Bo").unwrap(),
        GroupName::parse("friends").unwrap(),
    );
    AgentChange {
        name: Some(name),
        group: Some(Some(group)),
        characteristics: Some("new".into()),
        ..AgentChange::default()
    }
}

pub(crate) async fn open(root: &Path, disk: Arc<dyn Disk>) -> SqlStore {
    let files = Files::new(Folder::new(root.join("agents"), disk));
    let db = Db::open(&format!("sqlite:{}", root.join("greenroom.db").display()))
        .await
        .unwrap();
    let store = SqlStore {
        db: Arc::new(db),
        files: Arc::new(files),
    };
    store.load().await.unwrap();
    store
}

/// A database and a folder with one agent, `Ada`.
pub(crate) async fn with_ada() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Arc::new(RealDisk)).await;
    assert_eq!(store.create(new("Ada")).await.unwrap().id, ADA);
    root
}

/// Agents by id, with where they stand and what they are.
type Found = Vec<(AgentId, Place, AgentConfig)>;

/// What a start finds, of which files and table say the same.
async fn restarted(root: &Path) -> Found {
    let store = open(root, Arc::new(RealDisk)).await;
    let rows = list_living(&store.db.read()).await.unwrap();
    let mut found = Vec::new();
    for row in &rows {
        let id = row.agent.id;
        let config = AgentConfigs::find(&store, id)
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("{id} has no persona"));
        let persona = store
            .files
            .read(row.place(), Some(id.0))
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("{id} has no files"));
        assert_eq!(persona.config, *config);
        assert_eq!(
            snapshot(&config),
            row.snapshot,
            "the snapshot of {id} is another"
        );
        found.push((id, row.place(), (*config).clone()));
    }
    let folders = store.files.folder.list().unwrap();
    assert_eq!(folders.len(), found.len(), "folders of nobody: {folders:?}");
    found
}

/// What a start finds before and after `work`.
async fn before_and_after(work: Work) -> [Found; 2] {
    let root = with_ada().await;
    let before = restarted(root.path()).await;
    work(open(root.path(), Arc::new(RealDisk)).await)
        .await
        .unwrap();
    [before, restarted(root.path()).await]
}

#[tokio::test]
async fn a_process_that_ends_at_any_change_of_the_disk_leaves_files_and_table_that_say_the_same() {
    for (name, work) in WORKS {
        let wanted = before_and_after(work).await;
        assert_ne!(wanted[0], wanted[1], "{name} changes nothing");
        for fault in [Fault::Stops, Fault::LosesPower] {
            for n in 1.. {
                let root = with_ada().await;
                // What a start changes itself comes first.
                let disk = Arc::new(FaultyDisk::new(Fault::Stops, usize::MAX));
                drop(open(root.path(), disk.clone()).await);
                let disk = Arc::new(FaultyDisk::new(fault, disk.changes() + n));
                let outcome = work(open(root.path(), disk.clone()).await).await;
                let found = restarted(root.path()).await;
                assert!(
                    wanted.contains(&found),
                    "{name}, {fault:?} at change {n}: {found:?}"
                );
                assert!(
                    outcome.is_err() || found == wanted[1],
                    "{name}, {fault:?} at change {n}: an acknowledged change is lost"
                );
                if !disk.has_stopped() {
                    assert!(n > 3, "{name} changes the disk {n} times");
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_process_that_ends_at_any_step_of_a_change_leaves_files_and_table_that_say_the_same() {
    for (name, work) in WORKS {
        let wanted = before_and_after(work).await;
        for n in 1.. {
            let root = with_ada().await;
            let store = open(root.path(), Arc::new(RealDisk)).await;
            let (files, db, mut polls) = (store.files.clone(), store.db.clone(), 0);
            let mut working: Option<Working> = Some(work(store));
            let ended = poll_fn(|context| {
                polls += 1;
                match working
                    .as_mut()
                    .expect("it was not dropped")
                    .as_mut()
                    .poll(context)
                {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending if polls == n => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            working.take();
            // What runs when the process ends is ended by the kernel; here its threads end it before the next start.
            files.settle().await.unwrap();
            db.settle().await.unwrap();
            drop(db);
            let found = restarted(root.path()).await;
            assert!(
                wanted.contains(&found),
                "{name}, ended at step {n}: {found:?}"
            );
            if let Some(outcome) = ended {
                outcome.unwrap();
                assert_eq!(found, wanted[1], "{name}");
                assert!(n > 3, "{name} has {n} steps");
                break;
            }
        }
    }
}
