//! An answer while it streams: what the model server's events say becomes what the agent says.

use std::collections::VecDeque;

use domain::{Composed, Failure};
use futures_util::{Stream, stream};

use crate::{
    Directives,
    events::Events,
    refusals::{cut_off, reported},
};

/// How long an answer may get, in bytes: a server that never ends would fill what waits for a line's end.
const LONGEST: usize = 1 << 20;

/// What a part of an event says, whatever the protocol.
#[derive(Debug)]
pub(crate) enum Heard {
    /// More of what the model thinks.
    Thinking(String),
    /// More of the answer.
    Text(String),
    /// The answer is complete.
    End,
    /// The model refuses to answer.
    Declined,
    /// The server gave up.
    Error(serde_json::Value),
}

/// Understands an event's data.
pub(crate) type Hear = fn(&str) -> Result<Vec<Heard>, Failure>;

/// An answer that has begun.
pub(crate) struct Answer {
    /// Gone when the answer ended, so that the connection closes even if nobody asks for more.
    events: Option<Events>,
    hear: Hear,
    directives: Directives,
    composed: VecDeque<Result<Composed, Failure>>,
    length: usize,
    secrets: Vec<String>,
}

impl Answer {
    /// `secrets` is what no failure may show.
    pub(crate) fn new(events: Events, hear: Hear, secrets: Vec<String>) -> Self {
        Self {
            events: Some(events),
            hear,
            directives: Directives::default(),
            composed: VecDeque::new(),
            length: 0,
            secrets,
        }
    }

    /// What an event says of the answer.
    pub(crate) fn take(&mut self, event: Option<Result<String, Failure>>) {
        let heard = event
            .unwrap_or_else(|| Err(cut_off()))
            .and_then(|data| (self.hear)(&data));
        match heard {
            Ok(heard) => heard.into_iter().for_each(|heard| self.add(heard)),
            Err(failure) => self.fail(failure),
        }
    }

    /// What is composed, as it is.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Composed, Failure>> + Send {
        stream::unfold(self, |mut answer| async {
            loop {
                if let Some(composed) = answer.composed.pop_front() {
                    return Some((composed, answer));
                }
                let event = answer.events.as_mut()?.next().await;
                answer.take(event);
            }
        })
    }

    fn add(&mut self, heard: Heard) {
        // What follows the end is not part of the answer.
        if self.events.is_none() {
            return;
        }
        match heard {
            Heard::Thinking(text) | Heard::Text(text) if text.is_empty() => {}
            Heard::Thinking(text) | Heard::Text(text) if self.outgrows(&text) => {
                self.fail(Failure("the answer is too long".into()));
            }
            Heard::Thinking(text) => self.compose(vec![Composed::Thinking(text)]),
            Heard::Text(text) => {
                let composed = self.directives.take(&text);
                self.compose(composed);
            }
            Heard::End => {
                let composed = self.directives.end();
                self.compose(composed);
            }
            Heard::Declined => self.fail(Failure("the model refused to answer".into())),
            Heard::Error(error) => self.fail(reported(&error, &self.secrets)),
        }
    }

    fn outgrows(&mut self, text: &str) -> bool {
        self.length += text.len();
        self.length > LONGEST
    }

    fn compose(&mut self, composed: Vec<Composed>) {
        let ends = matches!(
            composed.last(),
            Some(Composed::Silent | Composed::Recall(_) | Composed::Done)
        );
        self.composed.extend(composed.into_iter().map(Ok));
        if ends {
            self.events = None;
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.composed.push_back(Err(failure));
        self.events = None;
    }
}
