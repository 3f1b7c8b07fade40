//! Conversations: agents answer in the background when a person writes.
//!
//! A message wakes the task of its room (module `room`). The task runs one round after another
//! (`round`). In a round, each agent has a turn (`turn`), in the order that `rules` defines:
//!
//! 1. The agent is prompted with the messages that it has not answered yet (`transcript`).
//! 2. A responder composes the answer (`compose`). Clients see the unfinished text (`drafts`).
//! 3. The answer is stored as a message.
//!
//! All reads and writes go through the cached ports.

mod active;
mod answer_store;
mod budget;
mod compose;
mod drafts;
mod engine;
mod figures;
mod log_lock;
mod minute_asks;
mod past_rounds;
mod pauses;
mod places;
mod progress;
mod prompted;
mod responders;
mod room;
mod round;
mod rules;
mod running;
mod scene;
mod spending;
mod stop;
mod transcript;
mod trigger;
mod turn;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
};

use cache_core::Clock;
use domain::{AgentId, Repositories, RoomId};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use self::responders::Responders;
pub(crate) use drafts::{Draft, DraftBoard, Drafts};
use engine::Engine;
pub(crate) use figures::{AnswerTimes, BOUNDS as ANSWER_BOUNDS, ModelCounts, TurnOutcome};
use log_lock::WriteCounts;
use room::RoomConversation;
pub(crate) use trigger::Trigger;

use crate::settings::AnswerSettings;

/// The conversations of all rooms.
///
/// An idle room has no task and causes no queries. Clones share the conversations.
#[derive(Clone, Debug)]
pub struct Conversations {
    engine: Arc<Engine>,
}

impl Conversations {
    pub(crate) fn new(
        ports: Repositories,
        clock: Clock,
        responders: Responders,
        settings: &AnswerSettings,
        stopping: CancellationToken,
    ) -> Self {
        let engine = Engine::new(ports, clock, responders, settings, stopping);
        Self {
            engine: Arc::new(engine),
        }
    }

