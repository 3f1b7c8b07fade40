//! The port that composes agents' answers. It is implemented by model clients and by scripts.

use std::{pin::Pin, sync::Arc};

use futures_core::Stream;

use crate::{AgentConfig, AgentId, AgentName, Image, LongTermMemory, RoomId, Usage};

/// A source of agents' answers.
///
/// ```
/// use std::sync::Arc;
///
/// use domain::{AgentConfig, AgentId, AgentName, Composed, Composing, Prompt, Responder, RoomId};
/// use futures_util::{StreamExt, stream};
///
/// /// Says the same to everything.
/// struct Parrot;
///
/// impl Responder for Parrot {
///     fn respond(&self, _: Prompt) -> Composing {
///         let pieces = [Composed::Text("hello".into()), Composed::Done];
///         Box::pin(stream::iter(pieces.map(Ok)))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// let prompt = Prompt {
///     room: RoomId(7),
///     agent: AgentId(3),
///     name: AgentName::parse("Polly")?,
///     system: String::new(),
///     memories: String::new(),
///     remembers: true,
///     persona: Arc::new(AgentConfig::default()),
///     turns: vec![],
///     recalled: vec![],
///     traceparent: None,
/// };
/// let pieces: Vec<_> = Parrot.respond(prompt).collect().await;
/// assert_eq!(pieces.last(), Some(&Ok(Composed::Done)));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait Responder: Send + Sync {
    /// Begins an answer and returns its pieces as a stream. The answer makes progress only while
    /// the stream is polled. Dropping the stream cancels the answer.
    ///
    /// The stream MUST end with [`Composed::Silent`], [`Composed::Recall`], [`Composed::Done`],
    /// [`Composed::Cut`] or an error. A stream that ends otherwise counts as cut off.
    fn respond(&self, prompt: Prompt) -> Composing;

    /// Returns the name of the model, for figures of cost and failures.
    #[expect(
        clippy::unnecessary_literal_bound,
        reason = "responders return a name of their own"
    )]
    fn model(&self) -> &str {
        "unnamed"
    }

    /// Returns the provider of the model, as OpenTelemetry's conventions name it.
    fn provider(&self) -> &'static str {
        "greenroom"
    }

    /// Returns the number of images that the model reads, the newest of a prompt. Of the others,
    /// the turn says that there was an image.
    fn images(&self) -> usize {
        0
    }

    /// Returns the number of bytes that the conversation of a prompt may have; `None` if no limit
    /// is known.
    fn history_bytes(&self) -> Option<usize> {
        None
    }
}

/// The stream of the pieces of an answer.
pub type Composing = Pin<Box<dyn Stream<Item = Result<Composed, Failure>> + Send>>;

/// The input of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The room in which the agent answers.
    pub room: RoomId,
    /// The agent that answers.
    pub agent: AgentId,
    /// The agent's name.
    pub name: AgentName,
    /// The instructions to the model, rendered from the persona.
    pub system: String,
    /// The agent's memories as text; empty if there are none. They change more often than `system`
    /// and the older turns.
    pub memories: String,
    /// `true` if the agent may add memories.
    pub remembers: bool,
    /// The persona from which `system` was rendered.
    pub persona: Arc<AgentConfig>,
    /// The conversation, oldest first; never empty.
    pub turns: Vec<Turn>,
    /// The long-term memories that the agent recalled for this answer.
    pub recalled: Vec<LongTermMemory>,
    /// The header `traceparent` for requests to a model server; `None` if the answer belongs to no
    /// exported trace.
    pub traceparent: Option<String>,
}

impl Prompt {
    /// Returns the other participants' turns since the agent's last complete answer, oldest first.
    pub fn news(&self) -> impl Iterator<Item = &Turn> {
        let last_answer = self
            .turns
            .iter()
            .rposition(|turn| turn.is_own && !turn.is_interrupted);
        self.turns[last_answer.map_or(0, |index| index + 1)..]
            .iter()
            .filter(|turn| !turn.is_own)
    }
}

/// A message of the conversation, from the answering agent's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// `true` if the answering agent itself wrote the message.
    pub is_own: bool,
    /// `true` if a person wrote the message.
    pub is_from_user: bool,
    /// `true` for an interrupted answer. The messages before it still count as unanswered.
    pub is_interrupted: bool,
    /// The author's name.
    pub name: String,
    /// The text of the message.
    pub text: String,
    /// The image of the message, if the responder [reads it](Responder::images).
    pub image: Option<Arc<Image>>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Composed {
    /// The next part of the agent's thoughts.
    Thinking(String),
    /// The next part of the text.
    Text(String),
    /// An event to append to the agent's recent events.
    Memory(String),
    /// The title of a long-term memory that the agent asks for. The text so far is discarded, and
    /// the agent is prompted again with this memory.
    Recall(String),
    /// The agent chooses not to answer.
    Silent,
    /// The answer is complete.
    Done,
    /// The answer ends here, because it has reached a limit of its length.
    Cut,
    /// The tokens of this answer so far. It replaces what the stream reported before.
    Usage(Usage),
}

/// The reason why an answer was not composed. The text is shown to the room's owner, so it must not
/// contain secrets or addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// The kind of the reason. It decides whether the agent is asked again by itself.
    pub kind: FailureKind,
    /// The reason as a sentence without a full stop.
    pub text: String,
}

/// A kind of failure of a responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The server cannot be reached, or the connection was lost.
    Unreachable,
    /// The server, or the answer, took too long.
    Timeout,
    /// The server limits the rate of requests.
    RateLimit,
    /// The server has too much to do, or failed.
    Server,
    /// The server rejects the request, for example because of its key.
    Rejected,
    /// The conversation, or the answer, is too long.
    TooLong,
    /// The model refuses to answer.
    Refused,
    /// The response is not as the protocol says, or empty.
    Malformed,
    /// Anything else.
    Other,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Timeout,
        Self::RateLimit,
        Self::Server,
        Self::Rejected,
        Self::TooLong,
        Self::Refused,
        Self::Malformed,
        Self::Other,
    ];

    /// Returns `true` if the same prompt may succeed later, because the server did not answer, was
    /// overloaded or failed.
    ///
    /// ```
    /// use domain::FailureKind;
    /// assert!(FailureKind::Unreachable.is_outage());
    /// assert!(!FailureKind::Refused.is_outage());
    /// ```
    pub fn is_outage(self) -> bool {
        match self {
            Self::Unreachable | Self::Timeout | Self::RateLimit | Self::Server => true,
            Self::Rejected | Self::TooLong | Self::Refused | Self::Malformed | Self::Other => false,
        }
    }

    /// Returns the name of the kind in figures.
    ///
    /// ```
    /// assert_eq!(domain::FailureKind::RateLimit.name(), "rate_limit");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::RateLimit => "rate_limit",
            Self::Server => "server",
            Self::Rejected => "rejected",
            Self::TooLong => "too_long",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }
}

impl Failure {
    /// Returns a failure of this kind.
    ///
    /// ```
    /// use domain::{Failure, FailureKind};
    /// let failure = Failure::new(FailureKind::Timeout, "the answer took too long");
    /// assert_eq!(failure.to_string(), "the answer took too long");
    /// ```
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }
}
