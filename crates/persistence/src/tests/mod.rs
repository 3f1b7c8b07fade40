//! Tests of the whole store: database and agents' folder together.

mod crash;
mod file_access;
mod groups;
mod ids;
mod last_valid;
mod locks;
mod memory;
mod pictures;
mod purge;
mod send_keys;
mod unreadable_files;

use std::{path::Path, sync::Arc};

use domain::{AgentConfig, AgentId, AgentName, Agents, NewAgent, RecentEvent};

use crate::{
    agent_files::{
        disk::{Disk, RealDisk},
        file_store::FileStore,
        folder::AgentsFolder,
    },
    purge::Purge,
    sql::database::Database,
    store::SqlStore,
};

const ADA: AgentId = AgentId(1);

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

fn new_agent(name: &str) -> NewAgent {
    NewAgent {
        name: AgentName::parse(name).unwrap(),
        group: None,
        config: config("old"),
        picture: None,
    }
}

/// Opens the database and the agents' folder in `root`.
async fn open(root: &Path, disk: Arc<dyn Disk>) -> SqlStore {
    let url = format!("sqlite:{}", root.join("greenroom.db").display());
    let folder = AgentsFolder::new(root.join("agents"), disk);
    let database = Arc::new(Database::open(&url).await.unwrap());
    let store = SqlStore {
        purge: Arc::new(Purge::new(&database)),
        database,
        files: Arc::new(FileStore::new(folder)),
    };
    store.start().await.unwrap();
    store
}

/// Returns a folder with a database and one agent, `Ada`.
async fn with_ada() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path(), Arc::new(RealDisk)).await;
    assert_eq!(store.create(new_agent("Ada")).await.unwrap().id, ADA);
    root
}
