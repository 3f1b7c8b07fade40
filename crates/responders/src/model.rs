//! The responder that answers with the output of a language model on a server.

use std::{fmt, sync::Arc};

use domain::{Composing, Failure, Prompt, Responder};
use futures_util::{TryStreamExt as _, stream};

use crate::{
    answer_stream::AnswerStream, client::Client, error::ModelError, settings::ModelSettings,
};

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

    /// Checks that the server responds and accepts the key, without asking for an answer.
    ///
    /// # Errors
    ///
    /// The failure says what is wrong. It contains neither the key nor the server's address.
    pub async fn check(&self) -> Result<(), Failure> {
        self.0.check().await
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
        let answer = async move { client.ask(&prompt).await.map(AnswerStream::into_stream) };
        Box::pin(stream::once(answer).try_flatten())
    }
}
