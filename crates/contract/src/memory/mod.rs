//! The in-memory reference backend: one state behind one mutex, so that each method is one atomic step.

mod agents;
mod configs;
mod messages;
mod reads;
mod rooms;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    Activity, Agent, AgentConfig, AgentId, Error, Image, Member, Message, MessageId, ReadPosition,
    Repositories, Result, Room, RoomId, UserId,
};

/// A new and empty store that lives as long as its ports.
pub fn repositories() -> Repositories {
    crate::bundle::bundle(&Arc::new(Memory::default()))
}

/// The store.
#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

impl Memory {
    /// The state, for one step.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Each step checks before it changes, so a panic leaves no half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All rows. The last ids are kept apart from the rows, so that a deleted row's id does not come back.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) agents: BTreeMap<AgentId, AgentRow>,
    pub(crate) rooms: BTreeMap<RoomId, RoomRow>,
    pub(crate) last_agent: i64,
    pub(crate) last_room: i64,
    pub(crate) last_message: i64,
}

/// An agent, living or deleted, and its files.
#[derive(Clone)]
pub(crate) struct AgentRow {
    pub(crate) agent: Arc<Agent>,
    pub(crate) config: Arc<AgentConfig>,
    pub(crate) picture: Option<Arc<[u8]>>,
}

/// A room and all that goes with it.
#[derive(Clone)]
pub(crate) struct RoomRow {
    pub(crate) room: Arc<Room>,
    pub(crate) activity: Arc<Activity>,
    /// By joining.
    pub(crate) members: Vec<Member>,
    /// By seq, and so by id.
    pub(crate) messages: Vec<Arc<Message>>,
    pub(crate) images: BTreeMap<MessageId, Arc<Image>>,
    pub(crate) reads: BTreeMap<UserId, Arc<ReadPosition>>,
    pub(crate) sessions: BTreeMap<AgentId, String>,
}

impl State {
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

/// What stands in `rows` under each of `ids`, by rising id, each once.
fn each_once<'a, K: Ord + Copy, V>(
    rows: &'a BTreeMap<K, V>,
    ids: &[K],
) -> impl Iterator<Item = (K, &'a V)> {
    let ids: BTreeSet<K> = ids.iter().copied().collect();
    ids.into_iter().filter_map(|id| Some((id, rows.get(&id)?)))
}
