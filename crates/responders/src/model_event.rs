//! The events of an answer, in terms that both protocols share.

use domain::Failure;

/// One step of an answer.
#[derive(Debug)]
pub(crate) enum ModelEvent {
    /// More of the model's thoughts.
    Thinking(String),
    /// More of the answer.
    Text(String),
    /// The answer is complete.
    End,
    /// The model refuses to answer.
    Refusal,
    /// The server reports an error and gives the answer up.
    Error(serde_json::Value),
}

/// Parses the data of one server-sent event; an event without news returns no `ModelEvent`.
pub(crate) type ParseEvent = fn(&str) -> Result<Vec<ModelEvent>, Failure>;
