//! One agent's answer: what it is told, what it composes, what becomes of that.

use std::{collections::HashMap, sync::Arc};

use domain::{
    AgentId, Composed, Failure, Message, NewMessage, ParticipantType, Prompt, RecentEvent,
    Responder, RoomChange, RoomId, Seq, Turn,
};
use futures_util::{StreamExt, future::BoxFuture};
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
/// Memories kept of one answer, and the longest of them in bytes.
const MEMORIES: usize = 3;
const MEMORY_BYTES: usize = 1_000;

/// How an answer is ended from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// What there is of it is kept.
    pub(crate) keep: CancellationToken,
    /// Nothing of it is.
    pub(crate) discard: CancellationToken,
}

impl Stop {
    async fn stopped(&self) {
        tokio::select! {
            () = self.keep.cancelled() => {}
            () = self.discard.cancelled() => {}
        }
    }
}

/// What an agent composed.
#[derive(Debug, Default)]
struct Answer {
    thinking: String,
    text: String,
    memories: Vec<String>,
    is_whole: bool,
}

/// How composing ended.
enum Ended {
    With(Answer),
    Recall(String),
    Failed(Failure),
    Discarded,
}

impl Shared {
    /// Has one agent answer, if there is something that it was not asked about. Whether it spoke.
    pub(crate) async fn turn(
        &self,
        scene: &Scene,
        agent: AgentId,
        stop: &Stop,
    ) -> domain::Result<bool> {
        let Some(speaker) = scene.speakers.iter().find(|speaker| speaker.id() == agent) else {
            return Ok(false);
        };
        // In this order everywhere, so that nobody waits for who waits for it.
        let places = async {
            (
                scene.budget.reserve().await,
                scene.permits.acquire().await,
                self.permits.acquire().await,
            )
        };
        let places = tokio::select! {
            biased;
            () = stop.stopped() => return Ok(false),
            places = places => places,
        };
        let (Some(reserved), _of_room, _of_all) = places else {
            return Ok(false);
        };
        let Some(responder) = self.responders.of(scene.room.id) else {
            return Ok(false);
        };
        let gate = self.gates.of(scene.room.id);
        // What is written from here on is not seen.
        let before = *gate.pass().await;
        let Some((prompt, news)) = self.prompt(scene, speaker).await? else {
            return Ok(false);
        };
        let profile_pic = prompt.persona.profile_pic.clone();
        let composer = self.board.begin(
            scene.room.id,
            agent,
            speaker.agent.name.to_string(),
            profile_pic,
        );
        let answer = match self
            .compose_with_recalls(&*responder, prompt, &composer, stop)
            .await
        {
            Ended::With(answer) => answer,
            Ended::Failed(failure) => {
                scene.asked().insert(agent, news);
                return self
                    .tell_failure(scene, speaker, &failure)
                    .await
                    .map(|()| false);
            }
            Ended::Recall(_) | Ended::Discarded => return Ok(false),
        };
        let (mut is_whole, is_silent) = (answer.is_whole, answer.text.trim().is_empty());
        if !is_silent {
            let marks = gate.pass().await;
            let is_member = self
                .ports
                .rooms
                .members(scene.room.id)
                .await?
                .iter()
                .any(|member| member.agent == agent);
            if marks.cleared != before.cleared || stop.discard.is_cancelled() || !is_member {
                return Ok(false);
            }
            // Who had not seen what a person said meanwhile has not answered it.
            is_whole &= marks.said == before.said;
            let said = self.say(scene, agent, &answer, is_whole).await;
            if said
                .as_ref()
                .map_or_else(domain::Error::may_be_applied, |()| true)
            {
                reserved.used();
            }
            said?;
        }
        if is_whole {
            scene.asked().insert(agent, news);
        }
        // Shown until it stands in the room.
        drop(composer);
        for memory in answer.memories {
            self.keep(agent, memory).await;
        }
        if !is_silent && let Err(error) = self.forget_error(scene).await {
            tracing::warn!(room = %scene.room.id, %error, "the last error of a room that answers again could not be forgotten");
        }
        Ok(!is_silent)
    }

