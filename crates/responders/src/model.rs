//! The responder that answers with the output of a language model on a server.

use std::{fmt, sync::Arc, time::Duration};

use domain::{
    AgentConfig, AgentId, AgentName, Composed, Composing, Failure, FailureKind, Prompt, Responder,
    RoomId, Turn, Usage,
};
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

use crate::{
    client::Client,
    error::ModelError,
    settings::{ModelSettings, Protocol},
};

/// The longest wait for the answer to a check. A local server may have to load the model.
const CHECK_TIMEOUT: Duration = Duration::from_mins(6);

/// A responder that answers with the output of a language model on a server. Clones share
/// connections.
#[derive(Clone)]
pub struct Model(Arc<Client>);

impl Model {
    /// Checks the settings and returns a responder. It does not connect to the server yet.
    ///
    /// # Errors
    ///
    /// Fails if the base URL or the key is not valid, or if TLS is needed and cannot be set up.
    ///
    /// ```
    /// use responders::{Model, ModelError, ModelSettings};
    ///
    /// let local = ModelSettings::open_ai("http://127.0.0.1:11434/v1", "llama3.2", None);
    /// assert!(Model::new(local).is_ok());
    ///
    /// let relative = ModelSettings::open_ai("127.0.0.1", "llama3.2", None);
    /// assert!(matches!(Model::new(relative), Err(ModelError::InvalidUrl)));
    /// ```
    pub fn new(settings: ModelSettings) -> Result<Self, ModelError> {
        Client::new(settings).map(Arc::new).map(Self)
    }

    /// Asks the model for one word, and returns its answer.
    ///
    /// # Errors
    ///
    /// The failure says what is wrong. It contains neither the key nor the server's address.
    pub async fn check(&self) -> Result<String, Failure> {
        let mut pieces = self.respond(test_prompt()?);
        let reading = async {
            let mut answer = String::new();
            while let Some(piece) = pieces.next().await {
                if let Composed::Text(text) = piece? {
                    answer.push_str(&text);
                }
            }
            Ok(answer.trim().to_owned())
        };
        let answer = timeout(CHECK_TIMEOUT, reading).await;
        answer.unwrap_or_else(|_| {
            let reason = format!("the model did not answer within {CHECK_TIMEOUT:?}");
            Err(Failure::new(FailureKind::Timeout, reason))
        })
    }
}

/// Returns the prompt of a check.
fn test_prompt() -> Result<Prompt, Failure> {
    let name = AgentName::parse("Greenroom");
    let name = name.map_err(|error| Failure::new(FailureKind::Other, error.to_string()))?;
    Ok(Prompt {
        room: RoomId(0),
        agent: AgentId(0),
        name,
        system: "This is a test of the connection.".into(),
        memories: String::new(),
        remembers: false,
        persona: Arc::new(AgentConfig::default()),
        turns: vec![Turn {
            is_own: false,
            is_from_user: true,
            is_interrupted: false,
            name: "user".into(),
            text: "Answer with one word: ready".into(),
            image: None,
        }],
        recalled: vec![],
        traceparent: None,
    })
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
        // Until the server counts them, the tokens of the prompt are estimated. So an answer that
        // is dropped before its first word is not free.
        let estimated = Usage {
            input: client.meter(&prompt).estimated_input(),
            requests: 1,
            ..Usage::default()
        };
        let answer = async move {
            match client.ask(&prompt).await {
                Ok(answer) => answer.into_stream().left_stream(),
                // No answer has begun, so no token was used.
                Err((failure, requests)) => {
                    let usage = Usage {
                        requests,
                        ..Usage::default()
                    };
                    let ended = [Ok(Composed::Usage(usage)), Err(failure)];
                    stream::iter(ended).right_stream()
                }
            }
        };
        let begun = stream::iter([Ok(Composed::Usage(estimated))]);
        Box::pin(begun.chain(stream::once(answer).flatten()))
    }

    fn model(&self) -> &str {
        &self.0.settings().model
    }

    fn provider(&self) -> &'static str {
        match self.0.settings().protocol {
            Protocol::Anthropic => "anthropic",
            Protocol::OpenAi => "openai",
        }
    }

    fn images(&self) -> usize {
        self.0.settings().images
    }

    fn history_bytes(&self) -> Option<usize> {
        self.0.history_bytes()
    }
}
