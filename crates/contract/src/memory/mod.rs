//! The in-memory reference backend.
//!
//! One mutex protects all rows, so that each method is one atomic step. Nothing is stored on disk.

mod agents;
mod change_log;
mod changes;
mod configs;
mod memories;
mod messages;
mod read_positions;
mod rooms;
pub(crate) mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{
    Activity, Agent, AgentConfig, AgentId, Error, Image, Member, Message, MessageId, NoFiles,
    ReadPosition, RecentEvent, Removal, Repositories, Result, Room, RoomId, Timestamp, UsageRecord,
    UserId,
};
use futures_util::future::{BoxFuture, ready};

use self::change_log::{ChangeLog, NodeId};
use crate::{
    bundle::bundle,
    changes::{Node, Share},
    reopen::Reopen,
};

/// Returns a new and empty store. The store is dropped when its last port is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let repositories = contract::memory::repositories();
/// assert_eq!(repositories.rooms.list(None, 10).await, Ok(vec![]));
/// # }
/// ```
pub fn repositories() -> Repositories {
    Memory::bundle(&Arc::default())
}

/// A place that keeps an in-memory store while it is closed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use contract::{Reopen, memory::Place};
///
/// let place = Place::default();
/// let first = place.open().await.expect("nobody else has opened it");
/// assert!(place.try_open().await.is_err());
/// drop(first);
/// assert!(place.open().await.is_ok());
/// # }
/// ```
#[derive(Default)]
pub struct Place(Arc<Memory>);

impl Reopen for Place {
    fn open(&self) -> BoxFuture<'_, Result<Repositories>> {
        self.try_open()
    }

    fn try_open(&self) -> BoxFuture<'_, Result<Repositories>> {
        // Each open port holds the store.
        let opened = if Arc::strong_count(&self.0) == 1 {
            Ok(Memory::bundle(&self.0))
        } else {
            Err(Error::Conflict("the store is open already".into()))
        };
        Box::pin(ready(opened))
    }
}

/// An in-memory store that several processes share.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> domain::Result<()> {
/// use contract::memory::SharedStore;
///
/// let store = SharedStore::default();
/// let (here, there) = (store.node(), store.node());
/// here.changes.begin().await?;
/// assert_eq!(there.repositories.rooms.list(None, 10).await?, []);
/// assert_eq!(here.changes.next().await?, []);
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct SharedStore {
    first: Memory,
    nodes: AtomicU64,
}

impl std::fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedStore").finish_non_exhaustive()
    }
}

impl SharedStore {
    /// Returns the ports of another process.
    pub fn node(&self) -> Node {
        // Relaxed: only the numbers must differ.
        let node = NodeId(self.nodes.fetch_add(1, Ordering::Relaxed));
        let memory = Arc::new(Memory {
            tables: self.first.tables.clone(),
            node: Some(node),
            ..Memory::default()
        });
        Node {
            repositories: Memory::bundle(&memory),
            changes: memory,
        }
    }
}

impl Share for SharedStore {
    fn open_node(&self) -> BoxFuture<'_, Result<Node>> {
        Box::pin(ready(Ok(self.node())))
    }
}

/// The in-memory store, as one process sees it. It implements every port.
#[derive(Default)]
pub(crate) struct Memory {
    tables: Arc<Mutex<Tables>>,
    /// The process, if several share the store.
    node: Option<NodeId>,
    /// The number of changes in the log that this process has read; `None` before `begin`.
    cursor: Mutex<Option<usize>>,
}

impl Memory {
    /// Returns all ports of a store. Its personas are not in files.
    pub(crate) fn bundle(store: &Arc<Self>) -> Repositories {
        bundle(store, Arc::new(NoFiles::new(store.clone(), store.clone())))
    }

    /// Locks the tables for one atomic step.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        // A poisoned lock can be used, because each step makes all its checks before its first
        // change.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.log.writer = self.node;
        tables
    }
}