    /// What the agent is asked, and the last place of it; `None` if there is nothing that it was not asked about.
    async fn prompt(
        &self,
        scene: &Scene,
        speaker: &Speaker,
    ) -> domain::Result<Option<(Prompt, Seq)>> {
        let (room, agent) = (scene.room.id, speaker.id());
        let Some(context) = self.ports.context(room, agent, self.limits.history).await? else {
            return Ok(None);
        };
        let Some((member, _)) = context
            .members
            .iter()
            .find(|(member, _)| member.agent == agent)
        else {
            return Ok(None);
        };
        // As it is now, not as it was when the round began.
        let speaker = Speaker {
            config: context.config.clone(),
            member: member.clone(),
            ..speaker.clone()
        };
        let said = self.seen(room, &speaker).await?;
        let answered = said
            .iter()
            .rev()
            .find(|message| message.author == Some(agent) && !message.interrupted);
        let answered = answered.map_or(Seq(0), |message| message.seq);
        let asked = scene.asked().get(&agent).copied().unwrap_or(Seq(0));
        let is_news = |message: &&Arc<Message>| {
            message.author != Some(agent)
                && message.is_activity()
                && message.seq > answered.max(asked)
        };
        if !said.iter().any(|message| is_news(&message)) {
            return Ok(None);
        }
        let news = said.last().map_or(Seq(0), |message| message.seq);
        // What it began to say and was interrupted at comes before what it has yet to answer.
        let (mut before, after): (Vec<_>, Vec<_>) = said
            .into_iter()
            .partition(|message| message.author == Some(agent) || message.seq <= answered);
        before.extend(after);
        let prompt = Prompt {
            room,
            agent,
            name: speaker.agent.name.clone(),
            system: system_prompt(&speaker.agent, &context.config),
            persona: context.config.clone(),
            turns: self.turns(&before, agent).await?,
            recalled: Vec::new(),
        };
        Ok(Some((prompt, news)))
    }

    /// What this agent sees of the conversation, from memory.
    async fn seen(&self, room: RoomId, speaker: &Speaker) -> domain::Result<Vec<Arc<Message>>> {
        let said = self
            .ports
            .messages
            .recent(room, None, self.limits.history)
            .await?;
        // Also of those who left the room.
        let flags: HashMap<_, _> = self
            .ports
            .configs
            .find_many(&authors(&said))
            .await?
            .into_iter()
            .collect();
        Ok(said
            .iter()
            .filter(|message| round::sees(speaker, message, |author| flags.get(&author).cloned()))
            .cloned()
            .collect())
    }

    async fn turns(&self, said: &[Arc<Message>], agent: AgentId) -> domain::Result<Vec<Turn>> {
        // Those who left the room or were deleted keep their names.
        let authors = self.ports.agents.find_many(&authors(said)).await?;
        let names: HashMap<_, _> = authors
            .iter()
            .map(|agent| (agent.id, agent.name.as_str()))
            .collect();
        let turn = |message: &Arc<Message>| Turn {
            is_own: message.author == Some(agent),
            is_from_user: message.is_from_user(),
            is_interrupted: message.interrupted,
            name: match (message.author, message.participant_type) {
                (Some(author), _) => names.get(&author).copied().unwrap_or("somebody").to_owned(),
                (None, Some(ParticipantType::System)) => "system".to_owned(),
                (None, _) => message
                    .participant_name
                    .clone()
                    .unwrap_or_else(|| "user".to_owned()),
            },
            text: message.content.clone(),
        };
        Ok(said.iter().map(turn).collect())
    }

    /// The same with what it wishes to recall.
    async fn compose_with_recalls(
        &self,
        responder: &dyn Responder,
        mut prompt: Prompt,
        composer: &Composer,
        stop: &Stop,
    ) -> Ended {
        let mut late = self.clock.sleep(self.limits.time_limit.0);
        loop {
            let ended = self
                .compose(responder, prompt.clone(), composer, stop, &mut late)
                .await;
            let Ended::Recall(title) = ended else {
                return ended;
            };
            match prompt
                .persona
                .long_term_memories
                .iter()
                .find(|memory| memory.title == title)
                .cloned()
            {
                Some(memory) if prompt.recalled.len() < RECALLS => prompt.recalled.push(memory),
                Some(_) => {
                    return Ended::Failed(Failure(
                        "it recalled too many memories for one answer".to_owned(),
                    ));
                }
                None => {
                    return Ended::Failed(Failure(format!(
                        "there is no memory {:?} to recall",
                        cut(&title, 100)
                    )));
                }
            }
        }
    }

