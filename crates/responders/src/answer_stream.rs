//! Conversion of a model server's events to the pieces of an agent's answer, while the answer
//! streams.

use std::{collections::VecDeque, time::Duration};

use domain::{Composed, Failure, FailureKind, Usage};
use futures_util::{Stream, stream};
use tokio::time::timeout;

use crate::{
    directives::Directives,
    events::ResponseEvents,
    failures::{FailedAttempt, incomplete, reported},
    inline_thoughts::InlineThoughts,
    model_event::{ModelEvent, ParseEvent, StopReason, TokenCounts},
};

/// The greatest length of an answer, in bytes.
///
/// A line that may be a directive is held back until it ends. Without a bound, a server that never
/// ends the line would fill the memory.
const MAX_BYTES: usize = 1 << 20;

/// The longest wait for the number of tokens behind the end of an answer. Servers that send it do
/// so at once.
const USAGE_WAIT: Duration = Duration::from_secs(1);

/// An answer that has begun.
pub(crate) struct AnswerStream {
    /// `None` once the answer has ended. The connection then closes even if the stream is kept.
    events: Option<ResponseEvents>,
    parse: ParseEvent,
    thoughts: InlineThoughts,
    directives: Directives,
    composed: VecDeque<Composed>,
    /// The failure that ends the answer after the pieces in `composed`.
    failed: Option<FailedAttempt>,
    bytes: usize,
    secrets: Vec<String>,
    tokens: TokenCounts,
    /// The requests that it took until this answer began.
    requests: u64,
    /// The usage that was reported last.
    reported: Usage,
    /// `true` if the number of tokens comes behind the end of the answer.
    awaits_usage: bool,
    /// The reason why the model stopped, while the number of tokens is awaited.
    stopped: Option<StopReason>,
}

impl AnswerStream {
    /// Returns the answer once its first piece has arrived. A failure
    /// before that can be repeated, because nobody has seen a part of the answer.
    ///
    /// Failures never contain a text of `secrets`. `awaits_usage` is `true` if the number of tokens
    /// may come behind the end of the answer.
    pub(crate) async fn begin(
        events: ResponseEvents,
        parse: ParseEvent,
        directives: Directives,
        secrets: Vec<String>,
        awaits_usage: bool,
    ) -> Result<Self, FailedAttempt> {
        let mut answer = Self {
            events: Some(events),
            parse,
            thoughts: InlineThoughts::new(),
            directives,
            composed: VecDeque::new(),
            failed: None,
            bytes: 0,
            secrets,
            tokens: TokenCounts::default(),
            requests: 1,
            reported: Usage::default(),
            awaits_usage,
            stopped: None,
        };
        while answer.composed.is_empty() && answer.read().await {}
        match answer.failed.take() {
            Some(failed) if answer.composed.is_empty() => Err(failed),
            failed => Ok(Self { failed, ..answer }),
        }
    }

    /// States how many requests it took until this answer began.
    pub(crate) fn after(self, requests: u64) -> Self {
        Self { requests, ..self }
    }

    /// Returns the usage so far, if it has changed since the last call.
    fn new_usage(&mut self) -> Option<Usage> {
        let usage = Usage {
            input: self.tokens.input.unwrap_or_default(),
            output: self.tokens.output.unwrap_or_default(),
            cached: self.tokens.cached.unwrap_or_default(),
            requests: self.requests,
        };
        let is_new = usage != self.reported;
        self.reported = usage;
        is_new.then_some(usage)
    }

