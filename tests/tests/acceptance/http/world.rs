//! The rooms and agents of a run, and the record of the writes to them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cache_core::Fault;
use serde_json::json;
use tests::{
    client::{CacheMode, Client},
    random::Random,
    staleness::{Version, WrittenAgent, WrittenRoom, WrittenState, WrongRead},
};
use tokio::sync::{Mutex as WriterLock, RwLock};

use super::plan::{Run, WriteKind};

const ROOMS: usize = 8;
pub(super) const AGENTS: usize = 12;

/// The state that the tasks of a run share.
pub(super) struct World {
    state: Mutex<WrittenState>,
    pub(super) random: Random,
    bypass_percent: usize,
    pub(super) rooms: [RoomLocks; ROOMS],
    /// For each agent, one lock for each field.
    pub(super) agents: [[WriterLock<()>; 4]; AGENTS],
    counts: Mutex<Counts>,
}

/// The locks of a room. Each value of a room has one writer at a time. Writers of different values
/// run concurrently, even if one cached key contains both values.
#[derive(Default)]
pub(super) struct RoomLocks {
    pub(super) fields: [WriterLock<()>; 3],
    pub(super) members: [WriterLock<()>; AGENTS],
    /// The lock of the log: exclusive for a clear, shared by the senders of messages.
    pub(super) log: RwLock<()>,
}

#[derive(Default)]
pub(super) struct Counts {
    /// The writes that are still to be made, in random order.
    left: Vec<WriteKind>,
    pub(super) writes: usize,
    pub(super) reads: usize,
    /// The first wrong read, which ends the run.
    pub(super) wrong_read: Option<WrongRead>,
}

impl World {
    /// Creates the rooms and agents of a run on the server.
    pub(super) async fn new(client: &Client, seed: u64, run: Run) -> Self {
        let random = Random::new(seed);
        let mut left: Vec<_> = shares(run.fault)
            .iter()
            .flat_map(|(kind, percent)| vec![*kind; run.writes * percent / 100])
            .collect();
        random.shuffle(&mut left);
        let mut state = WrittenState::default();
        for number in 0..AGENTS {
            let name = format!("Agent {number}");
            let fields = json!({ "in_a_nutshell": "v0", "characteristics": "v0" });
            state.agents.push(WrittenAgent {
                id: client.create_agent_with(&name, fields).await,
                ..WrittenAgent::default()
            });
        }
        for number in 0..ROOMS {
            let id = client
                .create_room(&WrittenState::room_name(number, 0))
                .await;
            let mut members = vec![Version::default(); AGENTS];
            for agent in (0..AGENTS).filter(|agent| agent % 3 == number % 3) {
                client.add_member(id, state.agents[agent].id).await;
                members[agent] = Version::acknowledged(1);
            }
            state.rooms.push(WrittenRoom {
                id,
                members,
                ..WrittenRoom::default()
            });
        }
        Self {
            state: Mutex::new(state),
            random,
            bypass_percent: run.bypass_percent,
            rooms: Default::default(),
            agents: Default::default(),
            counts: Mutex::new(Counts {
                left,
                ..Counts::default()
            }),
        }
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state and runs `then` on it.
    pub(super) fn with_state<T>(&self, then: impl FnOnce(&mut WrittenState) -> T) -> T {
        then(&mut self.state.lock().unwrap())
    }

    /// Returns a copy of the state.
    pub(super) fn state(&self) -> WrittenState {
        self.with_state(|state| state.clone())
    }

    /// Takes the next write; `None` if none is left or the run has ended.
    pub(super) fn next_write(&self) -> Option<WriteKind> {
        let mut counts = self.counts();
        if counts.wrong_read.is_some() {
            None
        } else {
            counts.left.pop()
        }
    }

    /// Ends the run with a wrong read. Does nothing if the run has already ended.
    pub(super) fn stop(&self, wrong: WrongRead) {
        self.counts().wrong_read.get_or_insert(wrong);
    }

    /// Draws a room. Room 0 is drawn often, so that writes conflict.
    pub(super) fn draw_room(&self) -> usize {
        if self.random.percent(30) {
            0
        } else {
            self.random.below(ROOMS)
        }
    }

    /// Draws the cache mode of a read.
    pub(super) fn choose_mode(&self) -> CacheMode {
        if self.random.percent(self.bypass_percent) {
            CacheMode::Bypass
        } else {
            CacheMode::Cached
        }
    }
}

/// Returns the percentage of each kind of write.
///
/// The planted faults break write windows. Two kinds of writes do not reveal them: appending a
/// message opens no window, and a write that stores its row replaces the row of an older load. With
/// a planted fault, other kinds of writes are therefore more frequent.
fn shares(fault: Fault) -> [(WriteKind, usize); 5] {
    match fault {
        Fault::None => [
            (WriteKind::Message, 60),
            (WriteKind::Room, 15),
            (WriteKind::Membership, 10),
            (WriteKind::Agent, 10),
            (WriteKind::Other, 5),
        ],
        _ => [
            (WriteKind::Message, 5),
            (WriteKind::Room, 10),
            (WriteKind::Membership, 70),
            (WriteKind::Agent, 5),
            (WriteKind::Other, 10),
        ],
    }
}
