//! A client that sends a prompt to a model server. It repeats attempts that may succeed later,
//! until an answer begins.

use std::{error::Error, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use domain::{Failure, Prompt};
use reqwest::{
    Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    answer_stream::AnswerStream,
    anthropic,
    endpoint::Endpoint,
    error::ModelError,
    failures::{FailedAttempt, readable_reason},
    model_event::ParseEvent,
    open_ai,
    settings::{ModelSettings, Protocol},
    sse::SseEvents,
};

/// The longest wait for the first event of an answer. Limits the setting, because the deadline of a
/// very long wait would overflow.
const MAX_WAIT: Duration = Duration::from_hours(24);
/// The longest pause between two attempts, before jitter is added.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The number of bytes after which reading the body of an error response stops. The error's message
/// is in the first few hundred bytes.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// The longest wait for the body of an error response. Without the body, only the status is
/// reported.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait for the response to a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// The client of one model on one server.
pub(crate) struct Client {
    settings: ModelSettings,
    endpoint: Endpoint,
}

impl Client {
    pub(crate) fn new(settings: ModelSettings) -> Result<Self, ModelError> {
        Ok(Self {
            endpoint: Endpoint::new(&settings)?,
            settings,
        })
    }

    pub(crate) fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// Sends the prompt until an answer begins. Fails if another attempt would not help, or if all
    /// attempts are used up.
    pub(crate) async fn ask(&self, prompt: &Prompt) -> Result<AnswerStream, Failure> {
        let body = match self.settings.protocol {
            Protocol::Anthropic => anthropic::body(&self.settings, prompt),
            Protocol::OpenAi => open_ai::body(&self.settings, prompt),
        };
        let body = Bytes::from(
            body.map_err(|_| Failure("the conversation could not be encoded as JSON".into()))?,
        );
        // The pauses have jitter. Without it, all agents of a room would retry at the same moment
        // on a busy server.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.settings.first_pause)
            .with_max_delay(MAX_PAUSE)
            .with_max_times(self.settings.attempts.saturating_sub(1) as usize)
            .with_jitter();
        let mut attempt = 0_u32;
        let send = || {
            attempt += 1;
            self.attempt(body.clone(), attempt)
        };
        send.retry(pauses)
            .when(|failed| failed.is_transient)
            .adjust(|failed, pause| pause.map(|pause| failed.retry_after.unwrap_or(pause)))
            .notify(|_, pause| tracing::debug!(?pause, "retrying the model server"))
            .await
            .map_err(|failed| failed.failure)
    }

    /// Asks the server for its list of models. Fails if the server does not respond or refuses the
    /// key.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let request = self.endpoint.http.get(self.endpoint.models.clone()).send();
        let response = match timeout(CHECK_TIMEOUT, request).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => return Err(FailedAttempt::unreachable().failure),
            Err(_) => {
                return Err(Failure(format!(
                    "the model server did not respond within {CHECK_TIMEOUT:?}"
                )));
            }
        };
        // A server need not have the list, so other refusals do not count.
        match response.status().as_u16() {
            401 | 403 => Err(self.refused(response).await.failure),
            _ => Ok(()),
        }
    }

    /// Sends one request and waits for the first event of its answer.
    async fn attempt(&self, body: Bytes, attempt: u32) -> Result<AnswerStream, FailedAttempt> {
        let wait = self.settings.first_byte_timeout.min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        let timed_out = |_| {
            FailedAttempt::permanent(Failure(format!(
                "the model server did not begin its answer within {wait:?}"
            )))
        };
        let request = self
            .endpoint
            .http
            .post(self.endpoint.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let response = match timeout_at(deadline, request).await.map_err(timed_out)? {
            Ok(response) => response,
            Err(error) => {
                // The failure is shown to users, so it does not contain the address. The log does,
                // because the operator needs it.
                let host = self.endpoint.url.authority();
                let error = error.without_url();
                let error: &dyn Error = &error;
                tracing::warn!(
                    host,
                    attempt,
                    error,
                    "could not connect to the model server"
                );
                return Err(FailedAttempt::unreachable());
            }
        };
        let status = response.status();
        tracing::debug!(
            attempt,
            status = status.as_u16(),
            "response of the model server"
        );
        if !status.is_success() {
            return Err(self.refused(response).await);
        }
        let parse: ParseEvent = match self.settings.protocol {
            Protocol::Anthropic => anthropic::parse_event,
            Protocol::OpenAi => open_ai::parse_event,
        };
        let mut events = SseEvents::new(response, self.settings.idle_timeout);
        let first = timeout_at(deadline, events.next())
            .await
            .map_err(timed_out)?;
        let mut answer = AnswerStream::new(events, parse, self.endpoint.secrets.clone());
        answer.add(first);
        Ok(answer)
    }

    /// Converts an error response to a failed attempt, with the reason from the response's body.
    async fn refused(&self, mut response: Response) -> FailedAttempt {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut body = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                body.extend_from_slice(&chunk);
                if body.len() > MAX_ERROR_BYTES {
                    break;
                }
            }
        };
        // After a timeout, the part of the body that was read may still contain the reason.
        let _ = timeout(ERROR_BODY_TIMEOUT, reading).await;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let error = body.get("error").unwrap_or(&body);
        FailedAttempt::of_status(
            status,
            retry_after.as_deref(),
            &readable_reason(error, &self.endpoint.secrets),
        )
    }
}