    /// Returns the pieces of the answer as they arrive.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Composed, Failure>> + Send {
        stream::unfold(self, |mut answer| async {
            loop {
                let has_piece = !answer.composed.is_empty() || answer.failed.is_some();
                if has_piece && let Some(usage) = answer.new_usage() {
                    return Some((Ok(Composed::Usage(usage)), answer));
                }
                if let Some(composed) = answer.composed.pop_front() {
                    return Some((Ok(composed), answer));
                }
                if let Some(failed) = answer.failed.take() {
                    return Some((Err(failed.failure), answer));
                }
                if !answer.read().await {
                    return None;
                }
            }
        })
    }

    /// Reads the next event. Returns `false` if the answer has ended.
    async fn read(&mut self) -> bool {
        let Some(events) = &mut self.events else {
            return false;
        };
        let next = match self.stopped {
            None => events.next().await,
            // The answer is complete, and must not be late for a number.
            Some(reason) => {
                let next = timeout(USAGE_WAIT, events.next()).await;
                let Ok(Some(Ok(event))) = next else {
                    self.end(reason);
                    return true;
                };
                Some(Ok(event))
            }
        };
        let parsed = match next {
            Some(event) => event.and_then(|data| (self.parse)(&data)),
            None if events.is_whole() => Ok(vec![ModelEvent::End]),
            None => Err(incomplete()),
        };
        match parsed {
            Ok(events) => events.into_iter().for_each(|event| self.apply(event)),
            Err(failed) => self.fail(failed),
        }
        true
    }

    fn apply(&mut self, event: ModelEvent) {
        // Parts of an event after the end of the answer are ignored.
        if self.events.is_none() {
            return;
        }
        match event {
            ModelEvent::Thinking(text) | ModelEvent::Text(text) if text.is_empty() => {}
            ModelEvent::Thinking(text) | ModelEvent::Text(text) if self.is_too_long(&text) => {
                self.fail(FailedAttempt::permanent(
                    FailureKind::TooLong,
                    "the model's answer is longer than 1 MiB",
                ));
            }
            ModelEvent::Thinking(text) => {
                self.note_begin();
                self.compose([Composed::Thinking(text)]);
            }
            ModelEvent::Text(text) => {
                self.note_begin();
                let separated = self.thoughts.take(&text);
                for event in separated {
                    self.add(event);
                }
            }
            ModelEvent::Stop(StopReason::Refusal) => {
                let text = "the model refused to answer";
                self.fail(FailedAttempt::permanent(FailureKind::Refused, text));
            }
            ModelEvent::Stop(StopReason::Aborted) => {
                let text = "the model server gave up the answer";
                self.fail(FailedAttempt::transient(FailureKind::Server, text));
            }
            ModelEvent::Usage(tokens) => {
                self.tokens.update(tokens);
                if let Some(reason) = self.stopped {
                    self.end(reason);
                }
            }
            ModelEvent::Stop(reason) if self.awaits_usage && self.tokens.output.is_none() => {
                self.stopped.get_or_insert(reason);
            }
            ModelEvent::Stop(reason) => self.end(reason),
            ModelEvent::End => self.end(self.stopped.unwrap_or(StopReason::Complete)),
            ModelEvent::Error(error) => self.fail(reported(&error, &self.secrets)),
        }
    }

    /// Adds thoughts, or text that contains no thoughts.
    fn add(&mut self, event: ModelEvent) {
        match event {
            ModelEvent::Thinking(text) if !text.is_empty() => {
                self.compose([Composed::Thinking(text)]);
            }
            ModelEvent::Text(text) => {
                let composed = self.directives.take(&text);
                self.compose(composed);
            }
            _ => {}
        }
    }

    fn end(&mut self, reason: StopReason) {
        let held = self.thoughts.end();
        if let Some(event) = held {
            self.add(event);
        }
        let composed = self.directives.end_line();
        self.compose(composed);
        if self.directives.is_empty() {
            let (kind, text) = match reason {
                StopReason::Length => (
                    FailureKind::TooLong,
                    "the model used up its tokens before its answer began; raise `max_tokens`",
                ),
                _ => (FailureKind::Malformed, "the model's answer is empty"),
            };
            self.fail(FailedAttempt::permanent(kind, text));
            return;
        }
        let is_cut = reason == StopReason::Length;
        let last = self.directives.end().into_iter().map(|last| match last {
            Composed::Done if is_cut => Composed::Cut,
            last => last,
        });
        self.compose(last);
        self.events = None;
    }

    fn note_begin(&self) {
        if let Some(events) = &self.events {
            events.answer_began();
        }
    }

    fn is_too_long(&mut self, text: &str) -> bool {
        self.bytes += text.len();
        self.bytes > MAX_BYTES
    }

    fn compose(&mut self, composed: impl IntoIterator<Item = Composed>) {
        self.composed.extend(composed);
        let is_end = matches!(
            self.composed.back(),
            Some(Composed::Silent | Composed::Recall(_) | Composed::Done | Composed::Cut)
        );
        if is_end {
            self.events = None;
        }
    }

    fn fail(&mut self, failed: FailedAttempt) {
        self.failed = Some(failed);
        self.events = None;
    }
}
