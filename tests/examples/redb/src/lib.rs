//! An example of a storage backend: every port of `domain` on the embedded key-value store
//! [redb](https://docs.rs/redb), in one file.
//!
//! [`open`] returns the ports. Each method runs one transaction of redb on a thread for blocking
//! calls. redb has one writer and any number of readers, and a reader sees one snapshot. So each
//! method is atomic, and needs no locks of its own.
//!
//! # Tables
//!
//! Values are entities in JSON, unless the table says otherwise. Ids are numbers above 0. A key of
//! several parts is sorted by its first part, then by the second, so that all rows of a room, and
//! all rooms of an owner, are one range.
//!
//! | redb table | key | value |
//! |---|---|---|
//! | `counters` | `agents`, `rooms`, `messages`, `places` | the last number; none is reused |
//! | `agents` | agent | a living agent |
//! | `tombstones` | agent | a deleted agent |
//! | `agent_names` | name | the living agent |
//! | `personas` | agent | the persona of a living agent |
//! | `pictures` | agent | the bytes of a living agent's picture |
//! | `rooms` | room | the room |
//! | `owner_rooms` | owner, room | nothing |
//! | `room_names` | owner, name | the room; direct rooms are left out |
//! | `direct_rooms` | owner, agent | the direct room |
//! | `activities` | room | the activity |
//! | `members` | room, place in the order of joining | the membership |
//! | `member_places` | room, agent | the place |
//! | `sessions` | room, agent | the provider's id of the session |
//! | `messages` | room, message | the message without its image |
//! | `images` | room, message | the image |
//! | `authored` | room, agent, message | the sequence number |
//! | `answer_counts` | room, agent | the number of the agent's messages |
//! | `read_positions` | room, user | the read position |
//! | `memories` | owner, agent | what a living agent remembers of the owner's rooms |
//! | `usage` | day, owner, room, agent, model | the record, with sums of tokens and requests |
//!
//! # Costs
//!
//! | method | cost |
//! |---|---|
//! | `by_authors` | up to `limit` ids of each author, and the messages that it returns |
//! | `tokens`, `sums` | the records of all days in question |
//! | deleting an agent | the memories of all agents |
//! | other reads | the rows that they return, and a few others |
//! | creating or renaming an agent | a comparison with the name of each living agent |
//! | clearing or deleting a room | all rows of the room, in one transaction |
//! | other writes | the rows that they change, and a few others |
//!
//! Each write also waits for a flush of the file. Writes run one after the other, so other writes
//! wait while a long room is cleared or deleted. Reads do not wait. A backend for long rooms would
//! set a mark that hides the old messages, and delete them later in small steps.
//!
//! # Failures
//!
//! A failure before the commit has changed nothing. If the commit fails, the outcome is unknown
//! until [`settle`](domain::Settle::settle) returns: redb refuses further writes, and `settle` or
//! the next write opens the file again, which applies the failed write or discards it.
//!
//! redb locks the file, so a second opener is refused with
//! [`Conflict`](domain::Error::Conflict). The file is closed when the last port is dropped and the
//! last write of a dropped caller has ended. Closing it blocks the thread for a flush.

mod agents;
mod database_file;
mod fields;
mod json_table;
mod members;
mod memories;
mod messages;
mod personas;
mod read_positions;
mod rooms;
mod rows;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod usage;

use std::{path::Path, sync::Arc};

use domain::{Error, NoFiles, Repositories, Result};
use redb::Database;
use tokio::task::spawn_blocking;

use crate::{store::RedbStore, tables::create_tables};

/// Opens the database file at `path`, creates it if it is missing, and returns all ports.
///
/// Fails with `Conflict` if the file is open already, in this process or another.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// use domain::{Error, NewRoom, RoomName, UserId};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("greenroom.redb");
/// let store = redb_backend::open(&path).await?;
/// let (owner, name) = (UserId::parse("ada")?, RoomName::parse("Library")?);
/// let room = store.rooms.create(NewRoom { owner, name, max_interactions: None }).await?;
/// assert_eq!(store.rooms.find(room.id).await?, Some(room));
/// assert!(matches!(redb_backend::open(&path).await, Err(Error::Conflict(_))));
/// # Ok(()) }
/// ```
pub async fn open(path: impl AsRef<Path>) -> Result<Repositories> {
    let path = path.as_ref().to_path_buf();
    let opener = Box::new(move || Database::create(&path));
    let task = spawn_blocking(move || RedbStore::open(opener));
    let store = task.await.map_err(Error::unavailable)??;
    store.write(create_tables).await?;
    let store = Arc::new(store);
    Ok(Repositories {
        agents: store.clone(),
        configs: store.clone(),
        // The personas are not in files that people can edit.
        files: Arc::new(NoFiles::new(store.clone(), store.clone())),
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
