//! Agents that find their words in a model behind a server, through either of two protocols.

use std::{fmt, sync::Arc, time::Duration};

use domain::{Composing, Prompt, Responder};
use futures_util::{TryStreamExt as _, stream};
use secrecy::SecretString;

use crate::client::Client;

/// How a model server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anthropic's Messages API.
    Anthropic,
    /// Chat completions as OpenAI has them, which most local servers speak too.
    OpenAi,
}

/// Which model answers, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// How its server is spoken to.
    pub protocol: Protocol,
    /// Where the server is: what comes before `/v1/messages` or `/chat/completions`.
    pub base_url: String,
    /// The model's name on the server.
    pub model: String,
    /// Local servers need none.
    pub key: Option<SecretString>,
    /// The longest answer.
    pub max_tokens: u32,
    /// How long it may think before it answers, in tokens; it does not think without. Only Anthropic's protocol has it.
    pub thinking_budget: Option<u32>,
    /// How long the first event of an answer is waited for.
    pub first_byte_timeout: Duration,
    /// How long the next part of an answer is waited for.
    pub idle_timeout: Duration,
    /// How often it is tried in all until an answer begins.
    pub attempts: u32,
    /// How long is waited before the second attempt; before each later one it is twice as long.
    pub first_pause: Duration,
}

impl ModelSettings {
    /// A model of Anthropic's.
    pub fn anthropic(model: impl Into<String>, key: SecretString) -> Self {
        Self::new(
            Protocol::Anthropic,
            "https://api.anthropic.com".into(),
            model.into(),
            Some(key),
        )
    }

    /// A model behind a server that speaks as OpenAI's does. The base URL includes the version: `https://api.openai.com/v1`.
    pub fn open_ai(
        base_url: impl Into<String>,
        model: impl Into<String>,
        key: Option<SecretString>,
    ) -> Self {
        Self::new(Protocol::OpenAi, base_url.into(), model.into(), key)
    }

    fn new(protocol: Protocol, base_url: String, model: String, key: Option<SecretString>) -> Self {
        Self {
            protocol,
            base_url,
            model,
            key,
            max_tokens: 2048,
            thinking_budget: None,
            first_byte_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(30),
            attempts: 4,
            first_pause: Duration::from_millis(500),
        }
    }
}

/// Answers with what a model says.
#[derive(Clone)]
pub struct Model(Arc<Client>);

impl Model {
    /// Makes ready to ask the model; it is not asked yet. The error says what is wrong with the settings.
    pub fn new(settings: ModelSettings) -> Result<Self, String> {
        Client::new(settings).map(Arc::new).map(Self)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Model")
            .field(self.0.settings())
            .finish()
    }
}

impl Responder for Model {
    fn respond(&self, prompt: Prompt) -> Composing {
        let client = self.0.clone();
        let answer = async move {
            client
                .ask(&prompt)
                .await
                .map(crate::answer::Answer::into_stream)
        };
        Box::pin(stream::once(answer).try_flatten())
    }
}
