//! A room's conversation: rounds of answers, one after the other, until there is nothing to say.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{AgentId, Room, RoomChange, RoomId, Seq};
use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};

use super::{
    Cause, Shared,
    round::{self, Speaker},
    turn::Stop,
};

/// Between two attempts while the store does not answer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The room as a round finds it.
pub(crate) struct Scene {
    pub(crate) room: Arc<Room>,
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) budget: Budget,
    pub(crate) permits: Semaphore,
    /// The last message that a person had written.
    last_user_seq: Seq,
    asked: Asked,
}

/// Up to which place each agent was asked, whether it spoke or not.
type Asked = Arc<Mutex<HashMap<AgentId, Seq>>>;

impl Scene {
    /// Whether what a round goes by has changed.
    fn is_other_than(&self, room: &Room) -> bool {
        let goes_by = |room: &Room| (room.is_paused, room.max_interactions, room.finished_seq);
        goes_by(room) != goes_by(&self.room)
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, HashMap<AgentId, Seq>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many answers the room may still have, so that answers at the same time don't exceed it.
pub(crate) struct Budget {
    places: Semaphore,
    left: AtomicUsize,
}

/// A place in the budget, given back when it is dropped unless it was used.
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    place: SemaphorePermit<'a>,
}

impl Budget {
    fn new(left: usize) -> Self {
        let left = left.min(Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(left),
            left: AtomicUsize::new(left),
        }
    }

    /// A place, as soon as one is free; `None` when all are used.
    pub(crate) async fn reserve(&self) -> Option<Reserved<'_>> {
        self.places.acquire().await.ok().map(|place| Reserved {
            budget: self,
            place,
        })
    }
}

impl Reserved<'_> {
    /// An answer was stored.
    pub(crate) fn used(self) {
        self.place.forget();
        if self.budget.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.budget.places.close();
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
    asked: Asked,
}

