//! One agent's answer: what it is told, what it composes, what becomes of that.

use std::{collections::HashMap, sync::Arc};

use domain::{AgentId, Composed, Failure, Message, NewMessage, ParticipantType, Prompt, RecentEvent, Responder, RoomChange, Turn};
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    board::Composer,
    room::Scene,
    round::{self, Speaker},
};
use crate::prompt::system_prompt;

/// Memories recalled for one answer.
const RECALLS: usize = 3;

/// How an answer is ended from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// What there is of it is kept.
    pub(crate) keep: CancellationToken,
    /// Nothing of it is.
    pub(crate) discard: CancellationToken,
}

/// What an agent composed.
#[derive(Debug, Default)]
struct Answer {
    thinking: String,
    text: String,
    is_whole: bool,
}

/// How composing ended.
enum Ended {
    With(Answer),
    Silent,
    Recall(String),
    Failed(Failure),
    Discarded,
}

impl Shared {
    /// Has one agent answer, if there is something that it has not answered. Whether it spoke.
    pub(crate) async fn turn(&self, scene: &Scene, agent: AgentId, stop: &Stop) -> bool {
        let Some(speaker) = scene.speakers.iter().find(|speaker| speaker.id() == agent) else { return false };
        if stop.keep.is_cancelled() || stop.discard.is_cancelled() {
            return false;
        }
        let Some(reserved) = scene.budget.reserve() else { return false };
        let answered = match self.answer(scene, speaker, stop).await {
            Ok(spoke) => spoke,
            Err(error) => {
                tracing::warn!(room = %scene.room.id, agent = %agent, %error, "an answer was given up: the store does not answer");
                false
            }
        };
        if answered {
            reserved.used();
        }
        answered
    }

    async fn answer(&self, scene: &Scene, speaker: &Speaker, stop: &Stop) -> domain::Result<bool> {
        let (room, agent) = (scene.room.id, speaker.id());
        let Some(responder) = self.responders.of(room) else { return Ok(false) };
        let Some(context) = self.ports.context(room, agent, self.limits.history).await? else { return Ok(false) };
        // As it is now, not as it was when the round began.
        let speaker = Speaker { config: context.config.clone(), ..speaker.clone() };
        let permits = async { (scene.permits.acquire().await, self.permits.acquire().await) };
        let _permits = tokio::select! {
            biased;
            () = stop.keep.cancelled() => return Ok(false),
            () = stop.discard.cancelled() => return Ok(false),
            permits = permits => permits,
        };
        let said = self.seen(scene, &speaker).await?;
        if !has_news(&said, agent) {
            return Ok(false);
        }
        let turns = self.turns(&said, agent).await?;
        let mut prompt = Prompt {
            room,
            agent,
            name: speaker.agent.name.clone(),
            system: system_prompt(&speaker.agent, &context.config),
            persona: context.config.clone(),
            turns,
            recalled: Vec::new(),
        };
        let composer = self.board.begin(room, agent, speaker.agent.name.to_string(), context.config.profile_pic.clone());
        let ended = loop {
            let ended = self.compose(&*responder, prompt.clone(), &composer, stop).await;
            let Ended::Recall(title) = ended else { break ended };
            let memory = context.config.long_term_memories.iter().find(|memory| memory.title == title);
            match memory {
                Some(memory) if prompt.recalled.len() < RECALLS => prompt.recalled.push(memory.clone()),
                _ => break Ended::Failed(Failure(format!("there is no memory {title:?} to recall"))),
            }
        };
        match ended {
            Ended::With(answer) if answer.text.trim().is_empty() => Ok(false),
            Ended::With(answer) => {
                // Shown until it stands in the room.
                self.say(scene, agent, answer).await?;
                drop(composer);
                self.forget_error(scene).await?;
                Ok(true)
            }
            Ended::Failed(failure) => {
                self.tell_failure(scene, &speaker, &failure).await?;
                Ok(false)
            }
            Ended::Silent | Ended::Recall(_) | Ended::Discarded => Ok(false),
        }
    }

    /// What this agent sees of the conversation, from memory.
    async fn seen(&self, scene: &Scene, speaker: &Speaker) -> domain::Result<Vec<Arc<Message>>> {
        let said = self.ports.messages.recent(scene.room.id, None, self.limits.history).await?;
        Ok(said.into_iter().filter(|message| round::sees(speaker, message, &scene.speakers)).collect())
    }

