//! An agent's turn: it is prompted, composes an answer, and the answer is stored.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::Utc;
use domain::{AgentId, Failure, RecentEvent, RoomChange};
use tokio::sync::SemaphorePermit;

use super::{
    answer_store::{AnswerStore, may_speak},
    budget::ReservedAnswer,
    compose::{ComposeResult, Composer},
    engine::Engine,
    rules::Speaker,
    scene::Scene,
    stop::StopSignals,
    transcript::{AgentPrompt, build_prompt},
};

/// Runs the turn of one agent. Returns `true` if it spoke.
///
/// An agent that has left the room, or to which no message is new, is not prompted.
pub(super) async fn take_turn(
    engine: &Engine,
    scene: &Scene,
    agent: AgentId,
    stop: &StopSignals,
) -> domain::Result<bool> {
    let Some(speaker) = scene.speaker(agent) else {
        return Ok(false);
    };
    let active = engine.turns.begin(scene.room.id, agent, stop);
    let turn = AgentTurn {
        engine,
        scene,
        speaker,
        stop: &active.stop,
    };
    turn.run().await
}

struct AgentTurn<'a> {
    engine: &'a Engine,
    scene: &'a Scene,
    speaker: &'a Speaker,
    stop: &'a StopSignals,
}

/// The permits that an agent holds during its turn.
struct TurnPermits<'a> {
    answer: ReservedAnswer<'a>,
    _room: Option<SemaphorePermit<'a>>,
    _global: Option<SemaphorePermit<'a>>,
}

/// A turn that waits for a permit. It is counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

// Relaxed: the number is shown, and orders nothing.
impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AgentTurn<'_> {
    async fn run(&self) -> domain::Result<bool> {
        let (room, agent) = (self.scene.room.id, self.speaker.id());
        let permits = tokio::select! {
            biased;
            () = self.stop.stopped() => return Ok(false),
            permits = self.acquire() => permits,
        };
        let Some(permits) = permits else {
            return Ok(false);
        };
        if !may_speak(self.engine, room, agent).await? {
            return Ok(false);
        }
        let Some(responder) = self.engine.responders.load().for_room(room) else {
            return Ok(false);
        };
        // Begun before the prompt is built. The prompt may lack messages that are written from now
        // on.
        let answers = AnswerStore::begin(self.engine, room, agent, self.stop).await;
        let prompt = build_prompt(self.engine, self.scene, self.speaker).await?;
        let Some(AgentPrompt { prompt, last_seq }) = prompt else {
            return Ok(false);
        };
        let name = self.speaker.agent.name.to_string();
        let picture = prompt.persona.profile_pic.clone();
        let draft = self.engine.drafts.begin(room, agent, name, picture);
        let composer = Composer {
            engine: self.engine,
            responder: &*responder,
            draft: &draft,
            stop: self.stop,
        };
        let (answer, failure) = match composer.compose(prompt).await {
            ComposeResult::Composed(answer) => (answer, None),
            // Everybody saw the text, so it is stored, too.
            ComposeResult::Failed(failure, answer) => (answer, Some(failure)),
            ComposeResult::Discarded => return Ok(false),
        };
        let is_silent = answer.text.trim().is_empty();
        if !is_silent {
            match answers.store(&answer).await {
                Ok(true) => permits.answer.consume(),
                Ok(false) => return Ok(false),
                // A write that may have happened counts against the room's budget, too.
                Err(error) if error.may_be_applied() => {
                    permits.answer.consume();
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        // After a failure, the agent is not prompted again with the same messages: this would
        // probably fail again, and cost again. After an outage in which it said nothing, it is
        // prompted later.
        let prompted = &self.scene.prompted;
        match &failure {
            Some(failure) if is_silent && failure.kind.is_outage() => {
                prompted.set_without_model(agent, last_seq);
            }
            Some(_) => prompted.set(agent, last_seq),
            None if answer.is_complete => prompted.set(agent, last_seq),
            None => {}
        }
        // The draft is removed only after the message was stored, so that the answer is always
        // visible.
        drop(draft);
        if let Some(failure) = failure {
            self.report_failure(&failure).await?;
            return Ok(false);
        }
        for memory in answer.memories {
            self.add_memory(memory).await;
        }
        if !is_silent && let Err(error) = self.clear_last_error().await {
            tracing::warn!(
                %room,
                %error,
                "cannot clear the room's last error, although an agent answered"
            );
        }
        Ok(!is_silent)
    }

    /// Waits for the turn's permits. Returns `None` if the room may not get another answer.
    async fn acquire(&self) -> Option<TurnPermits<'_>> {
        // Acquire in this order everywhere: room budget, room permit, global permit. Any other
        // order can deadlock.
        let answer = self.scene.budget.reserve().await?;
        // Neither semaphore is ever closed, so an error cannot occur.
        let _waiting = Waiting::new(&self.engine.waiting);
        let room = self.scene.permits.acquire().await.ok();
        let global = self.engine.permits.acquire().await.ok();
        Some(TurnPermits {
            answer,
            _room: room,
            _global: global,
        })
    }

    /// Adds a memory to the agent's persona, which later prompts contain. A failure is only logged,
    /// because the answer has already been stored.
    async fn add_memory(&self, text: String) {
        let agent = self.speaker.id();
        let event = RecentEvent {
            date: Some(Utc::now().date_naive()),
            text,
        };
        if let Err(error) = self.engine.ports.configs.append_memory(agent, event).await {
            tracing::warn!(%agent, %error, "cannot store a memory of the agent");
        }
    }

    async fn report_failure(&self, failure: &Failure) -> domain::Result<()> {
        let (room, agent) = (self.scene.room.id, &self.speaker.agent);
        tracing::warn!(%room, agent = %agent.id, %failure, "agent failed to answer");
        self.set_last_error(Some(format!("{}: {failure}", agent.name)))
            .await
    }

    async fn clear_last_error(&self) -> domain::Result<()> {
        let room = self.engine.ports.rooms.find(self.scene.room.id).await?;
        if room.is_some_and(|room| room.last_error.is_some()) {
            self.set_last_error(None).await?;
        }
        Ok(())
    }

    async fn set_last_error(&self, error: Option<String>) -> domain::Result<()> {
        let change = RoomChange {
            last_error: Some(error),
            ..RoomChange::default()
        };
        let rooms = &self.engine.ports.rooms;
        rooms.update(self.scene.room.id, change).await.map(drop)
    }
}
