//! Drafts: the unfinished answers of agents. They are kept in memory only.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::Bytes;
use domain::{AgentId, RoomId};
use tokio::sync::watch;

/// An answer that is being composed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Differs between the drafts of a room, and changes when the agent composes the answer anew.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) profile_pic: Option<String>,
    pub(crate) thinking: String,
    pub(crate) text: String,
    /// `true` if the agent waits for its place. It then has not been asked yet.
    pub(crate) is_waiting: bool,
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
    by_agent: Drafts,
    /// The number of drafts that were begun.
    begun: u64,
    /// The JSON of the drafts, until one of them changes. All listeners of a room share it.
    json: Option<Bytes>,
    changed: watch::Sender<()>,
}

/// The drafts of one room.
pub(crate) type Drafts = BTreeMap<AgentId, Draft>;

impl Default for RoomDrafts {
    fn default() -> Self {
        Self {
            by_agent: BTreeMap::new(),
            begun: 0,
            json: None,
            changed: watch::Sender::new(()),
        }
    }
}

impl DraftBoard {
    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the result of `read` on the drafts of a room. `read` is called under the lock of all
    /// drafts, so it must be short.
    pub(crate) fn read<T>(&self, room: RoomId, read: impl FnOnce(&Drafts) -> T) -> T {
        match self.lock().by_id.get(&room) {
            Some(drafts) => read(&drafts.by_agent),
            None => read(&BTreeMap::new()),
        }
    }

    /// Returns the results of `read` on the drafts of at most so many rooms in which agents
    /// compose.
    pub(crate) fn rooms<T>(&self, most: usize, read: impl Fn(RoomId, &Drafts) -> T) -> Vec<T> {
        let rooms = self.lock();
        let composing = rooms.by_id.iter();
        let composing = composing.filter(|(_, drafts)| !drafts.by_agent.is_empty());
        let read = |(room, drafts): (&RoomId, &RoomDrafts)| read(*room, &drafts.by_agent);
        composing.take(most).map(read).collect()
    }

    /// Returns the JSON of a room's drafts. Calls `render` if a draft has changed since the last
    /// call.
    pub(crate) fn json(&self, room: RoomId, render: impl FnOnce(&Drafts) -> Bytes) -> Bytes {
        match self.lock().by_id.get_mut(&room) {
            Some(RoomDrafts { by_agent, json, .. }) => {
                json.get_or_insert_with(|| render(by_agent)).clone()
            }
            None => render(&BTreeMap::new()),
        }
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
        writer.begin(|draft| {
            *draft = Draft {
                number: draft.number,
                name,
                profile_pic,
                ..Draft::default()
            };
        });
        writer
    }

    fn change(&self, room: RoomId, change: impl FnOnce(&mut RoomDrafts)) {
        let mut rooms = self.lock();
        let drafts = rooms.by_id.entry(room).or_default();
        change(drafts);
        drafts.json = None;
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
            change(drafts.by_agent.entry(self.agent).or_default());
        });
    }

    /// Removes the text of the draft, because the agent composes the answer from the beginning.
    pub(crate) fn begin_anew(&self) {
        self.begin(|draft| {
            draft.thinking.clear();
            draft.text.clear();
        });
    }

    fn begin(&self, change: impl FnOnce(&mut Draft)) {
        self.board.change(self.room, |drafts| {
            drafts.begun += 1;
            let draft = drafts.by_agent.entry(self.agent).or_default();
            draft.number = drafts.begun;
            change(draft);
        });
    }
}

impl Drop for DraftWriter {
    fn drop(&mut self) {
        self.board.change(self.room, |drafts| {
            drafts.by_agent.remove(&self.agent);
        });
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
            board.read(RoomId(1), Drafts::clone),
            BTreeMap::from([(
                AgentId(2),
                Draft {
                    number: 1,
                    name: "Ada".into(),
                    text: "so".into(),
                    ..Draft::default()
                }
            )])
        );
        assert!(board.read(RoomId(2), Drafts::is_empty));
        assert!(listener.has_changed().unwrap());
        listener.mark_unchanged();
        drop(writer);
        assert!(board.read(RoomId(1), Drafts::is_empty));
        assert!(listener.has_changed().unwrap());
    }

    #[test]
    fn the_json_of_a_room_is_rendered_once_for_each_change() {
        let board = DraftBoard::default();
        let writer = board.begin(RoomId(1), AgentId(2), "Ada".into(), None);
        let mut rendered = 0;
        let mut json = || {
            board.json(RoomId(1), |drafts| {
                rendered += 1;
                drafts[&AgentId(2)].text.clone().into()
            })
        };
        assert_eq!((json(), json()), (Bytes::new(), Bytes::new()));
        writer.change(|draft| draft.text.push_str("so"));
        assert_eq!((json(), json()), ("so".into(), "so".into()));
        assert_eq!(rendered, 2);
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
