//! Drafts: the unfinished answers of agents. They are kept in memory only.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{AgentId, RoomId};
use tokio::sync::watch;

/// An answer that is being composed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) profile_pic: Option<String>,
    pub(crate) thinking: String,
    pub(crate) text: String,
}

/// The drafts of all rooms. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DraftBoard(Arc<Mutex<Rooms>>);

#[derive(Debug, Default)]
struct Rooms {
    by_id: HashMap<RoomId, RoomDrafts>,
    /// The number of rooms that remained when idle rooms were last removed.
    rooms_after_sweep: usize,
}

#[derive(Debug)]
struct RoomDrafts {
    by_agent: BTreeMap<AgentId, Draft>,
    changed: watch::Sender<()>,
}

impl Default for RoomDrafts {
    fn default() -> Self {
        Self {
            by_agent: BTreeMap::new(),
            changed: watch::Sender::new(()),
        }
    }
}

impl DraftBoard {
    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the drafts of a room, in ascending order of agent ids.
    pub(crate) fn list(&self, room: RoomId) -> Vec<(AgentId, Draft)> {
        self.lock()
            .by_id
            .get(&room)
            .map_or_else(Vec::new, |drafts| {
                drafts
                    .by_agent
                    .iter()
                    .map(|(id, draft)| (*id, draft.clone()))
                    .collect()
            })
    }

    /// Returns a receiver that is notified whenever a draft of the room changes.
    pub(crate) fn listen(&self, room: RoomId) -> watch::Receiver<()> {
        let mut rooms = self.lock();
        // Rooms without drafts and receivers are removed once the map has doubled in size, so that
        // a call costs amortized constant time.
        if rooms.by_id.len() > 2 * rooms.rooms_after_sweep + 64 {
            rooms.by_id.retain(|_, drafts| {
                !drafts.by_agent.is_empty() || drafts.changed.receiver_count() > 0
            });
            rooms.rooms_after_sweep = rooms.by_id.len();
        }
        rooms.by_id.entry(room).or_default().changed.subscribe()
    }

    /// Starts a draft and notifies receivers. The draft is listed until the returned writer is
    /// dropped.
    pub(crate) fn begin(
        &self,
        room: RoomId,
        agent: AgentId,
        name: String,
        profile_pic: Option<String>,
    ) -> DraftWriter {
        let writer = DraftWriter {
            board: self.clone(),
            room,
            agent,
        };
        writer.change(|draft| {
            *draft = Draft {
                name,
                profile_pic,
                ..Draft::default()
            }
        });
        writer
    }

    fn change(&self, room: RoomId, change: impl FnOnce(&mut BTreeMap<AgentId, Draft>)) {
        let mut rooms = self.lock();
        let drafts = rooms.by_id.entry(room).or_default();
        change(&mut drafts.by_agent);
        let has_receivers = drafts.changed.send(()).is_ok();
        if drafts.by_agent.is_empty() && !has_receivers {
            rooms.by_id.remove(&room);
        }
    }
}

/// A writer of one draft. Dropping it removes the draft.
#[derive(Debug)]
pub(crate) struct DraftWriter {
    board: DraftBoard,
    room: RoomId,
    agent: AgentId,
}

impl DraftWriter {
    /// Changes the draft and notifies receivers.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Draft)) {
        self.board.change(self.room, |drafts| {
            change(drafts.entry(self.agent).or_default());
        });
    }
}

impl Drop for DraftWriter {
    fn drop(&mut self) {
        self.board
            .change(self.room, |drafts| drop(drafts.remove(&self.agent)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_shows_as_it_grows_and_ends_with_its_writer() {
        let board = DraftBoard::default();
        let mut listener = board.listen(RoomId(1));
        assert!(!listener.has_changed().unwrap());
        let writer = board.begin(RoomId(1), AgentId(2), "Ada".into(), None);
        writer.change(|draft| draft.text.push_str("so"));
        assert_eq!(
            board.list(RoomId(1)),
            [(
                AgentId(2),
                Draft {
                    name: "Ada".into(),
                    text: "so".into(),
                    ..Draft::default()
                }
            )]
        );
        assert_eq!(board.list(RoomId(2)), []);
        assert!(listener.has_changed().unwrap());
        listener.mark_unchanged();
        drop(writer);
        assert_eq!(board.list(RoomId(1)), []);
        assert!(listener.has_changed().unwrap());
    }

    #[test]
    fn rooms_in_which_nothing_happens_take_no_memory() {
        let board = DraftBoard::default();
        for room in 0..100 {
            drop(board.begin(RoomId(room), AgentId(1), "Ada".into(), None));
        }
        assert!(board.lock().by_id.is_empty());
        for room in 0..1_000 {
            drop(board.listen(RoomId(room)));
        }
        assert!(board.lock().by_id.len() < 200);
    }
}
