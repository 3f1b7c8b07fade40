//! Agents answer: when a person writes, in the background, through the cached ports alone.

mod board;
mod gate;
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
use gate::Gates;

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
    gates: Gates,
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
            permits: Semaphore::new(limits.at_once.clamp(1, Semaphore::MAX_PERMITS)),
            going_on: Arc::new(Semaphore::new(
                limits.go_on_rooms.min(Semaphore::MAX_PERMITS),
            )),
            limits: limits.clone(),
            board: Board::default(),
            gates: Gates::default(),
            rooms: Mutex::default(),
            stopping,
            tasks: TaskTracker::new(),
        }))
    }

    /// Runs a write of the log or the room, and tells the room's agents of it. The write and the word of it go on when the
    /// caller goes away, and a write of unknown outcome is told of, too.
    pub(crate) async fn after<T: Send + 'static>(
        &self,
        room: RoomId,
        cause: Cause,
        write: impl Future<Output = domain::Result<T>> + Send + 'static,
    ) -> domain::Result<T> {
        let conversations = self.clone();
        let written = self.0.tasks.spawn(async move {
            let gate = conversations.0.gates.of(room);
            let landed = |written: &domain::Result<T>| {
                written
                    .as_ref()
                    .map_or_else(domain::Error::may_be_applied, |_| true)
            };
            let mut marks = match &cause {
                Cause::Changed => None,
                Cause::Said { .. } | Cause::Cleared => Some(gate.pass().await),
            };
            let written = write.await;
            if landed(&written) {
                if let Some(marks) = &mut marks {
                    let mark = if matches!(cause, Cause::Cleared) {
                        &mut marks.cleared
                    } else {
                        &mut marks.said
                    };
                    *mark += 1;
                }
                conversations.wake(room, cause);
            }
            drop(marks);
            written
        });
        written
            .await
            .unwrap_or_else(|error| Err(domain::Error::unknown(error)))
    }

    /// Something happened in a room; agents say what they have to say about it.
    fn wake(&self, room: RoomId, cause: Cause) {
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
        /// Rooms that are asked for at once.
        const PAGE: usize = 1_000;
        if self.0.responders.is_empty() {
            return Ok(());
        }
        for rooms in self.0.ports.rooms.list().await?.chunks(PAGE) {
            let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
            let activities: HashMap<_, _> = self
                .0
                .ports
                .rooms
                .activities(&ids)
                .await?
                .into_iter()
                .collect();
            for room in rooms {
                let goes_on = activities.get(&room.id).is_some_and(|activity| {
                    activity.last_user_seq.0 > 0 && !room.is_finished(activity)
                });
                if goes_on && !room.is_paused {
                    self.wake(room.id, Cause::Changed);
                }
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
        f.debug_struct("Shared")
            .field("running", &self.rooms().len())
            .finish_non_exhaustive()
    }
}
