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
    /// The model has stopped. Nothing of the answer follows, but perhaps its usage.
    Stop(StopReason),
    /// The tokens so far, as far as the server reports them here.
    Usage(TokenCounts),
    /// The response is complete, whether the model gave a reason or not.
    End,
    /// The server reports an error, which ends the answer.
    Error(Value),
}

/// Numbers of tokens. Those that are `None` stay as they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    /// The whole prompt.
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    /// The part of the prompt that the server had kept.
    pub(crate) cached: Option<u64>,
}

impl TokenCounts {
    /// Replaces the numbers that `newer` has.
    pub(crate) fn update(&mut self, newer: Self) {
        self.input = newer.input.or(self.input);
        self.output = newer.output.or(self.output);
        self.cached = newer.cached.or(self.cached);
    }
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
