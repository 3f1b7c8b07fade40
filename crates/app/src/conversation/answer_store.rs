//! The write of an answer to the room's log.

use std::sync::Arc;

use domain::{AgentId, Error, NewMessage, RoomId};

use super::{
    compose::Composition,
    engine::Engine,
    log_lock::{LogLock, WriteCounts},
    pauses::Pauses,
    stop::StopSignals,
};

/// The end of an answer that reached a limit of its length. Such an answer counts as one, so it is
/// not marked as interrupted.
const CUT_MARK: &str = " […]";

/// Stores the answer of one turn.
pub(super) struct AnswerStore<'a> {
    engine: &'a Engine,
    room: RoomId,
    agent: AgentId,
    stop: &'a StopSignals,
    log: Arc<LogLock>,
    /// The writes before the prompt was built.
    before: WriteCounts,
}

/// Returns `true` if the agent is a member of the room and is not deleted.
pub(super) async fn may_speak(
    engine: &Engine,
    room: RoomId,
    agent: AgentId,
) -> domain::Result<bool> {
    let members = engine.ports.rooms.members(room).await?;
    if !members.iter().any(|member| member.agent == agent) {
        return Ok(false);
    }
    let agent = engine.ports.agents.find(agent).await?;
    Ok(agent.is_some_and(|agent| agent.is_living()))
}

impl<'a> AnswerStore<'a> {
    /// Begins to watch the writes to the room's log.
    pub(super) async fn begin(
        engine: &'a Engine,
        room: RoomId,
        agent: AgentId,
        stop: &'a StopSignals,
    ) -> Self {
        let log = engine.log_locks.for_room(room);
        let before = *log.lock().await;
        Self {
            engine,
            room,
            agent,
            stop,
            log,
            before,
        }
    }

    /// Stores the answer. Returns `false` if it was discarded instead.
    ///
    /// While the store refuses the write, the answer is kept and the write is tried again, so that
    /// the model is not asked for it twice. If the outcome of a write is unknown, it is not tried
    /// again, because it may have happened.
    pub(super) async fn store(&self, answer: &Composition) -> domain::Result<bool> {
        let mut pauses = Pauses::default();
        loop {
            let error = match self.try_to_store(answer).await {
                Err(error @ Error::Unavailable { .. }) if !error.may_be_applied() => error,
                stored => return stored,
            };
            let pause = pauses.next();
            tracing::warn!(
                room = %self.room,
                agent = %self.agent,
                %error,
                ?pause,
                "the store refused an answer; retrying after the pause"
            );
            tokio::select! {
                () = self.engine.clock.sleep(pause) => {}
                () = self.stop.discard.cancelled() => return Ok(false),
            }
        }
    }

    /// Returns `true` if the answer is no longer wanted.
    pub(super) async fn is_discarded(&self) -> domain::Result<bool> {
        let counts = self.log.lock().await;
        self.is_discarded_by(&counts).await
    }

    async fn is_discarded_by(&self, counts: &WriteCounts) -> domain::Result<bool> {
        Ok(counts.clears != self.before.clears
            || self.stop.discard.is_cancelled()
            || !may_speak(self.engine, self.room, self.agent).await?)
    }

    async fn try_to_store(&self, answer: &Composition) -> domain::Result<bool> {
        // The lock is held until the answer is stored.
        let counts = self.log.lock().await;
        if self.is_discarded_by(&counts).await? {
            return Ok(false);
        }
        // If a person wrote in the meantime, the prompt lacks that message. The answer is then
        // stored as interrupted, so that a restart does not take the message for answered.
        let is_late = counts.user_messages != self.before.user_messages;
        let mut text = answer.text.trim_end().to_owned();
        if answer.is_cut {
            text.push_str(CUT_MARK);
        }
        let message = NewMessage {
            thinking: Some(answer.thinking.clone()).filter(|thinking| !thinking.is_empty()),
            interrupted: !answer.is_complete || is_late,
            ..NewMessage::from_agent(self.room, self.agent, text)
        };
        self.engine.ports.messages.append(message).await?;
        Ok(true)
    }
}