    async fn compose(
        &self,
        responder: &dyn Responder,
        prompt: Prompt,
        composer: &Composer,
        stop: &Stop,
        late: &mut BoxFuture<'static, ()>,
    ) -> Ended {
        let (room, agent) = (prompt.room, prompt.agent);
        let mut composing = responder.respond(prompt);
        let mut answer = Answer::default();
        loop {
            let next = tokio::select! {
                biased;
                () = stop.discard.cancelled() => return Ended::Discarded,
                () = stop.keep.cancelled() => return Ended::With(answer),
                () = &mut *late => return Ended::Failed(Failure("the answer took too long".to_owned())),
                next = composing.next() => next,
            };
            match next {
                Some(Ok(Composed::Thinking(more))) => {
                    let fits = self.room_for(&answer.thinking, &more);
                    answer.thinking.push_str(fits);
                    composer.change(|draft| draft.thinking.push_str(fits));
                }
                Some(Ok(Composed::Text(more))) => {
                    let fits = self.room_for(&answer.text, &more);
                    answer.text.push_str(fits);
                    composer.change(|draft| draft.text.push_str(fits));
                    if fits.len() < more.len() {
                        tracing::warn!(%room, %agent, "an answer was cut off: it is longer than answers may be");
                        return Ended::With(Answer {
                            is_whole: true,
                            ..answer
                        });
                    }
                }
                Some(Ok(Composed::Memory(text))) => {
                    if answer.memories.len() < MEMORIES {
                        answer.memories.push(cut(&text, MEMORY_BYTES).to_owned());
                    }
                }
                Some(Ok(Composed::Recall(title))) => {
                    // It is asked again from the beginning.
                    composer.change(|draft| {
                        draft.thinking.clear();
                        draft.text.clear();
                    });
                    return Ended::Recall(title);
                }
                Some(Ok(Composed::Silent)) => {
                    return Ended::With(Answer {
                        text: String::new(),
                        is_whole: true,
                        ..answer
                    });
                }
                Some(Ok(Composed::Done)) => {
                    return Ended::With(Answer {
                        is_whole: true,
                        ..answer
                    });
                }
                Some(Err(failure)) => return Ended::Failed(failure),
                None => return Ended::Failed(Failure("the answer was cut off".to_owned())),
            }
        }
    }

    /// So much of `more` as a text that stands at `so_far` may still take.
    fn room_for<'a>(&self, so_far: &str, more: &'a str) -> &'a str {
        cut(more, self.limits.max_bytes.saturating_sub(so_far.len()))
    }

    async fn say(
        &self,
        scene: &Scene,
        agent: AgentId,
        answer: &Answer,
        is_whole: bool,
    ) -> domain::Result<()> {
        let thinking = Some(answer.thinking.clone()).filter(|thinking| !thinking.is_empty());
        let said = NewMessage::from_agent(scene.room.id, agent, answer.text.trim_end());
        self.ports
            .messages
            .append(NewMessage {
                thinking,
                interrupted: !is_whole,
                ..said
            })
            .await
            .map(drop)
    }

    /// Shows in the agent's next prompt.
    async fn keep(&self, agent: AgentId, text: String) {
        let event = RecentEvent {
            date: Some(chrono::Utc::now().date_naive()),
            text,
        };
        if let Err(error) = self.ports.configs.append_memory(agent, event).await {
            tracing::warn!(%agent, %error, "a memory could not be kept");
        }
    }

    async fn tell_failure(
        &self,
        scene: &Scene,
        speaker: &Speaker,
        failure: &Failure,
    ) -> domain::Result<()> {
        let name = &speaker.agent.name;
        tracing::warn!(room = %scene.room.id, agent = %speaker.id(), %failure, "an agent could not answer");
        let change = RoomChange {
            last_error: Some(Some(format!("{name}: {failure}"))),
            ..RoomChange::default()
        };
        self.ports
            .rooms
            .update(scene.room.id, change)
            .await
            .map(drop)
    }

    async fn forget_error(&self, scene: &Scene) -> domain::Result<()> {
        let has_error = self
            .ports
            .rooms
            .find(scene.room.id)
            .await?
            .is_some_and(|room| room.last_error.is_some());
        if has_error {
            let change = RoomChange {
                last_error: Some(None),
                ..RoomChange::default()
            };
            self.ports.rooms.update(scene.room.id, change).await?;
        }
        Ok(())
    }
}

/// The agents who said these messages, each once.
fn authors(said: &[Arc<Message>]) -> Vec<AgentId> {
    let mut authors: Vec<_> = said.iter().filter_map(|message| message.author).collect();
    authors.sort_unstable();
    authors.dedup();
    authors
}

/// At most so many bytes of the beginning, in whole characters.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
