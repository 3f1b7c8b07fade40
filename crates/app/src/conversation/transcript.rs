//! The messages that one agent sees, and the prompt that is built from them.

use std::{collections::HashMap, sync::Arc};

use domain::{
    AgentId, Image, Message, MessageId, ParticipantType, Prompt, Responder, RoomId, Seq, Turn,
};

use super::{engine::Engine, rules, rules::Speaker, scene::Scene};
use crate::{
    prompt::{memories_text, persona_text},
    settings::MemoryMode,
};

/// The number of messages by which the beginning of a prompt moves. Until it moves, each prompt
/// begins with the prompt before it, which a model server then need not evaluate again.
const STEP: i64 = 50;
/// The size of a message in a prompt, in bytes. The middle of a longer one is left out.
const MOST_MESSAGE_BYTES: usize = 16_384;

/// The line in place of an image that the model does not read.
const PICTURE: &str = "(sent a picture)";

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
    responder: &dyn Responder,
) -> domain::Result<Option<AgentPrompt>> {
    let (room, agent) = (scene.room.id, speaker.id());
    let Some(context) = engine.ports.context(room, agent, 1).await? else {
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
    let limit = engine.limits.history_bytes;
    let most_bytes = responder
        .history_bytes()
        .map_or(limit, |most| most.min(limit));
    let messages = visible_messages(engine, room, &speaker, most_bytes).await?;
    let answered = last_answer(&messages, agent);
    let known = answered.max(scene.prompted.get(agent));
    let has_news = messages.iter().any(|message| {
        message.author != Some(agent) && message.is_activity() && message.seq > known
    });
    if !has_news {
        return Ok(None);
    }
    let last_seq = messages.last().map_or(Seq(0), |message| message.seq);
    let images = newest_images(engine, room, &messages, responder.images()).await?;
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
        system: persona_text(&speaker.agent, &context.config),
        memories: match engine.memories {
            MemoryMode::Off => memories_text(&context.config, &[]),
            MemoryMode::Owner | MemoryMode::Shared => {
                memories_text(&context.config, &context.memories)
            }
        },
        remembers: engine.memories != MemoryMode::Off,
        persona: context.config.clone(),
        turns: build_turns(engine, &ordered, agent, &images).await?,
        recalled: Vec::new(),
        traceparent: None,
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
    most_bytes: usize,
) -> domain::Result<Vec<Arc<Message>>> {
    let limits = &engine.limits;
    // More than the window, because it begins before the newest messages until it moves.
    let most = limits.history + usize::try_from(STEP).unwrap_or(usize::MAX);
    let messages = engine.ports.messages.recent(room, None, most).await?;
    // Reads the personas of the authors, not of the members, because an author may have left.
    let configs = engine.ports.configs.find_many(&authors(&messages)).await?;
    let configs: HashMap<_, _> = configs.into_iter().collect();
    let is_visible = |message: &&Arc<Message>| {
        rules::sees(speaker, message, |author| configs.get(&author).cloned())
    };
    let visible: Vec<_> = messages.iter().filter(is_visible).cloned().collect();
    let first = first_in_prompt(&visible, limits.history, most_bytes);
    Ok(visible
        .into_iter()
        .filter(|message| message.seq >= first)
        .collect())
}

/// Returns the sequence number with which a prompt begins, so that it has about `most` messages and
/// at most `most_bytes`. It stays the same while some messages are added.
fn first_in_prompt(messages: &[Arc<Message>], most: usize, most_bytes: usize) -> Seq {
    let Some(last) = messages.last() else {
        return Seq(0);
    };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let by_number = last.seq.0.saturating_sub(most).max(0) / STEP * STEP;
    let mut bytes = 0;
    let fits = |message: &&Arc<Message>| {
        bytes += message.content.len().min(MOST_MESSAGE_BYTES);
        bytes <= most_bytes
    };
    let fitting = messages.iter().rev().take_while(fits).last();
    // A message that is too long alone is the only one in the prompt.
    let by_bytes = fitting.map_or(last.seq.0, |message| message.seq.0);
    let first = messages.first().map_or(0, |message| message.seq.0);
    if by_bytes <= by_number.max(first) {
        return Seq(by_number);
    }
    // Long messages: the greatest step that leaves messages to read.
    let steps = [STEP, STEP / 5, 1];
    let ends = steps.map(|step| (by_bytes + step - 1) / step * step);
    let end = ends.into_iter().find(|end| *end <= last.seq.0);
    Seq(end.unwrap_or(last.seq.0))
}

/// Returns the text of a message in a prompt: its beginning and its end, if it is long.
fn shortened(text: &str) -> String {
    if text.len() <= MOST_MESSAGE_BYTES {
        return text.to_owned();
    }
    let begin = text.floor_char_boundary(MOST_MESSAGE_BYTES / 4 * 3);
    let end = text.ceil_char_boundary(text.len() - MOST_MESSAGE_BYTES / 4);
    let left_out = text[begin..end].chars().count();
    format!(
        "{}\n[… {left_out} characters are left out …]\n{}",
        &text[..begin],
        &text[end..]
    )
}

/// Returns the newest images of these messages, at most `most`.
async fn newest_images(
    engine: &Engine,
    room: RoomId,
    messages: &[Arc<Message>],
    most: usize,
) -> domain::Result<HashMap<MessageId, Arc<Image>>> {
    let with_image = messages
        .iter()
        .rev()
        .filter(|message| message.image_media_type.is_some());
    let mut ids: Vec<_> = with_image.take(most).map(|message| message.id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    ids.reverse();
    let images = engine.ports.messages.images(room, &ids).await?;
    Ok(images.into_iter().collect())
}

async fn build_turns(
    engine: &Engine,
    messages: &[Arc<Message>],
    agent: AgentId,
    images: &HashMap<MessageId, Arc<Image>>,
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
        text: match images.get(&message.id) {
            None if message.image_media_type.is_some() => {
                let text = shortened(&message.content);
                format!("{text}\n{PICTURE}").trim_start().to_owned()
            }
            _ => shortened(&message.content),
        },
        image: images.get(&message.id).cloned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_message::message;

    /// Returns messages with the sequence numbers from 1 and texts of this length.
    fn messages(count: i64, bytes: usize) -> Vec<Arc<Message>> {
        let message = |seq| message(seq, "x".repeat(bytes));
        (1..=count).map(message).collect()
    }

    #[test]
    fn the_beginning_of_a_prompt_moves_once_in_many_messages() {
        let first = |count| first_in_prompt(&messages(count, 10), 100, 1 << 20).0;
        assert_eq!((first(1), first(100), first(149)), (0, 0, 0));
        assert_eq!((first(150), first(199), first(200)), (50, 50, 100));
    }

    #[test]
    fn a_prompt_of_long_messages_is_bounded_in_bytes() {
        for (count, bytes, most_bytes) in
            [(40, 1_000, 20_000), (140, 1_000, 80_000), (3, 9_000, 10)]
        {
            let all = messages(count, bytes);
            let first = first_in_prompt(&all, 100, most_bytes);
            let kept = all.iter().filter(|message| message.seq >= first);
            let kept_bytes: usize = kept.clone().map(|message| message.content.len()).sum();
            assert!(kept.clone().count() > 0 && kept_bytes <= most_bytes.max(bytes));
            // The next message changes nothing.
            let next = first_in_prompt(&messages(count + 1, bytes), 100, most_bytes);
            assert!(next == first || count == 3, "{first} {next}");
        }
    }

    #[test]
    fn the_middle_of_a_long_message_is_left_out() {
        let long = format!("begin{}end", "달".repeat(10_000));
        let text = shortened(&long);
        assert!(text.len() < MOST_MESSAGE_BYTES + 100);
        assert!(text.starts_with("begin달") && text.ends_with("달end"));
        assert!(text.contains("characters are left out"));
        assert_eq!(shortened("short"), "short");
    }
}
