//! The events of an answer, independent of the protocol.

use domain::Failure;

/// One step of an answer.
#[derive(Debug)]
pub(crate) enum ModelEvent {
    /// A further part of the model's thoughts.
    Thinking(String),
    /// A further part of the answer's text.
    Text(String),
    /// The answer is complete.
    End,
    /// The model refuses to answer.
    Refusal,
    /// The server reports an error, which ends the answer.
    Error(serde_json::Value),
}

/// A parser of the data of one server-sent event. It returns an empty list for an event that adds
/// nothing to the answer.
pub(crate) type ParseEvent = fn(&str) -> Result<Vec<ModelEvent>, Failure>;
