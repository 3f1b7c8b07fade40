//! Stores Greenroom's data in SQLite or PostgreSQL, and agents' personas in YAML files.
//!
//! The crate implements every port of `domain`, without a cache. Call [`open`] to get the ports.
//!
//! | data | stored in |
//! |---|---|
//! | an agent's id, name, tombstone | table `agents` |
//! | an agent's persona | `agent.yaml` and `memory.yaml` in the agents' folder |
//! | an agent's last valid persona, used while the files have errors | table `snapshots` |
//! | rooms, members, messages, read positions, sessions, memories, usage | their tables |
//!
//! Three promises hold on both databases:
//!
//! * **An acknowledged write is durable.** It runs in one transaction whose COMMIT is checked, and
//!   files are flushed before they are renamed into place.
//! * **A failed write says whether it may have been applied.** See
//!   [`domain::Error::may_be_applied`]. [`domain::Settle`] waits until such a write can no longer
//!   take effect.
//! * **Edits by people are not overwritten.** If a person edits a file during a change, the change
//!   fails with a conflict. A change keeps the file's comments and the order of its fields.
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
//!
//! The [glossary] explains the project's words, such as persona, snapshot and settle.
//!
//! [glossary]: https://github.com/greenroom-rs/greenroom/blob/main/docs/glossary.md

mod agent_files;
mod agents;
// On other systems, a lock on the database file would interfere with SQLite's own locks.
#[cfg(target_os = "linux")]
mod inode_lock;
mod members;
mod memories;
mod messages;
mod offline;
mod platform;
mod purge;
mod read_positions;
mod rooms;
mod schemas;
mod sessions;
mod sql;
mod store;
#[cfg(test)]
mod tests;
mod usage;
mod yaml;

use std::{path::Path, sync::Arc};

use domain::{Repositories, Result};

use crate::{
    agent_files::{disk::RealDisk, file_store::FileStore, folder::AgentsFolder},
    purge::Purge,
    sql::database::Database,
    store::SqlStore,
};
pub use crate::{
    offline::{
        Addition, AgentContents, AgentEntry, AgentExport, AgentImport, Backup, BackupReport,
        GroupContents, check_agents, check_database, write_private,
    },
    schemas::SCHEMAS,
};

/// Opens a database and an agents' folder, and returns all repositories on them.
///
/// `database` is `sqlite:FILE` or `postgres://…`. Creates missing files and folders, and migrates
/// the schema. Completes or discards the changes that a crash interrupted. Creates an agent for
/// each folder in `agents` that contains an `agent.yaml` but has no agent yet.
///
/// # Errors
///
/// * [`domain::Error::Conflict`]: another process uses the database, or the agents' folder.
/// * [`domain::Error::Invalid`]: the URL has another scheme, or the schema was migrated by a newer
///   version of Greenroom.
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
/// assert!(store.rooms.list(None, 10).await?.is_empty());
///
/// // As long as the first store exists, the database cannot be opened again.
/// let second = persistence::open(&database, &agents).await;
/// assert!(matches!(second, Err(domain::Error::Conflict(_))));
/// # Ok(()) }
/// ```
pub async fn open(database: &str, agents: impl AsRef<Path>) -> Result<Repositories> {
    let folder = AgentsFolder::new(agents.as_ref(), Arc::new(RealDisk));
    // Boxed, as is `store.start()` below. Both futures are large, and without a box the future of
    // every caller would contain them.
    let database = Arc::new(Box::pin(Database::open(database)).await?);
    let store = SqlStore {
        purge: Arc::new(Purge::new(&database)),
        database,
        files: Arc::new(FileStore::new(folder)),
    };
    store.files.claim()?;
    Box::pin(store.start()).await?;
    store.purge.resume(&store.database).await?;
    let store = Arc::new(store);
    Ok(Repositories {
        agents: store.clone(),
        configs: store.clone(),
        files: store.clone(),
        memories: store.clone(),
        rooms: store.clone(),
        messages: store.clone(),
        read_positions: store.clone(),
        sessions: store.clone(),
        usage: store.clone(),
        settle: store.clone(),
        health: store,
    })
}
