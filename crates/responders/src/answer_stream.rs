//! Conversion of a model server's events to the pieces of an agent's answer, while the answer
//! streams.

use std::{collections::VecDeque, time::Duration};

use domain::{Composed, Failure, FailureKind, Prompt, Usage};
use futures_util::{Stream, stream};
use tokio::time::timeout;

use crate::{
    chat::text_bytes,
    directives::Directives,
    events::ResponseEvents,
    failures::{FailedAttempt, incomplete, reported},
    inline_thoughts::InlineThoughts,
    model_event::{ModelEvent, ParseEvent, StopReason, TokenCounts},
    token_size::TokenSize,
};

/// The greatest length of an answer, in bytes.
///
/// A line that may be a directive is held back until it ends. Without a bound, a server that never
/// ends the line would fill the memory.
const MAX_BYTES: usize = 1 << 20;

/// The step in which the estimated tokens of an unfinished answer are reported.
const OUTPUT_STEP: u64 = 64;

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
    meter: Meter,
    /// `true` if the model has ended the answer, so that no attempt would end otherwise.
    has_model_ended: bool,
}

/// The estimate of the tokens of a prompt.
pub(crate) struct Meter {
    size: TokenSize,
    prompt_bytes: usize,
    /// `true` if the server's number says something of the size of a token. The tokens of images do
    /// not depend on their bytes.
    can_learn: bool,
}

impl Meter {
    pub(crate) fn new(size: TokenSize, prompt: &Prompt) -> Self {
        Self {
            size,
            prompt_bytes: text_bytes(prompt),
            can_learn: prompt.turns.iter().all(|turn| turn.image.is_none()),
        }
    }

    pub(crate) fn estimated_input(&self) -> u64 {
        self.size.tokens(self.prompt_bytes)
    }

    /// Learns the number of tokens of the prompt, once.
    fn learn(&mut self, tokens: u64) {
        if std::mem::take(&mut self.can_learn) {
            self.size.learn(self.prompt_bytes, tokens);
        }
    }
}

impl AnswerStream {
    /// Returns the answer once its first piece has arrived. A failure before that can be repeated,
    /// because nobody has seen a part of the answer.
    ///
    /// Failures never contain a text of `secrets`. `awaits_usage` is `true` if the number of tokens
    /// may come behind the end of the answer.
    pub(crate) async fn begin(
        events: ResponseEvents,
        parse: ParseEvent,
        directives: Directives,
        secrets: Vec<String>,
        awaits_usage: bool,
        meter: Meter,
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
            meter,
            has_model_ended: false,
        };
        while answer.composed.is_empty() && answer.read().await {}
        match answer.failed.take() {
            // The model's own end has cost tokens, which the answer reports before its failure.
            Some(failed) if answer.composed.is_empty() && !answer.has_model_ended => Err(failed),
            failed => Ok(Self { failed, ..answer }),
        }
    }

    /// States how many requests it took until this answer began.
    pub(crate) fn after(self, requests: u64) -> Self {
        Self { requests, ..self }
    }

    /// Returns the usage so far, if it has changed since the last call.
    ///
    /// Numbers that the server has not reported are estimated.
    fn new_usage(&mut self) -> Option<Usage> {
        if let Some(input) = self.tokens.input {
            self.meter.learn(input);
        }
        let estimated = self.meter.size.tokens(self.bytes);
        let estimated = if self.events.is_none() {
            estimated
        } else {
            estimated / OUTPUT_STEP * OUTPUT_STEP
        };
        let usage = Usage {
            input: self.tokens.input.unwrap_or(self.meter.estimated_input()),
            output: self.tokens.output.unwrap_or(estimated),
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
                self.has_model_ended = true;
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
            self.has_model_ended = true;
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