    /// Runs a write to a room or its log, then notifies the room's agents.
    ///
    /// The write and the notification complete even if the caller is cancelled. After an error, the
    /// agents are notified only if the write may have been applied.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        room: RoomId,
        trigger: Trigger,
        write: impl Future<Output = domain::Result<T>> + Send + 'static,
    ) -> domain::Result<T> {
        let conversations = self.clone();
        self.in_task(async move {
            let log = conversations.engine.log_locks.for_room(room);
            // Only messages and clears change the log, so only they take its lock. The lock is held
            // until the trigger is queued. So a turn that reads the counts later can rely on the
            // trigger being in the queue.
            let mut counts = match &trigger {
                Trigger::Changed | Trigger::Retried => None,
                Trigger::Said { .. } | Trigger::Cleared => Some(log.lock().await),
            };
            let written = write.await;
            if may_be_applied(&written) {
                if let Some(counts) = &mut counts {
                    count_write(counts, &trigger);
                }
                conversations.wake(room, trigger);
            }
            drop(counts);
            written
        })
        .await
    }

    /// Runs a write that removes an agent from a room, or from all rooms if `room` is `None`. The
    /// agent then stops composing there, and its unfinished answers are discarded.
    ///
    /// The write and the stop complete even if the caller is cancelled.
    pub(crate) async fn remove_agent<T: Send + 'static>(
        &self,
        agent: AgentId,
        room: Option<RoomId>,
        removal: impl Future<Output = domain::Result<T>> + Send + 'static,
    ) -> domain::Result<T> {
        let engine = self.engine.clone();
        self.in_task(async move {
            let removed = removal.await;
            if may_be_applied(&removed) {
                engine.turns.discard(agent, room);
            }
            removed
        })
        .await
    }

    /// Runs a write in a task, so that it completes even if the caller is cancelled. The outcome of
    /// a write that panics is unknown.
    async fn in_task<T: Send + 'static>(
        &self,
        write: impl Future<Output = domain::Result<T>> + Send + 'static,
    ) -> domain::Result<T> {
        let written = self.engine.tasks.spawn(write.in_current_span()).await;
        written.unwrap_or_else(|error| Err(domain::Error::unknown(error)))
    }

    /// Sends the trigger to the room's task. Starts the task if it is not running.
    ///
    /// Does nothing if the room has no responder or if the server is stopping.
    fn wake(&self, room: RoomId, trigger: Trigger) {
        let engine = &self.engine;
        if engine.responders.load().for_room(room).is_none() || engine.stopping.is_cancelled() {
            return;
        }
        if let Some(triggers) = engine.running.send(room, trigger) {
            let conversation = RoomConversation::new(engine.clone(), room, triggers);
            self.engine.tasks.spawn(conversation.run());
        }
    }

    /// Resumes the conversations that were unfinished when the last process ended.
    pub async fn resume(&self) -> domain::Result<()> {
        /// The number of rooms whose activity is read with one query. It bounds the query's size.
        const PAGE: usize = 1_000;
        let ports = &self.engine.ports;
        if self.engine.responders.load().is_empty() {
            return Ok(());
        }
        let mut rooms = ports.rooms.list(Some(RoomId(0)), PAGE).await?;
        while let Some(last) = rooms.last().map(|room| room.id) {
            let ids: Vec<_> = rooms.iter().map(|room| room.id).collect();
            let activities = ports.rooms.activities(&ids).await?;
            let activities: HashMap<_, _> = activities.into_iter().collect();
            for room in &rooms {
                let is_unfinished = activities.get(&room.id).is_some_and(|activity| {
                    activity.last_user_seq.0 > 0 && !room.is_finished(activity)
                });
                if is_unfinished && !room.is_paused {
                    self.wake(room.id, Trigger::Changed);
                }
            }
            rooms = ports.rooms.list(Some(last), PAGE).await?;
        }
        Ok(())
    }

    /// Returns the number of rooms whose conversation is running.
    pub(crate) fn running(&self) -> usize {
        self.engine.running.len()
    }

    /// Returns the figures of each model that was asked since the program started.
    pub(crate) fn figures(&self) -> BTreeMap<String, ModelCounts> {
        self.engine.figures.by_model()
    }

    /// Returns the number of turns in which an agent was asked, by their outcome.
    pub(crate) fn turns(&self) -> [(&'static str, u64); TurnOutcome::ALL.len()] {
        self.engine.figures.turns()
    }

    /// Returns how many answers are being composed now.
    pub(crate) fn composing(&self) -> usize {
        let places = self.engine.limits.at_once.clamp(1, Semaphore::MAX_PERMITS);
        places.saturating_sub(self.engine.places.free())
    }

    /// Returns how many answers wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        // Relaxed: see its updates.
        self.engine.waiting.load(Ordering::Relaxed)
    }

    /// Replaces the responders. Answers that are being composed keep theirs.
    pub(crate) fn replace_responders(&self, responders: Responders) {
        self.engine.responders.store(Arc::new(responders));
    }

    /// Waits until no conversation is running.
    ///
    /// A conversation ends when its agents have nothing more to say, or soon after the server
    /// begins to stop.
    pub async fn ended(&self) {
        self.engine.tasks.close();
        self.engine.tasks.wait().await;
        self.engine.tasks.reopen();
    }

    /// Returns the drafts of all rooms.
    pub(crate) fn drafts(&self) -> &DraftBoard {
        &self.engine.drafts
    }

    /// Returns a receiver that is notified whenever a draft of the room changes.
    pub(crate) fn listen(&self, room: RoomId) -> watch::Receiver<()> {
        self.engine.drafts.listen(room)
    }
}

fn may_be_applied<T>(written: &domain::Result<T>) -> bool {
    match written {
        Ok(_) => true,
        Err(error) => error.may_be_applied(),
    }
}

fn count_write(counts: &mut WriteCounts, trigger: &Trigger) {
    match trigger {
        Trigger::Said { .. } => counts.user_messages += 1,
        Trigger::Cleared => counts.clears += 1,
        Trigger::Changed | Trigger::Retried => {}
    }
}
