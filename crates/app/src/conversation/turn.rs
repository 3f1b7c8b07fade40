//! An agent's turn: it is prompted, composes an answer, and the answer is stored.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::Utc;
use domain::{AgentId, Failure, RecentEvent, Responder, RoomChange, Seq, UserId};
use tokio::sync::SemaphorePermit;
use tracing::{Instrument as _, field::Empty, info_span};

use super::{
    answer_store::{AnswerStore, may_speak},
    budget::ReservedAnswer,
    compose::{ComposeResult, Composer},
    drafts::DraftWriter,
    engine::Engine,
    figures::TurnOutcome,
    places::Place,
    rules::Speaker,
    scene::Scene,
    spending::{TurnUsage, spend},
    stop::StopSignals,
    transcript::{AgentPrompt, build_prompt},
};
use crate::settings::MemoryMode;

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
    _place: Place,
}

/// A prompt, and what its answer needs.
struct Prepared<'a> {
    permits: TurnPermits<'a>,
    responder: Arc<dyn Responder>,
    answers: AnswerStore<'a>,
    prompt: AgentPrompt,
}

/// The end of a turn in which the agent was asked.
struct TurnEnd {
    outcome: TurnOutcome,
    /// `true` if its answer was stored, and did not end by a failure.
    has_spoken: bool,
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
    /// Runs the turn in its span. Returns `true` if the agent spoke.
    async fn run(&self) -> domain::Result<bool> {
        let span = info_span!(
            target: "conversation",
            "turn",
            otel.name = "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.id = %self.speaker.id(),
            gen_ai.conversation.id = %self.scene.room.id,
            greenroom.outcome = Empty,
            otel.status_code = Empty,
        );
        self.scene.cause.link_to(&span);
        let turn = async {
            let Some(prepared) = self.prepare().await? else {
                return Ok(false);
            };
            let end = self.answer(prepared).await;
            // After an error of the store, the agent is asked again.
            let outcome = end.as_ref().map_or(TurnOutcome::Failed, |end| end.outcome);
            span.record("greenroom.outcome", outcome.name());
            if outcome == TurnOutcome::Failed {
                span.record("otel.status_code", "ERROR");
            }
            self.engine.figures.count_turn(outcome);
            Ok(end?.has_spoken)
        };
        turn.instrument(span.clone()).await
    }

