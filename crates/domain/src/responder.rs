//! How agents find words: the port behind which a model, or a script, stands.

use std::{pin::Pin, sync::Arc};

use futures_core::Stream;

use crate::{AgentConfig, AgentId, AgentName, LongTermMemory, RoomId};

/// Composes agents' answers.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Responder: Send + Sync {
    /// Begins to compose an answer, which goes on as the stream is polled and ends when it is dropped. The stream MUST end
    /// with [`Composed::Silent`], [`Composed::Recall`], [`Composed::Done`] or an error: one that ends otherwise was cut off.
    fn respond(&self, prompt: Prompt) -> Composing;
}

/// An answer that is being composed.
pub type Composing = Pin<Box<dyn Stream<Item = Result<Composed, Failure>> + Send>>;

/// What an agent answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Where it is.
    pub room: RoomId,
    /// Who answers.
    pub agent: AgentId,
    /// Its name.
    pub name: AgentName,
    /// What it is told about itself.
    pub system: String,
    /// What it is like; `system` was made of it.
    pub persona: Arc<AgentConfig>,
    /// What was said, oldest first; never empty.
    pub turns: Vec<Turn>,
    /// What it recalled for this answer.
    pub recalled: Vec<LongTermMemory>,
}

impl Prompt {
    /// What was said since the agent last finished an answer.
    pub fn news(&self) -> impl Iterator<Item = &Turn> {
        let answered = self
            .turns
            .iter()
            .rposition(|turn| turn.is_own && !turn.is_interrupted);
        self.turns[answered.map_or(0, |answer| answer + 1)..]
            .iter()
            .filter(|turn| !turn.is_own)
    }
}

/// One message of the conversation, as the answering agent sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whether the answering agent said it itself.
    pub is_own: bool,
    /// Whether a person said it.
    pub is_from_user: bool,
    /// Whether it is an answer that was interrupted: nothing is answered by it.
    pub is_interrupted: bool,
    /// Who said it.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A piece of an answer, in the order in which it is composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Composed {
    /// More of what the agent thinks.
    Thinking(String),
    /// More of what it says.
    Text(String),
    /// Something to keep among its recent events.
    Memory(String),
    /// It wants to be asked again, with the long-term memory of this title. What it said before is dropped.
    Recall(String),
    /// It has nothing to say.
    Silent,
    /// The answer is complete.
    Done,
}

/// Why an answer was not composed. The text is for the room's owner: it holds no secret and names no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);
