//! Settings of a model on a server.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::request_form::{SystemRole, TokenLimit};

/// The protocol of a model server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions, which most local servers support as well.
    OpenAi,
}

/// The thinking of one of Anthropic's models before its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// At most this number of tokens, in addition to those of the answer. The server requires at
    /// least 1,024.
    Budget(u32),
    /// As much as the model finds useful. Newer models accept only this.
    Adaptive,
}

/// The work that a model puts into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// The least thinking that the server offers.
    Minimal,
    /// Little thinking.
    Low,
    /// Some thinking.
    Medium,
    /// Much thinking.
    High,
}

/// The settings of a model: its server, the limits of its answers, and timeouts.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// The protocol that the server supports.
    pub protocol: Protocol,
    /// The server's URL without `/messages` or `/chat/completions`, which the client appends. `/v1`
    /// may be missing from a URL without another path.
    pub base_url: String,
    /// The model's name on the server.
    pub model: String,
    /// The API key. Local servers usually need none.
    pub key: Option<SecretString>,
    /// The greatest length of an answer, in tokens; 2,048 by default.
    pub max_tokens: u32,
    /// The thinking before the answer; `None` for no thinking. Only for [`Protocol::Anthropic`].
    pub thinking: Option<Thinking>,
    /// The work that the model puts into an answer; `None` for the server's default.
    pub effort: Option<Effort>,
    /// The field that limits an answer. Only for [`Protocol::OpenAi`]. Another field is used if the
    /// server refuses it.
    pub token_limit: TokenLimit,
    /// The role of the instructions for the agent. Only for [`Protocol::OpenAi`]. The other role is
    /// used if the server refuses it.
    pub system_role: SystemRole,
    /// The number of images that the model reads, the newest of a prompt; 0 by default.
    pub images: usize,
    /// `true` if lines are left out in which the agent speaks for others; `true` by default.
    pub cuts_others: bool,
    /// The number of tokens that the model reads and writes in all; `None` if it is not known.
    pub context_tokens: Option<u32>,
    /// Fields that are added to the body of each request. They replace fields of the same name;
    /// null removes one.
    pub extra_fields: Map<String, Value>,
    /// Headers that are added to each request. Their values may be secret.
    pub headers: BTreeMap<String, SecretString>,
    /// The longest pause before an answer begins; 1 minute by default. Comments of the server end a
    /// pause.
    pub first_byte_timeout: Duration,
    /// The longest pause within an answer; 30 seconds by default.
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
    /// includes the version, as in `https://example.com/v1`. Without a path, `/v1` is added.
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
            thinking: None,
            effort: None,
            token_limit: TokenLimit::default(),
            system_role: SystemRole::default(),
            images: 0,
            cuts_others: true,
            context_tokens: None,
            extra_fields: Map::new(),
            headers: BTreeMap::new(),
            first_byte_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(30),
            attempts: 4,
            first_pause: Duration::from_millis(500),
        }
    }
}