/// All rows, and the last id of each kind. The last ids are stored so that the id of a deleted row
/// is not reused.
#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) agents: BTreeMap<AgentId, AgentRow>,
    pub(crate) rooms: BTreeMap<RoomId, RoomRow>,
    pub(crate) last_agent: i64,
    pub(crate) last_room: i64,
    pub(crate) last_message: i64,
    /// The messages that users have sent under keys.
    pub(crate) sent: BTreeMap<(UserId, String), SentRow>,
    /// The memories that living agents have of owners' rooms, oldest first.
    pub(crate) memories: BTreeMap<(AgentId, UserId), Vec<RecentEvent>>,
    /// The usage of each day, owner, room, agent and model.
    pub(crate) usage: Vec<UsageRecord>,
    pub(crate) log: ChangeLog,
}

/// The use of a send key.
#[derive(Clone)]
pub(crate) struct SentRow {
    pub(crate) digest: String,
    pub(crate) room: RoomId,
    pub(crate) message: MessageId,
    pub(crate) at: Timestamp,
}

/// A living or deleted agent, with its persona and picture.
#[derive(Clone)]
pub(crate) struct AgentRow {
    pub(crate) agent: Arc<Agent>,
    pub(crate) config: Arc<AgentConfig>,
    pub(crate) picture: Option<Arc<[u8]>>,
}

/// A room, with all rows that are deleted together with the room.
#[derive(Clone)]
pub(crate) struct RoomRow {
    pub(crate) room: Arc<Room>,
    pub(crate) activity: Arc<Activity>,
    /// The members in the order of joining.
    pub(crate) members: Vec<Member>,
    /// The messages in ascending order of sequence numbers, which is also the order of their ids.
    pub(crate) messages: Vec<Arc<Message>>,
    pub(crate) images: BTreeMap<MessageId, Arc<Image>>,
    /// The removals since the last clear, in ascending order of sequence numbers.
    pub(crate) removals: Vec<Removal>,
    pub(crate) reads: BTreeMap<UserId, Arc<ReadPosition>>,
    pub(crate) sessions: BTreeMap<AgentId, String>,
}

impl Tables {
    pub(crate) fn living(&self, id: AgentId) -> Result<&AgentRow> {
        self.agents
            .get(&id)
            .filter(|row| row.agent.is_living())
            .ok_or_else(|| Error::missing("agent", id))
    }

    pub(crate) fn living_mut(&mut self, id: AgentId) -> Result<&mut AgentRow> {
        self.agents
            .get_mut(&id)
            .filter(|row| row.agent.is_living())
            .ok_or_else(|| Error::missing("agent", id))
    }

    pub(crate) fn room(&self, id: RoomId) -> Result<&RoomRow> {
        self.rooms
            .get(&id)
            .ok_or_else(|| Error::missing("room", id))
    }

    pub(crate) fn room_mut(&mut self, id: RoomId) -> Result<&mut RoomRow> {
        self.rooms
            .get_mut(&id)
            .ok_or_else(|| Error::missing("room", id))
    }
}

/// Returns the rows with these ids, in ascending order of ids and without duplicates. Skips unknown
/// ids.
fn each_once<'a, K: Ord + Copy, V>(
    rows: &'a BTreeMap<K, V>,
    ids: &[K],
) -> impl Iterator<Item = (K, &'a V)> {
    let ids: BTreeSet<K> = ids.iter().copied().collect();
    ids.into_iter().filter_map(|id| Some((id, rows.get(&id)?)))
}

/// Returns the first `limit` rows with ids above `after`, or the last `limit` rows if `after` is
/// `None`. The rows are in ascending order of ids.
fn part<K: Ord, V>(
    rows: impl Iterator<Item = V>,
    id_of: impl Fn(&V) -> K,
    after: Option<K>,
    limit: usize,
) -> Vec<V> {
    if let Some(after) = after {
        return rows.filter(|row| id_of(row) > after).take(limit).collect();
    }
    let mut rows: Vec<_> = rows.collect();
    rows.split_off(rows.len().saturating_sub(limit))
}
