//! Settings of a model on a server.

use std::time::Duration;

use secrecy::SecretString;

/// The protocol of a model server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions, which most local servers support as well.
    OpenAi,
}

/// The settings of a model: its server, the limits of its answers, and timeouts.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// The protocol that the server supports.
    pub protocol: Protocol,
    /// The server's URL without `/v1/messages` or `/chat/completions`, which the client appends.
    pub base_url: String,
    /// The model's name on the server.
    pub model: String,
    /// The API key. Local servers usually need none.
    pub key: Option<SecretString>,
    /// The greatest length of an answer, in tokens; 2,048 by default.
    pub max_tokens: u32,
    /// The greatest number of tokens for thinking before the answer; `None` for no thinking. Only
    /// [`Protocol::Anthropic`] supports thinking.
    pub thinking_budget: Option<u32>,
    /// The longest wait for the first event of an answer; 1 minute by default.
    pub first_byte_timeout: Duration,
    /// The longest wait for each further part of an answer; 30 seconds by default.
    pub idle_timeout: Duration,
    /// The greatest number of attempts to get one answer; 4 by default. 0 counts as 1.
    pub attempts: u32,
    /// The pause before the second attempt, half a second by default. It doubles with each
    /// further attempt.
    pub first_pause: Duration,
}

impl ModelSettings {
    /// Returns the default settings for one of Anthropic's models on Anthropic's own server.
    ///
    /// ```
    /// use responders::{ModelSettings, Protocol};
    ///
    /// let settings = ModelSettings::anthropic("claude-sonnet-4-5", "sk-key".into());
    /// assert_eq!(settings.protocol, Protocol::Anthropic);
    /// assert_eq!(settings.base_url, "https://api.anthropic.com");
    /// ```
    pub fn anthropic(model: impl Into<String>, key: SecretString) -> Self {
        Self::new(
            Protocol::Anthropic,
            "https://api.anthropic.com".into(),
            model.into(),
            Some(key),
        )
    }

    /// Returns the default settings for a model on a server with OpenAI's protocol. `base_url`
    /// includes the version, as in `https://example.com/v1`.
    ///
    /// ```
    /// use responders::{ModelSettings, Protocol};
    ///
    /// let settings = ModelSettings::open_ai("http://127.0.0.1:11434/v1", "llama3.2", None);
    /// assert_eq!(settings.protocol, Protocol::OpenAi);
    /// ```
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
