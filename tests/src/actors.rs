//! Agents that say what a test has them say.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{AgentName, Composed, Composing, Failure, Prompt, Responder};
use futures_util::{Stream, StreamExt, stream};

/// What a play has an agent compose.
pub type Lines = Pin<Box<dyn Stream<Item = Result<Composed, Failure>> + Send>>;

/// A responder that plays what `play` makes of each prompt, and keeps the prompts.
#[derive(Clone)]
pub struct Actors {
    play: Arc<dyn Fn(&Prompt) -> Lines + Send + Sync>,
    asked: Arc<Mutex<Vec<Prompt>>>,
}

impl Actors {
    /// Agents that do what `play` says.
    pub fn new(play: impl Fn(&Prompt) -> Lines + Send + Sync + 'static) -> Self {
        Self {
            play: Arc::new(play),
            asked: Arc::default(),
        }
    }

    /// Agents that answer a person once, with their name and what was said, and are silent else.
    pub fn polite() -> Self {
        Self::new(|prompt| match unanswered(prompt) {
            Some(said) => says(&format!("{} heard {said}", prompt.name)),
            None => silent(),
        })
    }

    /// What agents were asked so far.
    pub fn asked(&self) -> Vec<Prompt> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What this agent was asked last.
    pub fn last_asked(&self, name: &str) -> Option<Prompt> {
        self.asked()
            .into_iter()
            .rev()
            .find(|prompt| prompt.name == AgentName::parse(name).expect("a name"))
    }
}

impl Responder for Actors {
    fn respond(&self, prompt: Prompt) -> Composing {
        let lines = (self.play)(&prompt);
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(prompt);
        lines
    }
}

/// What a person said since the agent last spoke.
pub fn unanswered(prompt: &Prompt) -> Option<String> {
    prompt
        .news()
        .filter(|turn| turn.is_from_user)
        .last()
        .map(|turn| turn.text.clone())
}

/// A whole answer, word by word.
pub fn says(text: &str) -> Lines {
    plays(words(text).into_iter().chain([Composed::Done]))
}

/// Nothing to say.
pub fn silent() -> Lines {
    plays([Composed::Silent])
}

/// The beginning of an answer that never ends.
pub fn begins(text: &str) -> Lines {
    Box::pin(stream::iter(words(text)).map(Ok).chain(stream::pending()))
}

/// No answer.
pub fn fails(why: &str) -> Lines {
    Box::pin(stream::iter([Err(Failure(why.to_owned()))]))
}

/// These pieces, one after the other.
pub fn plays(pieces: impl IntoIterator<Item = Composed>) -> Lines {
    Box::pin(stream::iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()))
}

fn words(text: &str) -> Vec<Composed> {
    text.split_inclusive(' ')
        .map(|word| Composed::Text(word.to_owned()))
        .collect()
}
