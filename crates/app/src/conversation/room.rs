//! The conversation of one room: rounds of answers until no agent has anything to say.

use std::{pin::pin, sync::Arc};

use domain::{AgentId, Room, RoomChange, RoomId, Seq};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    engine::Engine, pauses::Pauses, progress::RoundProgress, round::Round, scene::Scene,
    stop::StopSignals, trigger::Trigger,
};

/// The longest wait for people to stop writing, as a multiple of `quiet_time`.
const MOST_QUIET_TIMES: u32 = 5;
/// The number of pauses after which an outage of a model server lasts too long: about a day. The
/// agents are then asked again with the next message or by a retry.
const MOST_OUTAGE_PAUSES: u32 = 24 * 60;

/// The conversation of one room, which runs in a task. The task ends when no agent has anything to
/// say.
pub(super) struct RoomConversation {
    engine: Arc<Engine>,
    room: RoomId,
    triggers: UnboundedReceiver<Trigger>,
    progress: RoundProgress,
}

/// The way in which a round ended.
enum RoundEnd {
    /// All agents had their turn.
    Complete { has_spoken: bool },
    /// A trigger ended the round early.
    Interrupted,
}

/// The way in which a trigger interrupts a round: unfinished answers are stored or discarded.
#[derive(Clone, Copy)]
enum Interruption {
    KeepDrafts,
    DiscardDrafts,
}

impl RoomConversation {
    pub(super) fn new(
        engine: Arc<Engine>,
        room: RoomId,
        triggers: UnboundedReceiver<Trigger>,
    ) -> Self {
        Self {
            engine,
            room,
            triggers,
            progress: RoundProgress::default(),
        }
    }

    /// Runs rounds until no agent has anything to say and no trigger is queued, or the server
    /// stops.
    ///
    /// After an error of the store, waits and tries again.
    pub(super) async fn run(mut self) {
        let engine = self.engine.clone();
        let mut pauses = Pauses::default();
        loop {
            let talked = tokio::select! {
                talked = self.talk() => talked,
                () = engine.stopping.cancelled() => return,
            };
            if let Err(error) = talked {
                let pause = pauses.next();
                tracing::warn!(
                    room = %self.room,
                    %error,
                    ?pause,
                    "conversation paused: the store failed; retrying after the pause"
                );
                tokio::select! {
                    () = engine.clock.sleep(pause) => {}
                    Some(trigger) = self.triggers.recv() => self.progress.apply(trigger),
                    () = engine.stopping.cancelled() => return,
                }
                continue;
            }
            pauses = Pauses::default();
            if engine.stopping.is_cancelled() {
                return;
            }
            match engine.running.remove_if_idle(self.room, &mut self.triggers) {
                Some(trigger) => self.progress.apply(trigger),
                None => return,
            }
        }
    }

