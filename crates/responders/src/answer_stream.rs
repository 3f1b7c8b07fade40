//! Conversion of a model server's events to the pieces of an agent's answer, while the answer
//! streams.

use std::collections::VecDeque;

use domain::{Composed, Failure};
use futures_util::{Stream, stream};

use crate::{
    directives::Directives,
    events::ResponseEvents,
    failures::{FailedAttempt, incomplete, reported},
    inline_thoughts::InlineThoughts,
    model_event::{ModelEvent, ParseEvent, StopReason},
};

/// The greatest length of an answer, in bytes.
///
/// A line that may be a directive is held back until it ends. Without a bound, a server that never
/// ends the line would fill the memory.
const MAX_BYTES: usize = 1 << 20;

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
}

impl AnswerStream {
    /// Returns the answer of the agent with this name once its first piece has arrived. A failure
    /// before that can be repeated, because nobody has seen a part of the answer.
    ///
    /// Failures never contain a text of `secrets`.
    pub(crate) async fn begin(
        events: ResponseEvents,
        parse: ParseEvent,
        name: &str,
        secrets: Vec<String>,
    ) -> Result<Self, FailedAttempt> {
        let mut answer = Self {
            events: Some(events),
            parse,
            thoughts: InlineThoughts::new(),
            directives: Directives::new(name),
            composed: VecDeque::new(),
            failed: None,
            bytes: 0,
            secrets,
        };
        while answer.composed.is_empty() && answer.read().await {}
        match answer.failed.take() {
            Some(failed) if answer.composed.is_empty() => Err(failed),
            failed => Ok(Self { failed, ..answer }),
        }
    }

    /// Returns the pieces of the answer as they arrive.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Composed, Failure>> + Send {
        stream::unfold(self, |mut answer| async {
            loop {
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
        let parsed = match events.next().await {
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
                self.fail(FailedAttempt::permanent("the model refused to answer"));
            }
            ModelEvent::Stop(StopReason::Aborted) => {
                self.fail(FailedAttempt::transient(
                    "the model server gave up the answer",
                ));
            }
            ModelEvent::Stop(reason) => self.end(reason),
            ModelEvent::End => self.end(StopReason::Complete),
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
            self.fail(FailedAttempt::permanent(match reason {
                StopReason::Length => {
                    "the model used up its tokens before its answer began; raise `max_tokens`"
                }
                _ => "the model's answer is empty",
            }));
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
