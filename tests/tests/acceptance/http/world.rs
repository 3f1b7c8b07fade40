//! The rooms and agents of a run, and what was written to them.

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

/// Everything that the tasks of a run share.
pub(super) struct World {
    state: Mutex<WrittenState>,
    pub(super) random: Random,
    bypass_percent: usize,
    pub(super) rooms: [RoomLocks; ROOMS],
    /// One lock for each field of an agent.
    pub(super) agents: [[WriterLock<()>; 4]; AGENTS],
    counts: Mutex<Counts>,
}

/// The locks that admit one writer at a time for each value of a room. Writers of different values
/// overlap, even if one cached key holds both values.
#[derive(Default)]
pub(super) struct RoomLocks {
    pub(super) fields: [WriterLock<()>; 3],
    pub(super) members: [WriterLock<()>; AGENTS],
    /// Locked exclusively by a clear, and shared by the senders of messages.
    pub(super) log: RwLock<()>,
}

#[derive(Default)]
pub(super) struct Counts {
    /// The writes that are left, in random order.
    left: Vec<WriteKind>,
    pub(super) writes: usize,
    pub(super) reads: usize,
    /// The first wrong read, which ends the run.
    pub(super) wrong_read: Option<WrongRead>,
}

impl World {
    /// Creates the rooms and agents.
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

    /// Runs `then` on the state while it is locked.
    pub(super) fn with_state<T>(&self, then: impl FnOnce(&mut WrittenState) -> T) -> T {
        then(&mut self.state.lock().unwrap())
    }

    /// Returns a copy of the state.
    pub(super) fn state(&self) -> WrittenState {
        self.with_state(|state| state.clone())
    }

    /// Takes the next write; `None` when none is left or the run has ended.
    pub(super) fn next_write(&self) -> Option<WriteKind> {
        let mut counts = self.counts();
        if counts.wrong_read.is_some() {
            None
        } else {
            counts.left.pop()
        }
    }

    /// Ends the run with this wrong read, unless it has ended already.
    pub(super) fn stop(&self, wrong: WrongRead) {
        self.counts().wrong_read.get_or_insert(wrong);
    }

    /// Draws a room. Room 0 comes often, so that writes meet.
    pub(super) fn draw_room(&self) -> usize {
        if self.random.percent(30) {
            0
        } else {
            self.random.below(ROOMS)
        }
    }

    /// Draws whether a read uses the cache.
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
/// An appended message opens no window, and a stored row hides an older load. A fault in windows
/// therefore shows with the other writes, which prevail if a fault is planted.
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
