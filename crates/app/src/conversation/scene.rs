//! The state of a room that one round works with.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use domain::{AgentId, Member, Room, RoomChange, RoomId, Seq, UserId};
use tokio::sync::Semaphore;

use super::{
    budget::AnswerBudget, engine::Engine, progress::RoundProgress, prompted::Prompted, rules,
    rules::Speaker,
};
use crate::{settings::AnswerLimits, traces::TraceCause};

/// The state of a room when a round begins.
pub(super) struct Scene {
    pub(super) room: Arc<Room>,
    pub(super) speakers: Vec<Speaker>,
    pub(super) budget: AnswerBudget,
    /// The number of agents' answers when the round began.
    answers: u64,
    /// The `max_interactions` to which the budget belongs.
    max_interactions: Mutex<Option<u32>>,
    /// Limits how many answers are composed at the same time in this room.
    pub(super) permits: Semaphore,
    /// The sequence number of the last message that a person wrote.
    pub(super) last_user_seq: Seq,
    pub(super) prompted: Prompted,
    /// The request of the last message of a person.
    pub(super) cause: TraceCause,
    /// The number of prompts since a person last wrote.
    asks: Arc<AtomicU32>,
}

impl Scene {
    /// Reads a room. Returns `None` if its agents may not speak now.
    ///
    /// If a person wrote since the last round, the agents speak even if the room was marked as
    /// finished in the meantime.
    pub(super) async fn load(
        engine: &Engine,
        id: RoomId,
        progress: &RoundProgress,
    ) -> domain::Result<Option<Self>> {
        let rooms = &engine.ports.rooms;
        let Some(mut room) = rooms.find(id).await? else {
            return Ok(None);
        };
        let activity = rooms.activity(id).await?.unwrap_or_default();
        // An empty log, for example after a clear, has no message to answer.
        if room.is_paused || activity.last_message_seq == Seq(0) {
            return Ok(None);
        }
        if room.is_finished(&activity) {
            if !progress.is_addressed {
                return Ok(None);
            }
            // The room was marked as finished while the person's message was being stored.
            let change = RoomChange {
                is_finished: Some(false),
                ..RoomChange::default()
            };
            room = rooms.update(id, change).await?;
        }
        let counts = engine.ports.messages.answer_counts(id).await?;
        let answers: u64 = counts.unwrap_or_default().by_agent.values().sum();
        let max_interactions = most_answers(&engine.limits, &room);
        let answers_left = answers_left(max_interactions, answers);
        let speakers = load_speakers(engine, id).await?;
        if answers_left == 0 || speakers.is_empty() {
            return Ok(None);
        }
        let at_once = engine.limits.at_once_per_room;
        Ok(Some(Self {
            max_interactions: Mutex::new(max_interactions),
            room,
            speakers,
            budget: AnswerBudget::new(answers_left),
            answers,
            permits: Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)),
            last_user_seq: activity.last_user_seq,
            prompted: progress.prompted.clone(),
            cause: progress.cause.clone(),
            asks: progress.asks.clone(),
        }))
    }

    /// Returns `true` if `room` differs from the scene's room in a field that affects the round.
    pub(super) fn is_outdated(&self, room: &Room) -> bool {
        self.room.is_paused != room.is_paused || self.room.finished_seq != room.finished_seq
    }

    /// Applies a changed `max_interactions` to the round. Returns `false` if it is lower than the
    /// number of answers, including those that are being composed.
    ///
    /// A higher limit is left to the next round. So no change of the limit makes an agent compose
    /// an answer again, unless the limit forbids the one that it composes.
    pub(super) fn limit_answers(&self, limits: &AnswerLimits, room: &Room) -> bool {
        let max_interactions = most_answers(limits, room);
        let limit = self.max_interactions.lock();
        let mut limit = limit.unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (
            answers_left(*limit, self.answers),
            answers_left(max_interactions, self.answers),
        );
        let has_room = now >= before || self.budget.lower_by(before - now);
        if has_room && now < before {
            *limit = max_interactions;
        }
        has_room
    }

    /// Returns the number of completed rounds since a person last wrote, derived from the log. A
    /// conversation that is resumed goes on from there.
    pub(super) async fn completed_rounds(&self, engine: &Engine) -> domain::Result<u32> {
        let messages = &engine.ports.messages;
        let recent = messages
            .recent(self.room.id, None, engine.limits.history)
            .await?;
        let answers = |agent: AgentId| {
            let of_agent = recent.iter().filter(|message| {
                message.seq > self.last_user_seq
                    && message.author == Some(agent)
                    && !message.interrupted
            });
            u32::try_from(of_agent.count()).unwrap_or(u32::MAX)
        };
        Ok(rules::completed_rounds(&self.speakers, answers))
    }

    /// Counts a prompt. Returns `false`, and counts none, if there were `most`. 0 is no limit.
    pub(super) fn count_ask(&self, most: u32) -> bool {
        // Relaxed, here and below: the number orders nothing.
        let more = |asks: u32| (most == 0 || asks < most).then(|| asks.saturating_add(1));
        let counted = self
            .asks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.is_ok()
    }

    /// Takes a prompt out of the count, because no model has answered it.
    pub(super) fn uncount_ask(&self) {
        self.asks.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the speaker with this id, or `None` if the agent has left or was deleted.
    pub(super) fn speaker(&self, agent: AgentId) -> Option<&Speaker> {
        self.speakers.iter().find(|speaker| speaker.id() == agent)
    }
}

/// Returns the number of answers that a room may have in all: its own limit, and in a guest's room
/// at most `guest_interactions`.
fn most_answers(limits: &AnswerLimits, room: &Room) -> Option<u32> {
    let most = limits.guest_interactions;
    if most == 0 || room.owner == UserId::admin() {
        return room.max_interactions;
    }
    Some(room.max_interactions.map_or(most, |max| max.min(most)))
}

/// Returns the number of answers that a room may still get.
fn answers_left(max_interactions: Option<u32>, answers: u64) -> usize {
    let left = max_interactions.map_or(u64::MAX, |max| u64::from(max).saturating_sub(answers));
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    left.min(Semaphore::MAX_PERMITS)
}

/// Returns the agents of a room that are not deleted and have a persona, in the order in which they
/// joined.
async fn load_speakers(engine: &Engine, room: RoomId) -> domain::Result<Vec<Speaker>> {
    let members = engine.ports.rooms.members(room).await?;
    let mut ids: Vec<_> = members.iter().map(|member| member.agent).collect();
    ids.sort_unstable();
    let agents = engine.ports.agents.find_many(&ids).await?;
    let configs = engine.ports.configs.find_many(&ids).await?;
    let speaker = |member: &Member| {
        let agent = agents
            .iter()
            .find(|agent| agent.id == member.agent && agent.is_living())?;
        let (_, config) = configs.iter().find(|(id, _)| *id == member.agent)?;
        Some(Speaker {
            member: member.clone(),
            agent: agent.clone(),
            config: config.clone(),
        })
    };
    Ok(members.iter().filter_map(speaker).collect())
}
