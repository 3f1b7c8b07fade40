//! Conversion of a prompt to the form that both protocols need: a system text, and messages with
//! alternating roles.

use std::fmt::Write as _;

use domain::Prompt;
use serde::Serialize;

use crate::directives::INSTRUCTIONS;

/// The user message that is inserted before a first message of the agent, because a conversation
/// must begin with the user.
const OPENING: &str = "(The conversation begins.)";
/// The user message that is added after a last message of the agent. Without it, a model would
/// continue that message instead of answering, and some servers would refuse the request.
const NOTHING_SINCE: &str = "(Nobody has said anything since.)";

/// The role of a message's author in the protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChatRole {
    /// The answering agent.
    Assistant,
    /// The instructions for the agent. Only in protocols that send them as a message.
    System,
    /// Anyone else in the room.
    User,
}

/// A message of a chat with a model.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ChatMessage {
    pub(crate) role: ChatRole,
    pub(crate) content: String,
}

impl ChatMessage {
    pub(crate) fn new(role: ChatRole, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// Returns the instructions for the model: its persona, recalled memories and [`INSTRUCTIONS`].
pub(crate) fn system_text(prompt: &Prompt) -> String {
    let mut system = format!("{}\n", prompt.system.trim_end());
    for memory in &prompt.recalled {
        write!(
            system,
            "\n# Recalled: {}\n{}\n",
            memory.title,
            memory.text.trim_end()
        )
        .expect("a String accepts all writes");
    }
    system.push_str(INSTRUCTIONS);
    system
}

/// Returns the messages of the conversation. They begin and end with a message of the user. Roles
/// alternate, because neighbouring turns with the same role are joined.
pub(crate) fn chat_messages(prompt: &Prompt) -> Vec<ChatMessage> {
    let mut messages: Vec<ChatMessage> = Vec::new();
    for turn in &prompt.turns {
        let (role, text) = if turn.is_own {
            (ChatRole::Assistant, turn.text.trim().to_owned())
        } else {
            (ChatRole::User, format!("{}: {}", turn.name, turn.text))
        };
        match messages.last_mut() {
            // Servers refuse empty messages.
            _ if text.is_empty() => {}
            Some(last) if last.role == role => {
                write!(last.content, "\n\n{text}").expect("a String accepts all writes");
            }
            _ => messages.push(ChatMessage::new(role, text)),
        }
    }
    if messages
        .first()
        .is_none_or(|first| first.role != ChatRole::User)
    {
        messages.insert(0, ChatMessage::new(ChatRole::User, OPENING));
    }
    if messages
        .last()
        .is_some_and(|last| last.role != ChatRole::User)
    {
        messages.push(ChatMessage::new(ChatRole::User, NOTHING_SINCE));
    }
    messages
}
