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

use crate::{
    Activity, Agent, AgentConfig, AgentId, Error, Image, Member, Message, MessageId, ReadPosition,
    Repositories, Result, Room, RoomId, UserId,
};

/// A new and empty store that lives as long as its ports.
pub fn repositories() -> Repositories {
    bundle(&Arc::new(Memory::default()))
}

/// Every port of `store`.
pub(super) fn bundle<S>(store: &Arc<S>) -> Repositories
where
    S: crate::Agents
        + crate::AgentConfigs
        + crate::Rooms
        + crate::Messages
        + crate::ReadPositions
        + crate::Sessions
        + crate::Settle
        + crate::Health
        + 'static,
{
    Repositories {
        agents: store.clone(),
        configs: store.clone(),
        rooms: store.clone(),
        messages: store.clone(),
        read_positions: store.clone(),
        sessions: store.clone(),
        settle: store.clone(),
        health: store.clone(),
    }
}

/// The store.
#[derive(Default)]
pub(super) struct Memory(Mutex<State>);

impl Memory {
    /// The state, for one step.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Each step checks before it changes, so a panic leaves no half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All rows. The last ids are kept apart from the rows, so that a deleted row's id does not come back.
#[derive(Default)]
pub(super) struct State {
    pub(super) agents: BTreeMap<AgentId, AgentRow>,
    pub(super) rooms: BTreeMap<RoomId, RoomRow>,
    pub(super) last_agent: i64,
    pub(super) last_room: i64,
    pub(super) last_message: i64,
}

/// An agent, living or deleted, and its files.
#[derive(Clone)]
pub(super) struct AgentRow {
    pub(super) agent: Arc<Agent>,
    pub(super) config: Arc<AgentConfig>,
    pub(super) picture: Option<Arc<[u8]>>,
}

/// A room and all that goes with it.
#[derive(Clone)]
pub(super) struct RoomRow {
    pub(super) room: Arc<Room>,
    pub(super) activity: Arc<Activity>,
    /// By joining.
    pub(super) members: Vec<Member>,
    /// By seq, and so by id.
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) images: BTreeMap<MessageId, Arc<Image>>,
    pub(super) reads: BTreeMap<UserId, Arc<ReadPosition>>,
    pub(super) sessions: BTreeMap<AgentId, String>,
}

impl State {
    pub(super) fn living(&self, id: AgentId) -> Result<&AgentRow> {
        self.agents
            .get(&id)
            .filter(|row| row.agent.is_living())
            .ok_or_else(|| Error::missing("agent", id))
    }

    pub(super) fn living_mut(&mut self, id: AgentId) -> Result<&mut AgentRow> {
        self.agents
            .get_mut(&id)
            .filter(|row| row.agent.is_living())
            .ok_or_else(|| Error::missing("agent", id))
    }

    pub(super) fn room(&self, id: RoomId) -> Result<&RoomRow> {
        self.rooms
            .get(&id)
            .ok_or_else(|| Error::missing("room", id))
    }

    pub(super) fn room_mut(&mut self, id: RoomId) -> Result<&mut RoomRow> {
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
