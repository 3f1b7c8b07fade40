//! The state that the conversations of all rooms share.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
};

use arc_swap::ArcSwap;
use cache_core::Clock;
use domain::Repositories;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    active::ActiveTurns, drafts::DraftBoard, figures::AnswerFigures, log_lock::LogLocks,
    minute_asks::MinuteAsks, past_rounds::PastRounds, places::Places, responders::Responders,
    running::RunningRooms,
};
use crate::settings::{AnswerLimits, AnswerSettings, MemoryMode};

/// The ports, limits and registries that the conversations of all rooms share.
pub(super) struct Engine {
    pub(super) ports: Repositories,
    pub(super) clock: Clock,
    pub(super) responders: ArcSwap<Responders>,
    pub(super) limits: AnswerLimits,
    pub(super) memories: MemoryMode,
    /// The places for answers that are composed at the same time, in all rooms together.
    pub(super) places: Places,
    /// Limits in how many rooms agents keep answering each other without a new user message.
    pub(super) go_on_permits: Arc<Semaphore>,
    /// How many turns wait for a permit.
    pub(super) waiting: AtomicUsize,
    pub(super) figures: AnswerFigures,
    pub(super) minute_asks: MinuteAsks,
    pub(super) past_rounds: PastRounds,
    /// The tasks of conversations, and of writes that their callers do not wait for.
    pub(super) tasks: TaskTracker,
    pub(super) turns: ActiveTurns,
    pub(super) drafts: DraftBoard,
    pub(super) log_locks: LogLocks,
    pub(super) running: RunningRooms,
    /// Cancelled when the server stops. Ends all conversations.
    pub(super) stopping: CancellationToken,
}

impl Engine {
    pub(super) fn new(
        ports: Repositories,
        clock: Clock,
        responders: Responders,
        settings: &AnswerSettings,
        stopping: CancellationToken,
    ) -> Self {
        let limits = settings.limits.clone();
        let at_once = limits.at_once.clamp(1, Semaphore::MAX_PERMITS);
        let go_on_rooms = limits.go_on_rooms.min(Semaphore::MAX_PERMITS);
        Self {
            ports,
            clock,
            responders: Arc::new(responders).into(),
            limits,
            memories: settings.memories,
            places: Places::new(at_once),
            go_on_permits: Arc::new(Semaphore::new(go_on_rooms)),
            waiting: AtomicUsize::new(0),
            figures: AnswerFigures::default(),
            minute_asks: MinuteAsks::default(),
            past_rounds: PastRounds::default(),
            tasks: TaskTracker::new(),
            turns: ActiveTurns::default(),
            drafts: DraftBoard::default(),
            log_locks: LogLocks::default(),
            running: RunningRooms::default(),
            stopping,
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
