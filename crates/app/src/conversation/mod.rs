//! Agents answer: when a person writes, in the background, through the cached ports alone.

mod board;
mod room;
mod round;
mod turn;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cache_core::Clock;
use domain::{AgentId, Repositories, Responder, RoomId};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use board::Board;
pub(crate) use board::Draft;

use crate::settings::AnswerLimits;

/// Who finds the agents' words, room by room.
#[derive(Clone, Default)]
pub struct Responders {
    /// In rooms that are not named; without one agents keep silent there.
    pub usual: Option<Arc<dyn Responder>>,
    /// In these rooms.
    pub by_room: BTreeMap<RoomId, Option<Arc<dyn Responder>>>,
}

impl Responders {
    pub(crate) fn of(&self, room: RoomId) -> Option<Arc<dyn Responder>> {
        self.by_room.get(&room).unwrap_or(&self.usual).clone()
    }

    fn is_empty(&self) -> bool {
        self.usual.is_none() && self.by_room.values().all(Option::is_none)
    }
}

impl fmt::Debug for Responders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responders").finish_non_exhaustive()
    }
}

/// Why agents may have something to say.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// A person wrote, and mentioned these agents.
    Said { mentioned: Vec<AgentId> },
    /// The messages were deleted.
    Cleared,
    /// Something else of the room changed.
    Changed,
}

/// The conversations of all rooms. A room in which nothing happens has no task and costs no query.
#[derive(Clone, Debug)]
pub struct Conversations(Arc<Shared>);

struct Shared {
    ports: Repositories,
    clock: Clock,
    responders: Responders,
    limits: AnswerLimits,
    /// Answers at the same time, in all rooms.
    permits: Semaphore,
    /// Rooms that go on without a person.
    going_on: Arc<Semaphore>,
    board: Board,
    /// The rooms whose conversation runs. A cause is sent under this lock, under which a task also ends.
    rooms: Mutex<HashMap<RoomId, mpsc::UnboundedSender<Cause>>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Conversations {
    pub(crate) fn new(
        ports: Repositories,
        clock: Clock,
        responders: Responders,
        limits: &AnswerLimits,
        stopping: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            ports,
            clock,
            responders,
            permits: Semaphore::new(limits.at_once.max(1)),
            going_on: Arc::new(Semaphore::new(limits.go_on_rooms)),
            limits: limits.clone(),
            board: Board::default(),
            rooms: Mutex::default(),
            stopping,
            tasks: TaskTracker::new(),
        }))
    }

    /// Something happened in a room; agents say what they have to say about it.
    pub(crate) fn wake(&self, room: RoomId, cause: Cause) {
        let shared = &self.0;
        if shared.responders.of(room).is_none() || shared.stopping.is_cancelled() {
            return;
        }
        let mut rooms = shared.rooms();
        let cause = match rooms.get(&room).map(|running| running.send(cause.clone())) {
            Some(Ok(())) => return,
            Some(Err(unsent)) => unsent.0,
            None => cause,
        };
        let (sender, causes) = mpsc::unbounded_channel();
        sender.send(cause).expect("its receiver is here");
        rooms.insert(room, sender);
        shared.tasks.spawn(shared.clone().run(room, causes));
    }

    /// Goes on where the last process was ended: in every room whose conversation is not over.
    pub async fn resume(&self) -> domain::Result<()> {
        if self.0.responders.is_empty() {
            return Ok(());
        }
        let rooms = self.0.ports.rooms.list().await?;
        let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
        let activities: HashMap<_, _> = self.0.ports.rooms.activities(&ids).await?.into_iter().collect();
        for room in rooms {
            let goes_on = activities.get(&room.id).is_some_and(|activity| activity.last_user_seq.0 > 0 && !room.is_finished(activity));
            if goes_on && !room.is_paused {
                self.wake(room.id, Cause::Changed);
            }
        }
        Ok(())
    }

    /// Waits until no conversation runs: until all are over, or after the program was told to stop.
    pub async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.tasks.reopen();
    }

    pub(crate) fn drafts(&self, room: RoomId) -> Vec<(AgentId, Draft)> {
        self.0.board.drafts(room)
    }

    pub(crate) fn listen(&self, room: RoomId) -> watch::Receiver<()> {
        self.0.board.listen(room)
    }
}

impl Shared {
    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, mpsc::UnboundedSender<Cause>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("running", &self.rooms().len()).finish_non_exhaustive()
    }
}
