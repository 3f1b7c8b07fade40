//! The messages that one agent sees, and the prompt that is built from them.

use std::{collections::HashMap, sync::Arc};

use domain::{AgentId, Message, ParticipantType, Prompt, RoomId, Seq, Turn};

use super::{engine::Engine, rules, rules::Speaker, scene::Scene};
use crate::prompt::system_prompt;

/// A prompt, and the sequence number of the last message in it.
pub(super) struct AgentPrompt {
    pub(super) prompt: Prompt,
    pub(super) last_seq: Seq,
}

/// Returns the prompt for an agent's turn.
///
/// Returns `None` if the agent has left the room, or if no message is new to it.
pub(super) async fn build_prompt(
    engine: &Engine,
    scene: &Scene,
    speaker: &Speaker,
) -> domain::Result<Option<AgentPrompt>> {
    let (room, agent) = (scene.room.id, speaker.id());
    let history = engine.limits.history;
    let Some(context) = engine.ports.context(room, agent, history).await? else {
        return Ok(None);
    };
    let Some((member, _)) = context
        .members
        .iter()
        .find(|(member, _)| member.agent == agent)
    else {
        return Ok(None);
    };
    // Persona and membership may have changed since the round began.
    let speaker = Speaker {
        config: context.config.clone(),
        member: member.clone(),
        ..speaker.clone()
    };
    let messages = visible_messages(engine, room, &speaker).await?;
    let answered = last_answer(&messages, agent);
    let known = answered.max(scene.prompted.get(agent));
    let has_news = messages.iter().any(|message| {
        message.author != Some(agent) && message.is_activity() && message.seq > known
    });
    if !has_news {
        return Ok(None);
    }
    let last_seq = messages.last().map_or(Seq(0), |message| message.seq);
    // The agent's interrupted answers are moved before the messages that it has not answered yet,
    // so that the prompt ends with the messages to answer.
    let (mut ordered, unanswered): (Vec<_>, Vec<_>) = messages
        .into_iter()
        .partition(|message| message.author == Some(agent) || message.seq <= known);
    ordered.extend(unanswered);
    let prompt = Prompt {
        room,
        agent,
        name: speaker.agent.name.clone(),
        system: system_prompt(&speaker.agent, &context.config),
        persona: context.config.clone(),
        turns: build_turns(engine, &ordered, agent).await?,
        recalled: Vec::new(),
    };
    Ok(Some(AgentPrompt { prompt, last_seq }))
}

/// Returns the sequence number of the agent's last complete answer; 0 if there is none.
fn last_answer(messages: &[Arc<Message>], agent: AgentId) -> Seq {
    messages
        .iter()
        .rfind(|message| message.author == Some(agent) && !message.interrupted)
        .map_or(Seq(0), |message| message.seq)
}

/// Returns the newest messages that the agent may see, oldest first.
async fn visible_messages(
    engine: &Engine,
    room: RoomId,
    speaker: &Speaker,
) -> domain::Result<Vec<Arc<Message>>> {
    let history = engine.limits.history;
    let messages = engine.ports.messages.recent(room, None, history).await?;
    // Reads the personas of the authors, not of the members, because an author may have left.
    let configs = engine.ports.configs.find_many(&authors(&messages)).await?;
    let configs: HashMap<_, _> = configs.into_iter().collect();
    let is_visible = |message: &&Arc<Message>| {
        rules::sees(speaker, message, |author| configs.get(&author).cloned())
    };
    Ok(messages.iter().filter(is_visible).cloned().collect())
}

async fn build_turns(
    engine: &Engine,
    messages: &[Arc<Message>],
    agent: AgentId,
) -> domain::Result<Vec<Turn>> {
    // Includes agents that left the room or were deleted, because messages keep their author's
    // name.
    let authors = engine.ports.agents.find_many(&authors(messages)).await?;
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
    Ok(messages.iter().map(turn).collect())
}

/// Returns the agents that wrote these messages, each once, sorted by id.
fn authors(messages: &[Arc<Message>]) -> Vec<AgentId> {
    let mut authors: Vec<_> = messages
        .iter()
        .filter_map(|message| message.author)
        .collect();
    authors.sort_unstable();
    authors.dedup();
    authors
}