    /// Waits for the turn's permits, and builds its prompt. Returns `None` if the agent is not
    /// asked.
    async fn prepare(&self) -> domain::Result<Option<Prepared<'_>>> {
        let (room, agent) = (self.scene.room.id, self.speaker.id());
        let permits = tokio::select! {
            biased;
            () = self.stop.stopped() => return Ok(None),
            permits = self.acquire() => permits,
        };
        let Some(permits) = permits else {
            return Ok(None);
        };
        if !may_speak(self.engine, room, agent).await? {
            return Ok(None);
        }
        let Some(responder) = self.engine.responders.load().for_room(room) else {
            return Ok(None);
        };
        // Begun before the prompt is built. The prompt may lack messages that are written from now
        // on.
        let answers = AnswerStore::begin(self.engine, room, agent, self.stop).await;
        let prompt = build_prompt(self.engine, self.scene, self.speaker, &*responder).await?;
        let Some(prompt) = prompt else {
            return Ok(None);
        };
        if !self.spend(prompt.last_seq).await? {
            return Ok(None);
        }
        Ok(Some(Prepared {
            permits,
            responder,
            answers,
            prompt,
        }))
    }

    /// Asks the agent, and stores its answer.
    async fn answer(&self, prepared: Prepared<'_>) -> domain::Result<TurnEnd> {
        let (room, agent) = (self.scene.room.id, self.speaker.id());
        let Prepared {
            permits,
            responder,
            answers,
            prompt: AgentPrompt { prompt, last_seq },
        } = prepared;
        let draft = self.begin_draft();
        let composer = Composer {
            engine: self.engine,
            room: &self.scene.room,
            responder: &*responder,
            draft: &draft,
            stop: self.stop,
        };
        let mut usage = TurnUsage::new(self.engine, &self.scene.room, agent, responder.model());
        let result = composer.compose(prompt, &mut usage).await;
        usage.store().await;
        let unspoken = |outcome| {
            Ok(TurnEnd {
                outcome,
                has_spoken: false,
            })
        };
        let (answer, failure) = match result? {
            ComposeResult::Composed(answer) => (answer, None),
            // Everybody saw the text, so it is stored, too.
            ComposeResult::Failed(failure, answer) => (answer, Some(failure)),
            ComposeResult::Discarded => return unspoken(TurnOutcome::Interrupted),
            ComposeResult::WithoutBudget(reason) => {
                self.wait_for_budget(last_seq, reason).await?;
                return unspoken(TurnOutcome::Interrupted);
            }
        };
        let is_silent = answer.text.trim().is_empty();
        let outcome = match (answer.is_complete, answer.is_cut) {
            (false, _) => TurnOutcome::Interrupted,
            (true, true) => TurnOutcome::CutOff,
            (true, false) if is_silent => TurnOutcome::Silent,
            (true, false) => TurnOutcome::Said,
        };
        if !is_silent {
            match answers.store(&answer).await {
                Ok(true) => permits.answer.consume(),
                Ok(false) => return unspoken(TurnOutcome::Interrupted),
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
                self.scene.uncount_ask();
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
            return unspoken(TurnOutcome::Failed);
        }
        // An agent may also remember something in silence. One that has left, or whose room was
        // cleared, remembers nothing.
        if answer.is_complete && (!is_silent || !answers.is_discarded().await?) {
            for memory in answer.memories {
                self.add_memory(memory).await;
            }
        }
        if !is_silent && let Err(error) = self.set_last_error(None).await {
            tracing::warn!(
                %room,
                %error,
                "cannot clear the room's last error, although an agent answered"
            );
        }
        Ok(TurnEnd {
            outcome,
            has_spoken: !is_silent,
        })
    }

    /// Waits for the turn's permits. Returns `None` if the room may not get another answer.
    async fn acquire(&self) -> Option<TurnPermits<'_>> {
        // Acquire in this order everywhere: room budget, room permit, place. Any other order can
        // deadlock.
        let answer = self.scene.budget.reserve().await?;
        let _waiting = Waiting::new(&self.engine.waiting);
        // The semaphore is never closed, so an error cannot occur.
        let room = self.scene.permits.acquire().await.ok();
        let place = match self.engine.places.try_take() {
            Some(place) => place,
            None => self.wait_for_place().await,
        };
        Some(TurnPermits {
            answer,
            _room: room,
            _place: place,
        })
    }

    /// Waits for a place. Shows the agent as waiting.
    async fn wait_for_place(&self) -> Place {
        let draft = self.begin_draft();
        draft.change(|draft| draft.is_waiting = true);
        self.engine.places.take(&self.scene.room.owner).await
    }

    fn begin_draft(&self) -> DraftWriter {
        let Speaker { agent, config, .. } = self.speaker;
        let (name, picture) = (agent.name.to_string(), config.profile_pic.clone());
        let drafts = &self.engine.drafts;
        drafts.begin(self.scene.room.id, agent.id, name, picture)
    }

    /// Counts the prompt of this turn. Returns `false` if a budget forbids it. The room then shows
    /// the reason.
    async fn spend(&self, last_seq: Seq) -> domain::Result<bool> {
        if let Err(reason) = spend(self.engine, &self.scene.room).await? {
            self.wait_for_budget(last_seq, reason).await?;
            return Ok(false);
        }
        let most = self.engine.limits.asks_per_message;
        if !self.scene.count_ask(most) {
            let reason = format!("the agents were asked {most} times after the last message");
            self.set_last_error(Some(reason)).await?;
            return Ok(false);
        }
        if self.scene.prompted.set_lacks_budget(false) {
            self.set_last_error(None).await?;
        }
        Ok(true)
    }

    /// Leaves the agent to be prompted when there is budget again. The room shows the reason.
    async fn wait_for_budget(&self, last_seq: Seq, reason: &str) -> domain::Result<()> {
        let prompted = &self.scene.prompted;
        prompted.set_without_model(self.speaker.id(), last_seq);
        prompted.set_lacks_budget(true);
        self.set_last_error(Some(reason.to_owned())).await
    }

    /// Adds a memory, which later prompts contain: to the agent's persona, or to what it remembers
    /// of the owner's rooms. A failure is only logged, because the answer has already been stored.
    async fn add_memory(&self, text: String) {
        let (agent, owner) = (self.speaker.id(), &self.scene.room.owner);
        let event = RecentEvent {
            date: Some(Utc::now().date_naive()),
            text,
        };
        let ports = &self.engine.ports;
        let stored = match self.engine.memories {
            MemoryMode::Off => return,
            MemoryMode::Owner if *owner != UserId::admin() => {
                let most = self.engine.limits.memories;
                let memories = &ports.memories;
                memories
                    .append(agent, owner.clone(), event, most)
                    .await
                    .map(drop)
            }
            MemoryMode::Owner | MemoryMode::Shared => {
                ports.configs.append_memory(agent, event).await.map(drop)
            }
        };
        if let Err(error) = stored {
            tracing::warn!(%agent, %error, "cannot store a memory of the agent");
        }
    }

    async fn report_failure(&self, failure: &Failure) -> domain::Result<()> {
        let (room, agent) = (self.scene.room.id, &self.speaker.agent);
        tracing::warn!(%room, agent = %agent.id, %failure, "agent failed to answer");
        self.set_last_error(Some(format!("{}: {failure}", agent.name)))
            .await
    }

    async fn set_last_error(&self, error: Option<String>) -> domain::Result<()> {
        let room = self.engine.ports.rooms.find(self.scene.room.id).await?;
        if room.is_none_or(|room| room.last_error == error) {
            return Ok(());
        }
        let change = RoomChange {
            last_error: Some(error),
            ..RoomChange::default()
        };
        let rooms = &self.engine.ports.rooms;
        rooms.update(self.scene.room.id, change).await.map(drop)
    }
}