impl Progress {
    fn hears(&mut self, cause: Cause) {
        if let Cause::Said { mentioned } = cause {
            *self = Self {
                mentioned,
                is_asked: true,
                asked: self.asked.clone(),
                ..Self::default()
            };
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
    pub(crate) async fn run(
        self: Arc<Self>,
        room: RoomId,
        mut causes: mpsc::UnboundedReceiver<Cause>,
    ) {
        let (mut progress, mut pause) = (Progress::default(), FIRST_PAUSE);
        loop {
            let talked = tokio::select! {
                talked = self.talk(room, &mut progress, &mut causes) => talked,
                () = self.stopping.cancelled() => return,
            };
            if let Err(error) = talked {
                tracing::warn!(%room, %error, ?pause, "a conversation waits: the store does not answer");
                tokio::select! {
                    () = self.clock.sleep(pause) => {}
                    Some(cause) = causes.recv() => progress.hears(cause),
                    () = self.stopping.cancelled() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            pause = FIRST_PAUSE;
            if self.stopping.is_cancelled() || self.rests(room, &mut causes, &mut progress) {
                return;
            }
        }
    }

    async fn talk(
        &self,
        room: RoomId,
        progress: &mut Progress,
        causes: &mut mpsc::UnboundedReceiver<Cause>,
    ) -> domain::Result<()> {
        loop {
            while let Ok(cause) = causes.try_recv() {
                progress.hears(cause);
            }
            let Some(scene) = self.scene(room, progress).await? else {
                return Ok(());
            };
            progress.is_asked = false;
            match self.round(&scene, progress, causes).await? {
                Outcome::Interrupted => {}
                Outcome::Ended(spoke) => {
                    progress.rounds += 1;
                    let is_over = !spoke
                        || progress.rounds > self.limits.follow_up_rounds
                            && !self.goes_on(progress, causes).await;
                    if is_over && self.finish(&scene).await? {
                        *progress = Progress::default();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The room, if agents may speak in it.
    async fn scene(&self, id: RoomId, progress: &Progress) -> domain::Result<Option<Scene>> {
        let Some(mut room) = self.ports.rooms.find(id).await? else {
            return Ok(None);
        };
        let activity = self.ports.rooms.activity(id).await?.unwrap_or_default();
        // In a log that was cleared there is nothing to answer.
        if room.is_paused || activity.last_message_seq == Seq(0) {
            return Ok(None);
        }
        if room.is_finished(&activity) {
            if !progress.is_asked {
                return Ok(None);
            }
            // Noted as finished while a person's message was stored.
            room = self
                .ports
                .rooms
                .update(
                    id,
                    RoomChange {
                        is_finished: Some(false),
                        ..RoomChange::default()
                    },
                )
                .await?;
        }
        let said = self
            .ports
            .messages
            .answer_counts(id)
            .await?
            .unwrap_or_default()
            .by_agent
            .values()
            .sum();
        let left = room
            .max_interactions
            .map_or(u64::MAX, |most| u64::from(most).saturating_sub(said));
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let speakers = self.speakers(id).await?;
        let may_speak = left > 0 && !speakers.is_empty();
        let permits = Semaphore::new(
            self.limits
                .at_once_per_room
                .clamp(1, Semaphore::MAX_PERMITS),
        );
        let (budget, asked, last_user_seq) = (
            Budget::new(left),
            progress.asked.clone(),
            activity.last_user_seq,
        );
        Ok(may_speak.then_some(Scene {
            room,
            speakers,
            budget,
            permits,
            last_user_seq,
            asked,
        }))
    }

    async fn speakers(&self, room: RoomId) -> domain::Result<Vec<Speaker>> {
        let members = self.ports.rooms.members(room).await?;
        let mut ids: Vec<_> = members.iter().map(|member| member.agent).collect();
        ids.sort_unstable();
        let (agents, configs) = (
            self.ports.agents.find_many(&ids).await?,
            self.ports.configs.find_many(&ids).await?,
        );
        let speaker = |member: &domain::Member| {
            let agent = agents
                .iter()
                .find(|agent| agent.id == member.agent && agent.is_living())?
                .clone();
            let (_, config) = configs.iter().find(|(id, _)| *id == member.agent)?;
            Some(Speaker {
                member: member.clone(),
                agent,
                config: config.clone(),
            })
        };
        Ok(members.iter().filter_map(speaker).collect())
    }

    /// One round. What a person says meanwhile interrupts it, and so does whatever keeps agents silent.
    async fn round(
        &self,
        scene: &Scene,
        progress: &mut Progress,
        causes: &mut mpsc::UnboundedReceiver<Cause>,
    ) -> domain::Result<Outcome> {
        let stop = Stop::default();
        let mentioned = std::mem::take(&mut progress.mentioned);
        let groups = round::order(&scene.speakers, &mentioned);
        let mut speaking = pin!(self.speak(scene, &groups, &stop));
        loop {
            let cause = tokio::select! {
                spoke = &mut speaking => return spoke.map(Outcome::Ended),
                Some(cause) = causes.recv() => cause,
            };
            let stops = match &cause {
                Cause::Said { .. } => Some(&stop.keep),
                Cause::Cleared => Some(&stop.discard),
                Cause::Changed => match self.ports.rooms.find(scene.room.id).await? {
                    None => Some(&stop.discard),
                    // Fewer answers than there are already must not become more.
                    Some(room) if room.max_interactions != scene.room.max_interactions => {
                        Some(&stop.discard)
                    }
                    Some(room) => scene.is_other_than(&room).then_some(&stop.keep),
                },
            };
            let is_pointless = stops.is_some();
            stops
                .into_iter()
                .for_each(tokio_util::sync::CancellationToken::cancel);
            if is_pointless {
                // Who has answered by then has nothing left to answer; a person's message names others.
                progress.mentioned.clone_from(&mentioned);
            }
            progress.hears(cause);
            if is_pointless {
                return speaking.await.map(|_| Outcome::Interrupted);
            }
        }
    }

    async fn speak(
        &self,
        scene: &Scene,
        groups: &[Vec<AgentId>],
        stop: &Stop,
    ) -> domain::Result<bool> {
        let mut anybody = false;
        for group in groups {
            let spoke = self.together(scene, group, stop).await?;
            anybody |= !spoke.is_empty();
            for interrupter in round::interrupters(&scene.speakers, &spoke) {
                anybody |= self.turn(scene, interrupter, stop).await?;
            }
        }
        self.together(scene, &round::critics(&scene.speakers), stop)
            .await?;
        Ok(anybody)
    }

    /// Has agents answer at the same time. Who spoke; an error of the store when all have ended.
    async fn together(
        &self,
        scene: &Scene,
        agents: &[AgentId],
        stop: &Stop,
    ) -> domain::Result<Vec<AgentId>> {
        let spoke = join_all(agents.iter().map(|agent| self.turn(scene, *agent, stop))).await;
        let spoke = spoke.into_iter().collect::<domain::Result<Vec<_>>>()?;
        Ok(agents
            .iter()
            .zip(spoke)
            .filter_map(|(agent, spoke)| spoke.then_some(*agent))
            .collect())
    }

    /// Whether agents go on by themselves, after a pause.
    async fn goes_on(
        &self,
        progress: &mut Progress,
        causes: &mut mpsc::UnboundedReceiver<Cause>,
    ) -> bool {
        let limits = &self.limits;
        let (pause, rounds) = (
            limits.go_on_every.0,
            progress.rounds - limits.follow_up_rounds,
        );
        let is_over = pause.saturating_mul(rounds) > limits.go_on_for.0 || pause == Duration::ZERO;
        if !limits.go_on || is_over {
            return false;
        }
        if progress.place.is_none() {
            let Ok(place) = self.going_on.clone().try_acquire_owned() else {
                return false;
            };
            progress.place = Some(place);
        }
        let mut over = self.clock.sleep(pause);
        loop {
            tokio::select! {
                () = &mut over => return true,
                Some(cause) = causes.recv() => {
                    // What else changes is seen when the next round looks at the room.
                    if matches!(cause, Cause::Said { .. }) {
                        progress.hears(cause);
                        return true;
                    }
                }
            }
        }
    }

    /// Notes that the room is finished until a person speaks. Whether it is: not if one has spoken meanwhile.
    async fn finish(&self, scene: &Scene) -> domain::Result<bool> {
        let id = scene.room.id;
        let has_spoken = async || {
            let activity = self.ports.rooms.activity(id).await?;
            domain::Result::Ok(
                activity.is_some_and(|activity| activity.last_user_seq > scene.last_user_seq),
            )
        };
        if has_spoken().await? {
            return Ok(false);
        }
        let note = |is_finished: bool| {
            self.ports.rooms.update(
                id,
                RoomChange {
                    is_finished: Some(is_finished),
                    ..RoomChange::default()
                },
            )
        };
        match note(true).await {
            Ok(_) if has_spoken().await? => note(false).await.map(|_| false),
            Ok(_) | Err(domain::Error::Missing { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing has happened since; then the next cause begins anew.
    fn rests(
        &self,
        room: RoomId,
        causes: &mut mpsc::UnboundedReceiver<Cause>,
        progress: &mut Progress,
    ) -> bool {
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
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_comes_back_for_those_who_were_silent() {
        let budget = Budget::new(2);
        let reserve = || budget.reserve().now_or_never();
        let (first, second) = (reserve().unwrap().unwrap(), reserve().unwrap().unwrap());
        assert!(reserve().is_none(), "who comes third waits");
        drop(first);
        let third = reserve().unwrap().unwrap();
        third.used();
        assert!(reserve().is_none(), "the second may yet be silent");
        second.used();
        assert!(reserve().unwrap().is_none(), "all are used");
    }
}
