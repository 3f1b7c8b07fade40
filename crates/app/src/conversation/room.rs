//! A room's conversation: rounds of answers, one after the other, until there is nothing to say.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{AgentId, Room, RoomChange, RoomId};
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    Cause, Shared,
    round::{self, Speaker},
    turn::Stop,
};

/// The room as a round finds it.
pub(crate) struct Scene {
    pub(crate) room: Arc<Room>,
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) budget: Budget,
    pub(crate) permits: Semaphore,
}

impl Scene {
    /// Whether what a round goes by has changed.
    fn is_other_than(&self, room: &Room) -> bool {
        let goes_by = |room: &Room| (room.is_paused, room.max_interactions, room.finished_seq);
        goes_by(room) != goes_by(&self.room)
    }
}

/// How many answers the room may still have, so that answers at the same time don't exceed it.
pub(crate) struct Budget(AtomicU64);

/// A place in the budget, given back when it is dropped unless it was used.
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    is_used: bool,
}

impl Budget {
    pub(crate) fn reserve(&self) -> Option<Reserved<'_>> {
        let reserved = self.0.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        reserved.ok().map(|_| Reserved { budget: self, is_used: false })
    }
}

impl Reserved<'_> {
    /// An answer was stored.
    pub(crate) fn used(mut self) {
        self.is_used = true;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.budget.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How far a conversation is.
#[derive(Default)]
struct Progress {
    /// Whose turn it is first.
    mentioned: Vec<AgentId>,
    /// Rounds since a person spoke.
    rounds: u32,
    /// A person spoke, so that the conversation is not over, whatever was noted while that was stored.
    is_asked: bool,
    /// Held while agents go on by themselves.
    place: Option<OwnedSemaphorePermit>,
}

impl Progress {
    fn hears(&mut self, cause: Cause) {
        if let Cause::Said { mentioned } = cause {
            *self = Self { mentioned, rounds: 0, is_asked: true, place: None };
        }
    }
}

/// What a round came to.
enum Outcome {
    /// Whether anybody spoke.
    Ended(bool),
    Interrupted,
}

impl Shared {
    /// Talks until there is nothing to say and nothing has happened meanwhile.
    pub(crate) async fn run(self: Arc<Self>, room: RoomId, mut causes: mpsc::UnboundedReceiver<Cause>) {
        let mut progress = Progress::default();
        loop {
            tokio::select! {
                talked = self.talk(room, &mut progress, &mut causes) => {
                    if let Err(error) = talked {
                        tracing::warn!(%room, %error, "a conversation rests: the store does not answer");
                    }
                }
                () = self.stopping.cancelled() => {}
            }
            if self.stopping.is_cancelled() || self.rests(room, &mut causes, &mut progress) {
                return;
            }
        }
    }

    async fn talk(&self, room: RoomId, progress: &mut Progress, causes: &mut mpsc::UnboundedReceiver<Cause>) -> domain::Result<()> {
        loop {
            while let Ok(cause) = causes.try_recv() {
                progress.hears(cause);
            }
            let Some(scene) = self.scene(room, progress.is_asked).await? else { return Ok(()) };
            progress.is_asked = false;
            match self.round(&scene, progress, causes).await? {
                Outcome::Interrupted => {}
                Outcome::Ended(spoke) => {
                    progress.rounds += 1;
                    let is_over = !spoke || progress.rounds > self.limits.follow_up_rounds && !self.goes_on(progress, causes).await;
                    if is_over {
                        *progress = Progress::default();
                        return self.finish(&scene).await;
                    }
                }
            }
        }
    }

    /// The room, if agents may speak in it.
    async fn scene(&self, id: RoomId, is_asked: bool) -> domain::Result<Option<Scene>> {
        let Some(mut room) = self.ports.rooms.find(id).await? else { return Ok(None) };
        let activity = self.ports.rooms.activity(id).await?.unwrap_or_default();
        if room.is_paused || activity.last_message_seq == domain::Seq(0) {
            return Ok(None);
        }
        if room.is_finished(&activity) {
            if !is_asked {
                return Ok(None);
            }
            // Noted as finished while a person's message was stored.
            room = self.ports.rooms.update(id, RoomChange { is_finished: Some(false), ..RoomChange::default() }).await?;
        }
        let said = self.ports.messages.answers(id).await?.unwrap_or_default().by_agent.values().sum();
        let left = room.max_interactions.map_or(u64::MAX / 2, |most| u64::from(most).saturating_sub(said));
        let speakers = self.speakers(id).await?;
        let may_speak = left > 0 && !speakers.is_empty();
        let permits = Semaphore::new(self.limits.at_once_per_room);
        Ok(may_speak.then(|| Scene { room, speakers, budget: Budget(AtomicU64::new(left)), permits }))
    }

    async fn speakers(&self, room: RoomId) -> domain::Result<Vec<Speaker>> {
        let members = self.ports.rooms.members(room).await?;
        let mut ids: Vec<_> = members.iter().map(|member| member.agent).collect();
        ids.sort_unstable();
        let (agents, configs) = (self.ports.agents.find_many(&ids).await?, self.ports.configs.find_many(&ids).await?);
        let speaker = |member: &domain::Member| {
            let agent = agents.iter().find(|agent| agent.id == member.agent && agent.is_living())?.clone();
            let (_, config) = configs.iter().find(|(id, _)| *id == member.agent)?;
            Some(Speaker { member: member.clone(), agent, config: config.clone() })
        };
        Ok(members.iter().filter_map(speaker).collect())
    }

    /// One round. What a person says meanwhile interrupts it, and so does whatever keeps agents silent.
    async fn round(&self, scene: &Scene, progress: &mut Progress, causes: &mut mpsc::UnboundedReceiver<Cause>) -> domain::Result<Outcome> {
        let stop = Stop::default();
        let groups = round::order(&scene.speakers, &std::mem::take(&mut progress.mentioned));
        let mut speaking = pin!(self.speak(scene, &groups, &stop));
        loop {
            let cause = tokio::select! {
                spoke = &mut speaking => return Ok(Outcome::Ended(spoke)),
                Some(cause) = causes.recv() => cause,
            };
            let stops = match &cause {
                Cause::Said { .. } => Some(&stop.keep),
                Cause::Cleared => Some(&stop.discard),
                Cause::Changed => match self.ports.rooms.find(scene.room.id).await? {
                    None => Some(&stop.discard),
                    Some(room) => scene.is_other_than(&room).then_some(&stop.keep),
                },
            };
            let is_pointless = stops.is_some();
            stops.into_iter().for_each(tokio_util::sync::CancellationToken::cancel);
            progress.hears(cause);
            if is_pointless {
                speaking.await;
                return Ok(Outcome::Interrupted);
            }
        }
    }

    async fn speak(&self, scene: &Scene, groups: &[Vec<AgentId>], stop: &Stop) -> bool {
        let mut anybody = false;
        for group in groups {
            let spoke = self.together(scene, group, stop).await;
            anybody |= !spoke.is_empty();
            for interrupter in round::interrupters(&scene.speakers, &spoke) {
                anybody |= self.turn(scene, interrupter, stop).await;
            }
        }
        self.together(scene, &round::critics(&scene.speakers), stop).await;
        anybody
    }

    /// Has agents answer at the same time. Who spoke.
    async fn together(&self, scene: &Scene, agents: &[AgentId], stop: &Stop) -> Vec<AgentId> {
        let spoke = join_all(agents.iter().map(|agent| self.turn(scene, *agent, stop))).await;
        agents.iter().zip(spoke).filter_map(|(agent, spoke)| spoke.then_some(*agent)).collect()
    }

    /// Whether agents go on by themselves, after a pause.
    async fn goes_on(&self, progress: &mut Progress, causes: &mut mpsc::UnboundedReceiver<Cause>) -> bool {
        let limits = &self.limits;
        let (pause, rounds) = (limits.go_on_every.0, progress.rounds - limits.follow_up_rounds);
        let is_over = pause.saturating_mul(rounds) > limits.go_on_for.0 || pause == Duration::ZERO;
        if !limits.go_on || is_over {
            return false;
        }
        if progress.place.is_none() {
            let Ok(place) = self.going_on.clone().try_acquire_owned() else { return false };
            progress.place = Some(place);
        }
        tokio::select! {
            () = self.clock.sleep(pause) => {}
            Some(cause) = causes.recv() => progress.hears(cause),
        }
        true
    }

    /// Until a person speaks.
    async fn finish(&self, scene: &Scene) -> domain::Result<()> {
        let change = RoomChange { is_finished: Some(true), ..RoomChange::default() };
        match self.ports.rooms.update(scene.room.id, change).await {
            Ok(_) | Err(domain::Error::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing has happened since; then the next cause begins anew.
    fn rests(&self, room: RoomId, causes: &mut mpsc::UnboundedReceiver<Cause>, progress: &mut Progress) -> bool {
        let mut rooms = self.rooms();
        if let Ok(cause) = causes.try_recv() {
            progress.hears(cause);
            return false;
        }
        rooms.remove(&room);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_comes_back_for_those_who_were_silent() {
        let budget = Budget(AtomicU64::new(2));
        let (first, second) = (budget.reserve(), budget.reserve());
        assert!(first.is_some() && second.is_some() && budget.reserve().is_none());
        drop(first);
        let third = budget.reserve().unwrap();
        third.used();
        second.unwrap().used();
        assert!(budget.reserve().is_none());
    }
}
