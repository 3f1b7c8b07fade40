//! Greenroom's repositories on SQLite or PostgreSQL, and on the agents' YAML files. Knows nothing of caches.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let (database, agents) = (format!("sqlite:{}/greenroom.db", folder.path().display()), folder.path().join("agents"));
//! let store = persistence::open(&database, &agents).await?;
//! assert!(store.rooms.list().await?.is_empty());
//! # Ok(()) }
//! ```

mod agents;
mod configs;
#[cfg(test)]
mod crash;
mod db;
mod disk;
mod files;
mod folder;
#[cfg(test)]
mod last_good;
mod lock;
mod messages;
mod offline;
mod pending;
mod place;
mod reads;
mod recover;
mod rooms;
mod rows;
mod schema;
mod schemas;
mod seen;
mod sql;
mod watch;
mod yaml;

use std::{path::Path, sync::Arc};

use domain::{Repositories, Result};

use crate::{db::Db, disk::RealDisk, files::Files, folder::Folder, sql::SqlStore};
pub use crate::{
    offline::{Addition, AgentEntry, AgentExport, AgentFiles, AgentImport, GroupFiles},
    schemas::SCHEMAS,
};

/// Opens a database, `sqlite:FILE` or `postgres://…`, and an agents' folder: brings the schema up to date, keeps a
/// second process out, and makes agents of the files that no agent has yet.
///
/// A second process is a conflict, a newer schema is invalid.
pub async fn open(database: &str, agents: impl AsRef<Path>) -> Result<Repositories> {
    let files = Files::new(Folder::new(agents.as_ref(), Arc::new(RealDisk)));
    let store = SqlStore {
        db: Arc::new(Db::open(database).await?),
        files: Arc::new(files),
    };
    store.load().await?;
    let store = Arc::new(store);
    Ok(Repositories {
        agents: store.clone(),
        configs: store.clone(),
        rooms: store.clone(),
        messages: store.clone(),
        read_positions: store.clone(),
        sessions: store.clone(),
        settle: store.clone(),
        health: store,
    })
}
