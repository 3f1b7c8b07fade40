//! Conversion of a model server's events to the pieces of an agent's answer, while the answer
//! streams.

use std::collections::VecDeque;

use domain::{Composed, Failure};
use futures_util::{Stream, stream};

use crate::{
    directives::Directives,
    failures::{incomplete, reported},
    model_event::{ModelEvent, ParseEvent},
    sse::SseEvents,
};

/// The greatest length of an answer, in bytes.
///
/// A line that may be a directive is held back until it ends. Without a bound, a server that never
/// ends the line would fill the memory.
const MAX_BYTES: usize = 1 << 20;

/// An answer that has begun.
pub(crate) struct AnswerStream {
    /// `None` once the answer has ended. The connection then closes even if the stream is kept.
    events: Option<SseEvents>,
    parse: ParseEvent,
    directives: Directives,
    composed: VecDeque<Result<Composed, Failure>>,
    bytes: usize,
    secrets: Vec<String>,
}

impl AnswerStream {
    /// Returns an answer that has received no events yet. Its failures never contain a text of
    /// `secrets`.
    pub(crate) fn new(events: SseEvents, parse: ParseEvent, secrets: Vec<String>) -> Self {
        Self {
            events: Some(events),
            parse,
            directives: Directives::default(),
            composed: VecDeque::new(),
            bytes: 0,
            secrets,
        }
    }

    /// Adds the data of the next event; `None` is the end of the response.
    pub(crate) fn add(&mut self, event: Option<Result<String, Failure>>) {
        let parsed = event
            .unwrap_or_else(|| Err(incomplete()))
            .and_then(|data| (self.parse)(&data));
        match parsed {
            Ok(events) => events.into_iter().for_each(|event| self.apply(event)),
            Err(failure) => self.fail(failure),
        }
    }

    /// Returns the pieces of the answer as they arrive.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Composed, Failure>> + Send {
        stream::unfold(self, |mut answer| async {
            loop {
                if let Some(composed) = answer.composed.pop_front() {
                    return Some((composed, answer));
                }
                let event = answer.events.as_mut()?.next().await;
                answer.add(event);
            }
        })
    }

    fn apply(&mut self, event: ModelEvent) {
        // Parts of an event after the end of the answer are ignored.
        if self.events.is_none() {
            return;
        }
        match event {
            ModelEvent::Thinking(text) | ModelEvent::Text(text) if text.is_empty() => {}
            ModelEvent::Thinking(text) | ModelEvent::Text(text) if self.is_too_long(&text) => {
                self.fail(Failure("the model's answer is longer than 1 MiB".into()));
            }
            ModelEvent::Thinking(text) => self.compose(vec![Composed::Thinking(text)]),
            ModelEvent::Text(text) => {
                let composed = self.directives.take(&text);
                self.compose(composed);
            }
            ModelEvent::End => {
                let composed = self.directives.end();
                self.compose(composed);
            }
            ModelEvent::Refusal => self.fail(Failure("the model refused to answer".into())),
            ModelEvent::Error(error) => self.fail(reported(&error, &self.secrets)),
        }
    }

    fn is_too_long(&mut self, text: &str) -> bool {
        self.bytes += text.len();
        self.bytes > MAX_BYTES
    }

    fn compose(&mut self, composed: Vec<Composed>) {
        let is_end = matches!(
            composed.last(),
            Some(Composed::Silent | Composed::Recall(_) | Composed::Done)
        );
        self.composed.extend(composed.into_iter().map(Ok));
        if is_end {
            self.events = None;
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.composed.push_back(Err(failure));
        self.events = None;
    }
}