    /// Runs rounds until the conversation is finished or the room's agents may not speak.
    async fn talk(&mut self) -> domain::Result<()> {
        loop {
            while let Ok(trigger) = self.triggers.try_recv() {
                self.progress.apply(trigger);
            }
            self.wait_for_quiet().await;
            let scene = Scene::load(&self.engine, self.room, &self.progress).await?;
            let Some(scene) = scene else {
                self.keep_past();
                return Ok(());
            };
            self.progress.last_user_seq = scene.last_user_seq;
            self.progress.is_addressed = false;
            match self.next_round(&scene).await? {
                RoundEnd::Interrupted => {}
                RoundEnd::Complete { has_spoken } => {
                    let goes_on =
                        self.progress.is_addressed || has_spoken && self.has_next_round().await;
                    if goes_on {
                        continue;
                    }
                    if self.progress.prompted.has_outages() && self.wait_for_model().await? {
                        continue;
                    }
                    if self.finish(&scene).await? {
                        self.keep_past();
                        self.progress = RoundProgress::default();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Keeps what was asked, for the next conversation about the same message.
    fn keep_past(&self) {
        let past = self.progress.past();
        // A conversation without a round has asked nothing, and must not replace an earlier one.
        if past.last_user_seq > Seq(0) {
            self.engine.past_rounds.keep(self.room, past);
        }
    }

    /// Runs a round and counts it. If the log shows that the rounds were used up before a restart,
    /// runs none.
    async fn next_round(&mut self, scene: &Scene) -> domain::Result<RoundEnd> {
        // A room that is opened again does not have its agents asked anew.
        let past = &self.engine.past_rounds;
        if let Some(past) = past.take(self.room, scene.last_user_seq) {
            self.progress.continue_from(&past);
        }
        if self.progress.rounds.is_none() {
            let rounds = scene.completed_rounds(&self.engine).await?;
            self.progress.rounds = Some(rounds);
            if rounds > self.engine.limits.follow_up_rounds {
                return Ok(RoundEnd::Complete { has_spoken: true });
            }
        }
        let end = self.run_round(scene).await?;
        if let RoundEnd::Complete { .. } = end {
            self.progress.rounds = self.progress.rounds.map(|rounds| rounds + 1);
        }
        Ok(end)
    }

    /// Returns `true` if another round follows. Waits for the pause before it, if there is one.
    async fn has_next_round(&mut self) -> bool {
        let limits = &self.engine.limits;
        let rounds = self.progress.rounds.unwrap_or_default();
        match rounds.checked_sub(limits.follow_up_rounds) {
            None | Some(0) => true,
            Some(more) => self.goes_on(more).await,
        }
    }

    /// Waits until nobody has written for a moment, so that several messages in a row get one
    /// answer from each agent. People who never pause are answered all the same.
    async fn wait_for_quiet(&mut self) {
        let clock = self.engine.clock.clone();
        let quiet = self.engine.limits.quiet_time;
        if !self.progress.is_addressed || quiet.is_zero() {
            return;
        }
        let mut most = clock.sleep(quiet.saturating_mul(MOST_QUIET_TIMES));
        loop {
            let pause = clock.sleep(quiet);
            tokio::select! {
                biased;
                () = &mut most => return,
                Some(trigger) = self.triggers.recv() => self.progress.apply(trigger),
                () = pause => return,
            }
        }
    }

    /// Runs one round. A user message that addresses other agents interrupts it, and so do a clear
    /// and any change after which agents must not speak.
    async fn run_round(&mut self, scene: &Scene) -> domain::Result<RoundEnd> {
        let engine = self.engine.clone();
        let round = Round {
            engine: &engine,
            scene,
            stop: StopSignals::default(),
        };
        let mentioned = std::mem::take(&mut self.progress.mentioned);
        let mut speaking = pin!(round.run(&mentioned));
        loop {
            let trigger = tokio::select! {
                spoke = &mut speaking => {
                    return spoke.map(|has_spoken| RoundEnd::Complete { has_spoken });
                }
                Some(trigger) = self.triggers.recv() => trigger,
            };
            let interruption = interruption(&engine, scene, &trigger).await?;
            match interruption {
                Some(Interruption::KeepDrafts) => round.stop.keep.cancel(),
                Some(Interruption::DiscardDrafts) => round.stop.discard.cancel(),
                None => {}
            }
            if interruption.is_some() {
                // The next round begins with the same mentioned agents, unless the trigger mentions
                // others. Agents that have answered in this round have nothing new to answer in the
                // next one.
                self.progress.mentioned.clone_from(&mentioned);
            }
            self.progress.apply(trigger);
            if interruption.is_some() {
                return speaking.await.map(|_| RoundEnd::Interrupted);
            }
        }
    }

    /// Waits for the pause before the next round without a new user message. A user message ends
    /// the pause early. Returns `false` if the agents may not continue. `rounds` is the number of
    /// rounds after `follow_up_rounds`.
    async fn goes_on(&mut self, rounds: u32) -> bool {
        let limits = &self.engine.limits;
        let pause = limits.go_on_every;
        let is_over = pause.is_zero() || pause.saturating_mul(rounds) > limits.go_on_for;
        if !limits.go_on || is_over {
            return false;
        }
        if self.progress.go_on_permit.is_none() {
            let Ok(permit) = self.engine.go_on_permits.clone().try_acquire_owned() else {
                return false;
            };
            self.progress.go_on_permit = Some(permit);
        }
        let mut pause_over = self.engine.clock.sleep(pause);
        loop {
            tokio::select! {
                () = &mut pause_over => return true,
                Some(trigger) = self.triggers.recv() => {
                    // Other triggers can be dropped, because the next round reads the room anyway.
                    if matches!(trigger, Trigger::Said { .. } | Trigger::Retried) {
                        self.progress.apply(trigger);
                        return true;
                    }
                }
            }
        }
    }

    /// Waits until agents that could not be asked are to be asked again, because their model server
    /// did not answer or because there was no budget. A message ends the pause early, and so does
    /// the end of the conversation. Returns `false` if the outage lasts too long.
    async fn wait_for_model(&mut self) -> domain::Result<bool> {
        if self.progress.outage.taken() >= MOST_OUTAGE_PAUSES {
            return Ok(false);
        }
        // Other rooms may go on meanwhile.
        self.progress.go_on_permit = None;
        let pause = self.progress.outage.next();
        let mut pause_over = self.engine.clock.sleep(pause);
        loop {
            tokio::select! {
                () = &mut pause_over => {
                    self.progress.prompted.forget_outages();
                    return Ok(true);
                }
                Some(trigger) = self.triggers.recv() => {
                    let wants_answer = matches!(trigger, Trigger::Said { .. } | Trigger::Retried);
                    self.progress.apply(trigger);
                    // Of other changes, only those that end the conversation end the pause.
                    let room = self.engine.ports.rooms.find(self.room).await?;
                    if wants_answer || room.is_none_or(|room| room.is_paused) {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Marks the room as finished. Returns `false`, and leaves the room unfinished, if a person has
    /// written since the round began.
    async fn finish(&self, scene: &Scene) -> domain::Result<bool> {
        if self.has_new_user_message(scene).await? {
            return Ok(false);
        }
        match self.mark_finished(true).await {
            // Checked again, because a message may have been stored between the first check and the
            // update.
            Ok(_) if self.has_new_user_message(scene).await? => {
                self.mark_finished(false).await.map(|_| false)
            }
            Ok(_) | Err(domain::Error::Missing { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Returns `true` if a person has written since the round began.
    async fn has_new_user_message(&self, scene: &Scene) -> domain::Result<bool> {
        let activity = self.engine.ports.rooms.activity(self.room).await?;
        Ok(activity.is_some_and(|activity| activity.last_user_seq > scene.last_user_seq))
    }

    async fn mark_finished(&self, is_finished: bool) -> domain::Result<Arc<Room>> {
        let change = RoomChange {
            is_finished: Some(is_finished),
            ..RoomChange::default()
        };
        self.engine.ports.rooms.update(self.room, change).await
    }
}

/// Returns how a trigger interrupts the round; `None` if the round continues.
async fn interruption(
    engine: &Engine,
    scene: &Scene,
    trigger: &Trigger,
) -> domain::Result<Option<Interruption>> {
    Ok(match trigger {
        Trigger::Said { mentioned, .. } => {
            let is_composing = |agent: &AgentId| {
                let room = scene.room.id;
                engine
                    .drafts
                    .read(room, |drafts| drafts.contains_key(agent))
            };
            // Others than members cannot answer, so they interrupt nobody.
            let members = engine.ports.rooms.members(scene.room.id).await?;
            let is_member = |id: &AgentId| members.iter().any(|member| member.agent == *id);
            let mut addressed = mentioned.iter().filter(|id| is_member(id));
            let is_for_others = !addressed.all(is_composing);
            is_for_others.then_some(Interruption::KeepDrafts)
        }
        Trigger::Cleared => Some(Interruption::DiscardDrafts),
        // The agents that have not answered are asked in the next round.
        Trigger::Retried => None,
        Trigger::Changed => match engine.ports.rooms.find(scene.room.id).await? {
            None => Some(Interruption::DiscardDrafts),
            Some(room) if !scene.limit_answers(&engine.limits, &room) => {
                Some(Interruption::DiscardDrafts)
            }
            Some(room) if scene.is_outdated(&room) => Some(Interruption::KeepDrafts),
            Some(_) => None,
        },
    })
}