    async fn turns(&self, said: &[Arc<Message>], agent: AgentId) -> domain::Result<Vec<Turn>> {
        let mut authors: Vec<_> = said.iter().filter_map(|message| message.author).collect();
        authors.sort_unstable();
        authors.dedup();
        // Those who left the room or were deleted keep their names.
        let authors = self.ports.agents.find_many(&authors).await?;
        let names: HashMap<_, _> = authors.iter().map(|agent| (agent.id, agent.name.as_str())).collect();
        let turn = |message: &Arc<Message>| Turn {
            is_own: message.author == Some(agent),
            is_from_user: message.is_from_user(),
            is_interrupted: message.interrupted,
            name: match (message.author, message.participant_type) {
                (Some(author), _) => names.get(&author).copied().unwrap_or("somebody").to_owned(),
                (None, Some(ParticipantType::System)) => "system".to_owned(),
                (None, _) => message.participant_name.clone().unwrap_or_else(|| "user".to_owned()),
            },
            text: message.content.clone(),
        };
        Ok(said.iter().map(turn).collect())
    }

    async fn compose(&self, responder: &dyn Responder, prompt: Prompt, composer: &Composer, stop: &Stop) -> Ended {
        let (room, agent) = (prompt.room, prompt.agent);
        let mut composing = responder.respond(prompt);
        let mut late = self.clock.sleep(self.limits.time_limit.0);
        let mut answer = Answer::default();
        loop {
            let next = tokio::select! {
                biased;
                () = stop.discard.cancelled() => return Ended::Discarded,
                () = stop.keep.cancelled() => return Ended::With(answer),
                () = &mut late => return Ended::Failed(Failure("the answer took too long".to_owned())),
                next = composing.next() => next,
            };
            match next {
                Some(Ok(Composed::Thinking(more))) => {
                    answer.thinking.push_str(self.room_for(&answer.thinking, &more));
                    composer.change(|draft| draft.thinking.clone_from(&answer.thinking));
                }
                Some(Ok(Composed::Text(more))) => {
                    let fits = self.room_for(&answer.text, &more);
                    answer.text.push_str(fits);
                    composer.change(|draft| draft.text.push_str(fits));
                    if fits.len() < more.len() {
                        tracing::warn!(%room, %agent, "an answer was cut off: it is longer than answers may be");
                        return Ended::With(Answer { is_whole: true, ..answer });
                    }
                }
                Some(Ok(Composed::Memory(text))) => self.keep(agent, text).await,
                Some(Ok(Composed::Recall(title))) => {
                    composer.change(|draft| draft.text.clear());
                    return Ended::Recall(title);
                }
                Some(Ok(Composed::Silent)) => return Ended::Silent,
                Some(Ok(Composed::Done)) => return Ended::With(Answer { is_whole: true, ..answer }),
                Some(Err(failure)) => return Ended::Failed(failure),
                None => return Ended::Failed(Failure("the answer was cut off".to_owned())),
            }
        }
    }

    /// So much of `more` as a text that stands at `so_far` may still take.
    fn room_for<'a>(&self, so_far: &str, more: &'a str) -> &'a str {
        let mut end = self.limits.max_chars.saturating_sub(so_far.len()).min(more.len());
        while !more.is_char_boundary(end) {
            end -= 1;
        }
        &more[..end]
    }

    async fn say(&self, scene: &Scene, agent: AgentId, answer: Answer) -> domain::Result<()> {
        let thinking = Some(answer.thinking).filter(|thinking| !thinking.is_empty());
        let said = NewMessage::from_agent(scene.room.id, agent, answer.text.trim_end());
        self.ports.messages.append(NewMessage { thinking, interrupted: !answer.is_whole, ..said }).await.map(drop)
    }

    /// Shows in the agent's next prompt.
    async fn keep(&self, agent: AgentId, text: String) {
        let event = RecentEvent { date: Some(chrono::Utc::now().date_naive()), text };
        if let Err(error) = self.ports.configs.append_memory(agent, event).await {
            tracing::warn!(%agent, %error, "a memory could not be kept");
        }
    }

    async fn tell_failure(&self, scene: &Scene, speaker: &Speaker, failure: &Failure) -> domain::Result<()> {
        let name = &speaker.agent.name;
        tracing::warn!(room = %scene.room.id, agent = %speaker.id(), %failure, "an agent could not answer");
        let change = RoomChange { last_error: Some(Some(format!("{name}: {failure}"))), ..RoomChange::default() };
        self.ports.rooms.update(scene.room.id, change).await.map(drop)
    }

    async fn forget_error(&self, scene: &Scene) -> domain::Result<()> {
        let has_error = self.ports.rooms.find(scene.room.id).await?.is_some_and(|room| room.last_error.is_some());
        if has_error {
            let change = RoomChange { last_error: Some(None), ..RoomChange::default() };
            self.ports.rooms.update(scene.room.id, change).await?;
        }
        Ok(())
    }
}

/// Whether somebody spoke since the agent last finished an answer. One that was interrupted answers nothing.
fn has_news(said: &[Arc<Message>], agent: AgentId) -> bool {
    let unanswered = said.iter().rev().take_while(|message| message.author != Some(agent) || message.interrupted);
    unanswered.into_iter().any(|message| message.author != Some(agent) && message.is_activity())
}
