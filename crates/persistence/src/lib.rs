//! Greenroom's repositories on SQLite or PostgreSQL, and on agents' YAML files.
//!
//! The crate implements every port of `domain`, without a cache. [`open`] is its entrance.
//!
//! | data | stored in |
//! |---|---|
//! | an agent's id, name, tombstone | table `agents` |
//! | an agent's persona | `agent.yaml` and `memory.yaml` in the agents' folder |
//! | the last valid persona, for times when the files have errors | table `agents` |
//! | rooms, members, messages, read positions, sessions | their tables |
//!
//! Three promises hold on both databases:
//!
//! * **An acknowledged write is durable.** It runs in one transaction whose COMMIT is checked, and
//!   files are flushed before they are renamed into place.
//! * **A failed write says whether it may have been applied.** [`domain::Error::may_be_applied`]
//!   returns it, and [`domain::Settle`] ends the uncertainty.
//! * **Files that a person edits are never overwritten blindly.** A change that meets a foreign
//!   edit is a conflict, and comments and order stay.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
//! use domain::{NewRoom, RoomName, UserId};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let database = format!("sqlite:{}/greenroom.db", folder.path().display());
//! # let agents = folder.path().join("agents");
//! let store = persistence::open(&database, &agents).await?;
//! let new = NewRoom {
//!     owner: UserId::parse("ada")?,
//!     name: RoomName::parse("Library")?,
//!     max_interactions: None,
//! };
//! let room = store.rooms.create(new).await?;
//! assert_eq!(store.rooms.find(room.id).await?, Some(room));
//! # Ok(()) }
//! ```

mod agent_files;
mod agents;
mod members;
mod messages;
mod offline;
mod read_positions;
mod rooms;
mod schemas;
mod sessions;
mod sql;
mod store;
#[cfg(test)]
mod tests;
mod yaml;

use std::{path::Path, sync::Arc};

use domain::{Repositories, Result};

use crate::{
    agent_files::{disk::RealDisk, file_store::FileStore, folder::AgentsFolder},
    sql::database::Database,
    store::SqlStore,
};
pub use crate::{
    offline::{Addition, AgentContents, AgentEntry, AgentExport, AgentImport, GroupContents},
    schemas::SCHEMAS,
};

/// Opens a database and an agents' folder, and returns all repositories on them.
///
/// `database` is `sqlite:FILE` or `postgres://…`. Missing files and folders are created, the schema
/// is migrated, what a crash left half done is completed, and folders of `agents` that no agent has
/// yet become agents.
///
/// # Errors
///
/// * [`domain::Error::Conflict`]: another process uses the database.
/// * [`domain::Error::Invalid`]: the URL is of another kind, or a newer version of Greenroom has
///   migrated the schema.
/// * [`domain::Error::Unavailable`]: the database or the folder cannot be accessed.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let database = format!("sqlite:{}/greenroom.db", folder.path().display());
/// # let agents = folder.path().join("agents");
/// let store = persistence::open(&database, &agents).await?;
/// assert!(store.rooms.list().await?.is_empty());
///
/// // As long as the first store exists, the database cannot be opened again.
/// let second = persistence::open(&database, &agents).await;
/// assert!(matches!(second, Err(domain::Error::Conflict(_))));
/// # Ok(()) }
/// ```
pub async fn open(database: &str, agents: impl AsRef<Path>) -> Result<Repositories> {
    let folder = AgentsFolder::new(agents.as_ref(), Arc::new(RealDisk));
    let store = SqlStore {
        // Boxed, like the start below: these futures are large, and callers should not carry their
        // size in their own.
        database: Arc::new(Box::pin(Database::open(database)).await?),
        files: Arc::new(FileStore::new(folder)),
    };
    Box::pin(store.start()).await?;
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
