//! A prompt as both protocols want it: what the model is told, and a conversation whose roles alternate.

use std::fmt::Write as _;

use domain::Prompt;
use serde::Serialize;

use crate::INSTRUCTIONS;

/// Stands before an answer that nobody asked for: a conversation begins with the user.
const OPENING: &str = "(The conversation begins.)";
/// Stands behind an agent's own last words: a model would go on with them instead of answering, and some servers refuse them.
const NOTHING_SINCE: &str = "(Nobody has said anything since.)";

/// Who speaks to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The agent itself.
    Assistant,
    /// What it is told; a message of its own with some protocols only.
    System,
    /// Everybody else.
    User,
}

/// What one role says at once.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    pub(crate) role: Role,
    pub(crate) content: String,
}

impl Message {
    pub(crate) fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// What the model is told: who it is, what it recalled and how to answer.
pub(crate) fn system(prompt: &Prompt) -> String {
    let mut system = format!("{}\n", prompt.system.trim_end());
    for memory in &prompt.recalled {
        write!(
            system,
            "\n# Recalled: {}\n{}\n",
            memory.title,
            memory.text.trim_end()
        )
        .expect("a string takes what is written");
    }
    system.push_str(INSTRUCTIONS);
    system
}

/// The conversation, which begins and ends with the user.
pub(crate) fn messages(prompt: &Prompt) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for turn in &prompt.turns {
        let (role, text) = if turn.is_own {
            (Role::Assistant, turn.text.trim().to_owned())
        } else {
            (Role::User, format!("{}: {}", turn.name, turn.text))
        };
        match messages.last_mut() {
            // Servers refuse empty messages.
            _ if text.is_empty() => {}
            Some(last) if last.role == role => {
                write!(last.content, "\n\n{text}").expect("a string takes what is written");
            }
            _ => messages.push(Message::new(role, text)),
        }
    }
    if messages
        .first()
        .is_none_or(|first| first.role != Role::User)
    {
        messages.insert(0, Message::new(Role::User, OPENING));
    }
    if messages.last().is_some_and(|last| last.role != Role::User) {
        messages.push(Message::new(Role::User, NOTHING_SINCE));
    }
    messages
}
