//! The events of an answer, independent of the protocol.

use serde_json::Value;

use crate::failures::FailedAttempt;

/// One step of an answer.
#[derive(Debug)]
pub(crate) enum ModelEvent {
    /// A further part of the model's thoughts.
    Thinking(String),
    /// A further part of the answer's text.
    Text(String),
    /// The model has stopped. Nothing of the answer follows.
    Stop(StopReason),
    /// The response is complete, whether the model gave a reason or not.
    End,
    /// The server reports an error, which ends the answer.
    Error(Value),
}

/// The reason for which a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The answer is complete.
    Complete,
    /// The answer or the conversation has reached its limit of tokens.
    Length,
    /// The model or the server refuses to answer.
    Refusal,
    /// The server gave up the answer.
    Aborted,
}

/// A parser of the data of one server-sent event, or of a whole answer that is not streamed. It
/// returns an empty list for an event that adds nothing to the answer.
pub(crate) type ParseEvent = fn(&str) -> Result<Vec<ModelEvent>, FailedAttempt>;
