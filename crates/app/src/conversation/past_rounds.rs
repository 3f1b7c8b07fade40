//! The ends of conversations, so that a room that is opened again does not have its agents asked
//! anew.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{RoomId, Seq};

use super::prompted::Prompted;

/// The number of rooms whose last conversation is kept. If there are more, all are forgotten: their
/// agents may then be asked once more.
const MOST_ROOMS: usize = 10_000;

/// The last conversation of each room.
#[derive(Debug, Default)]
pub(super) struct PastRounds(Mutex<HashMap<RoomId, PastRound>>);

/// A conversation that has ended.
#[derive(Debug)]
pub(super) struct PastRound {
    /// The message of a person that the conversation was about.
    pub(super) last_user_seq: Seq,
    pub(super) prompted: Prompted,
    /// The number of prompts since that message.
    pub(super) asks: u32,
}

impl PastRounds {
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, PastRound>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, room: RoomId, past: PastRound) {
        let mut rooms = self.lock();
        if rooms.len() >= MOST_ROOMS {
            rooms.clear();
        }
        rooms.insert(room, past);
    }

    /// Removes the room's last conversation. Returns it if it was about this message.
    pub(super) fn take(&self, room: RoomId, last_user_seq: Seq) -> Option<PastRound> {
        let past = self.lock().remove(&room)?;
        (past.last_user_seq == last_user_seq).then_some(past)
    }
}
