//! A fake responder whose answers a test defines.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{AgentName, Composed, Composing, Failure, FailureKind, Prompt, Responder};
use futures_util::{Stream, StreamExt, stream};

/// The stream of the pieces of one answer.
pub type ComposedStream = Pin<Box<dyn Stream<Item = Result<Composed, Failure>> + Send>>;

/// A responder that answers each prompt with the stream that a closure returns. It records the
/// prompts.
#[derive(Clone)]
pub struct FakeResponder {
    respond: Arc<dyn Fn(&Prompt) -> ComposedStream + Send + Sync>,
    prompts: Arc<Mutex<Vec<Prompt>>>,
    images: usize,
}

impl FakeResponder {
    /// Returns a responder that answers each prompt with the stream that `respond` returns.
    pub fn new(respond: impl Fn(&Prompt) -> ComposedStream + Send + Sync + 'static) -> Self {
        Self {
            respond: Arc::new(respond),
            prompts: Arc::default(),
            images: 0,
        }
    }

    /// Returns the responder as one that reads this number of images.
    #[must_use]
    pub fn with_images(self, images: usize) -> Self {
        Self { images, ..self }
    }

    /// Returns a responder that answers each user message once, with "{name} heard {message}". It
    /// does not answer other prompts.
    pub fn polite() -> Self {
        Self::new(|prompt| match unanswered(prompt) {
            Some(said) => says(&format!("{} heard {said}", prompt.name)),
            None => is_silent(),
        })
    }

    /// Returns a responder that answers each user message with `text` and never ends the answer.
    pub fn endless(text: &'static str) -> Self {
        Self::new(move |prompt| match unanswered(prompt) {
            Some(_) => begins(text),
            None => is_silent(),
        })
    }

    /// Returns all recorded prompts, oldest first.
    pub fn prompts(&self) -> Vec<Prompt> {
        self.prompts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns the newest prompt for the agent `name`; `None` if there was none.
    pub fn last_prompt(&self, name: &str) -> Option<Prompt> {
        let name = AgentName::parse(name).expect("the test names a valid agent");
        let mut newest_first = self.prompts().into_iter().rev();
        newest_first.find(|prompt| prompt.name == name)
    }
}

impl Responder for FakeResponder {
    fn respond(&self, prompt: Prompt) -> Composing {
        let answer = (self.respond)(&prompt);
        self.prompts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(prompt);
        answer
    }

    fn images(&self) -> usize {
        self.images
    }
}

/// Returns the newest user message that the agent has not answered.
pub fn unanswered(prompt: &Prompt) -> Option<String> {
    prompt
        .news()
        .filter(|turn| turn.is_from_user)
        .last()
        .map(|turn| turn.text.clone())
}

/// Returns the stream of a complete answer, word by word.
pub fn says(text: &str) -> ComposedStream {
    composes(words(text).into_iter().chain([Composed::Done]))
}

/// Returns the stream of a responder that does not answer.
pub fn is_silent() -> ComposedStream {
    composes([Composed::Silent])
}

/// Returns a stream that begins with `text` and never ends.
pub fn begins(text: &str) -> ComposedStream {
    Box::pin(stream::iter(words(text)).map(Ok).chain(stream::pending()))
}

/// Returns a stream that fails with the message `why`, as the client of a model server may.
pub fn fails(why: &str) -> ComposedStream {
    Box::pin(stream::iter([Err(Failure::new(FailureKind::Other, why))]))
}

/// Returns a stream of these pieces, in this order.
pub fn composes(pieces: impl IntoIterator<Item = Composed>) -> ComposedStream {
    Box::pin(stream::iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()))
}

fn words(text: &str) -> Vec<Composed> {
    text.split_inclusive(' ')
        .map(|word| Composed::Text(word.to_owned()))
        .collect()
}
