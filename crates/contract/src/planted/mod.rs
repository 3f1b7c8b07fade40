//! Backends that each break one rule of the ports, to prove that the laws detect it.
//!
//! A planted backend is the in-memory backend with one [`PlantedFault`]. The tests of this crate
//! check that each fault breaks at least one law, and that each law is broken by at least one
//! fault.

mod agents;
mod appends;
mod changes;
mod configs;
mod edited_files;
mod fault;
mod files;
mod memories;
mod messages;
mod place;
mod read_positions;
mod removals;
mod rooms;
mod usage;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use changes::{ChangesFault, FaultyChanges};
pub use edited_files::{EditedMemory, FileFault};
pub use fault::PlantedFault;
pub use place::{FaultyPlace, PlaceFault};

use crate::{
    bundle::bundle,
    memory::{Memory, RoomRow, Tables},
};
use domain::{
    Activity, Agent, AgentConfig, AgentId, AnswerCounts, Error, Member, Message, NewMessage,
    NoFiles, ReadPosition, RecentEvent, Repositories, Result, Room, RoomId, Session, UserId,
};

/// Returns a new and empty in-memory store that has one fault.
///
/// ```
/// use contract::planted::{PlantedFault, repositories};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let report = contract::check(&repositories(PlantedFault::CheckFails)).await;
/// assert_eq!(report.failed[0].0, "a_store_in_use_is_healthy");
/// # }
/// ```
pub fn repositories(fault: PlantedFault) -> Repositories {
    let memory = Arc::<Memory>::default();
    let planted = Arc::new(Planted {
        files: NoFiles::new(memory.clone(), memory.clone()),
        memory,
        fault,
        remembered: Remembered::default(),
        late_writes: Mutex::default(),
    });
    bundle(&planted, planted.clone())
}

/// The in-memory backend with one fault.
struct Planted {
    memory: Arc<Memory>,
    files: NoFiles,
    fault: PlantedFault,
    remembered: Remembered,
    /// Messages whose callers were dropped. They are appended after settling.
    late_writes: Mutex<Vec<NewMessage>>,
}

/// The first results of reads, for faults that return them again, and the rows of deleted rooms,
/// for faults that keep these rows.
#[derive(Default)]
struct Remembered {
    agents: FirstResults<AgentId, Option<Arc<Agent>>>,
    named: FirstResults<String, Option<Arc<Agent>>>,
    personas: FirstResults<AgentId, Option<Arc<AgentConfig>>>,
    rooms: FirstResults<RoomId, Option<Arc<Room>>>,
    members: FirstResults<RoomId, Arc<[Member]>>,
    activities: FirstResults<RoomId, Option<Arc<Activity>>>,
    tails: FirstResults<RoomId, Vec<Arc<Message>>>,
    answers: FirstResults<RoomId, Option<Arc<AnswerCounts>>>,
    positions: FirstResults<(UserId, RoomId), Option<Arc<ReadPosition>>>,
    sessions: FirstResults<RoomId, Arc<[Session]>>,
    memories: FirstResults<(AgentId, UserId), Arc<[RecentEvent]>>,
    deleted_memories: FirstResults<(AgentId, UserId), Arc<[RecentEvent]>>,
    deleted_rooms: FirstResults<RoomId, RoomRow>,
}

/// The first value that was stored for each key.
struct FirstResults<K, V>(Mutex<BTreeMap<K, V>>);

impl<K, V> Default for FirstResults<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, V: Clone> FirstResults<K, V> {
    /// Returns the first value that was stored for `key`. If there is none, stores and returns
    /// `value`.
    fn first(&self, key: K, value: V) -> V {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_insert(value)
            .clone()
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }
}

impl Planted {
    /// Returns `true` if the backend has this fault.
    fn is(&self, fault: PlantedFault) -> bool {
        self.fault == fault
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.memory.tables()
    }

    /// Returns the rows of a deleted room if the backend has `fault`, which keeps them.
    fn deleted_room(&self, fault: PlantedFault, room: RoomId) -> Option<RoomRow> {
        self.remembered
            .deleted_rooms
            .get(&room)
            .filter(|_| self.is(fault))
    }

    /// Refuses more ids than PostgreSQL accepts as parameters if the backend has `fault`.
    fn limit_ids<K>(&self, ids: &[K], fault: PlantedFault) -> Result<()> {
        if self.is(fault) && ids.len() > usize::from(u16::MAX) {
            return Err(Error::unavailable("too many parameters"));
        }
        Ok(())
    }

    /// Returns `found` in the order of `ids` under the fault `order`, with one copy for each copy
    /// of an id under the fault `repeat`, and unchanged otherwise.
    fn break_order<K: Ord + Copy, V: Clone>(
        &self,
        ids: &[K],
        found: Vec<V>,
        id_of: impl Fn(&V) -> K,
        order: PlantedFault,
        repeat: Option<PlantedFault>,
    ) -> Vec<V> {
        let mut ids = ids.to_vec();
        if self.is(order) {
            let mut distinct = BTreeSet::new();
            ids.retain(|id| distinct.insert(*id));
        } else if repeat == Some(self.fault) {
            ids.sort();
        } else {
            return found;
        }
        ids.into_iter()
            .filter_map(|id| found.iter().find(|value| id_of(value) == id).cloned())
            .collect()
    }
}

/// Returns `result`. If `is_faulty` is set and `result` is an error, returns the substitute
/// instead, if there is one.
fn hide_refusal<T>(
    result: Result<T>,
    is_faulty: bool,
    substitute: impl FnOnce() -> Option<T>,
) -> Result<T> {
    match result {
        Err(error) if is_faulty => substitute().ok_or(error),
        result => result,
    }
}
