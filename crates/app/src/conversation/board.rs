//! Who composes an answer now, and what there is of it: in memory alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{AgentId, RoomId};
use tokio::sync::watch;

/// An answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) profile_pic: Option<String>,
    pub(crate) thinking: String,
    pub(crate) text: String,
}

/// The drafts of all rooms. Shared by cloning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Rooms>>);

#[derive(Debug, Default)]
struct Rooms {
    by_id: HashMap<RoomId, Drafts>,
    /// How many there were when those in which nothing happens were last forgotten.
    swept: usize,
}

#[derive(Debug)]
struct Drafts {
    by_agent: BTreeMap<AgentId, Draft>,
    changed: watch::Sender<()>,
}

impl Default for Drafts {
    fn default() -> Self {
        Self {
            by_agent: BTreeMap::new(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The drafts of a room, by agent.
    pub(crate) fn drafts(&self, room: RoomId) -> Vec<(AgentId, Draft)> {
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

    /// Rings whenever a draft of the room changes.
    pub(crate) fn listen(&self, room: RoomId) -> watch::Receiver<()> {
        let mut rooms = self.lock();
        if rooms.by_id.len() > 2 * rooms.swept + 64 {
            rooms.by_id.retain(|_, drafts| {
                !drafts.by_agent.is_empty() || drafts.changed.receiver_count() > 0
            });
            rooms.swept = rooms.by_id.len();
        }
        rooms.by_id.entry(room).or_default().changed.subscribe()
    }

    /// A draft that stands until it is dropped.
    pub(crate) fn begin(
        &self,
        room: RoomId,
        agent: AgentId,
        name: String,
        profile_pic: Option<String>,
    ) -> Composer {
        let composer = Composer {
            board: self.clone(),
            room,
            agent,
        };
        composer.change(|draft| {
            *draft = Draft {
                name,
                profile_pic,
                ..Draft::default()
            }
        });
        composer
    }

    fn change(&self, room: RoomId, change: impl FnOnce(&mut BTreeMap<AgentId, Draft>)) {
        let mut rooms = self.lock();
        let drafts = rooms.by_id.entry(room).or_default();
        change(&mut drafts.by_agent);
        let is_heard = drafts.changed.send(()).is_ok();
        if drafts.by_agent.is_empty() && !is_heard {
            rooms.by_id.remove(&room);
        }
    }
}

/// Writes one draft, which goes when this does.
#[derive(Debug)]
pub(crate) struct Composer {
    board: Board,
    room: RoomId,
    agent: AgentId,
}

impl Composer {
    /// Changes the draft.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Draft)) {
        self.board.change(self.room, |drafts| {
            change(drafts.entry(self.agent).or_default());
        });
    }
}

impl Drop for Composer {
    fn drop(&mut self) {
        self.board
            .change(self.room, |drafts| drop(drafts.remove(&self.agent)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_shows_as_it_grows_and_goes_with_its_composer() {
        let board = Board::default();
        let mut listener = board.listen(RoomId(1));
        assert!(!listener.has_changed().unwrap());
        let composer = board.begin(RoomId(1), AgentId(2), "Ada".into(), None);
        composer.change(|draft| draft.text.push_str("so"));
        assert_eq!(
            board.drafts(RoomId(1)),
            [(
                AgentId(2),
                Draft {
                    name: "Ada".into(),
                    text: "so".into(),
                    ..Draft::default()
                }
            )]
        );
        assert_eq!(board.drafts(RoomId(2)), []);
        assert!(listener.has_changed().unwrap());
        listener.mark_unchanged();
        drop(composer);
        assert_eq!(board.drafts(RoomId(1)), []);
        assert!(listener.has_changed().unwrap());
    }

    #[test]
    fn rooms_in_which_nothing_happens_take_no_memory() {
        let board = Board::default();
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
