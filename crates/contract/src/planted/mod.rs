//! Backends that each break one rule of the ports, to show that the laws notice.

mod agents;
mod configs;
mod fault;
mod messages;
mod reads;
mod rooms;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use fault::PlantedFault;

use crate::{
    bundle::bundle,
    memory::{Memory, RoomRow, State},
};
use domain::{
    Activity, Agent, AgentConfig, AgentId, AnswerCounts, Member, Message, NewMessage, ReadPosition,
    Repositories, Result, Room, RoomId, Session, UserId,
};

/// A new and empty store that breaks one rule.
pub fn repositories(fault: PlantedFault) -> Repositories {
    bundle(&Arc::new(Planted {
        memory: Memory::default(),
        fault,
        seen: Seen::default(),
        late: Mutex::default(),
    }))
}

/// The in-memory backend, and what is wrong with it.
struct Planted {
    memory: Memory,
    fault: PlantedFault,
    seen: Seen,
    /// Messages whose callers are gone, to land when nobody expects them.
    late: Mutex<Vec<NewMessage>>,
}

/// First answers, for faults that repeat them, and deleted rooms, for faults that keep them.
#[derive(Default)]
struct Seen {
    agents: Firsts<AgentId, Option<Arc<Agent>>>,
    personas: Firsts<AgentId, Option<Arc<AgentConfig>>>,
    rooms: Firsts<RoomId, Option<Arc<Room>>>,
    members: Firsts<RoomId, Arc<[Member]>>,
    activities: Firsts<RoomId, Option<Arc<Activity>>>,
    tails: Firsts<RoomId, Vec<Arc<Message>>>,
    answers: Firsts<RoomId, Option<Arc<AnswerCounts>>>,
    positions: Firsts<(UserId, RoomId), Option<Arc<ReadPosition>>>,
    sessions: Firsts<RoomId, Arc<[Session]>>,
    graves: Firsts<RoomId, RoomRow>,
}

struct Firsts<K, V>(Mutex<BTreeMap<K, V>>);

impl<K, V> Default for Firsts<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, V: Clone> Firsts<K, V> {
    /// What was answered for `key` first.
    fn first(&self, key: K, answer: V) -> V {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_insert(answer)
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
    fn is(&self, fault: PlantedFault) -> bool {
        self.fault == fault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.memory.state()
    }

    /// What a deleted room was, for a fault that keeps that.
    fn grave(&self, fault: PlantedFault, room: RoomId) -> Option<RoomRow> {
        self.seen.graves.get(&room).filter(|_| self.is(fault))
    }

    /// `found` as it is, or as a fault wants it.
    fn batch<K: Ord + Copy, V: Clone>(
        &self,
        ids: &[K],
        found: Vec<V>,
        of: impl Fn(&V) -> K,
        order: PlantedFault,
        repeat: Option<PlantedFault>,
    ) -> Vec<V> {
        let mut ids = ids.to_vec();
        if self.is(order) {
            let mut met = BTreeSet::new();
            ids.retain(|id| met.insert(*id));
        } else if repeat == Some(self.fault) {
            ids.sort();
        } else {
            return found;
        }
        ids.into_iter()
            .filter_map(|id| found.iter().find(|value| of(value) == id).cloned())
            .collect()
    }
}

/// The answer that hides a refusal.
fn glossed<T>(answer: Result<T>, over: bool, instead: impl FnOnce() -> Option<T>) -> Result<T> {
    match answer {
        Err(error) if over => instead().ok_or(error),
        answer => answer,
    }
}
