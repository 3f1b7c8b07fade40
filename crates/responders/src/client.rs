//! A client that sends a prompt to a model server. It repeats attempts that may succeed later,
//! until an answer begins.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use domain::{Failure, FailureKind, Prompt};
use reqwest::{
    Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    answer_stream::{AnswerStream, Meter},
    anthropic,
    directives::Directives,
    endpoint::Endpoint,
    error::ModelError,
    events::{MaxPauses, ResponseEvents},
    failures::FailedAttempt,
    model_event::ParseEvent,
    open_ai,
    request_form::RequestForm,
    settings::{ModelSettings, Protocol},
    token_size::TokenSize,
};

/// The longest pause between two attempts, before jitter is added.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The number of bytes after which reading the body of an error response stops. The error's message
/// is in the first few hundred bytes.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// The longest wait for the body of an error response. Without the body, only the status is
/// reported.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The client of one model on one server.
pub(crate) struct Client {
    settings: ModelSettings,
    endpoint: Endpoint,
    /// The form that the server accepts, as far as it is known.
    form: Mutex<RequestForm>,
    size: TokenSize,
}

impl Client {
    pub(crate) fn new(settings: ModelSettings) -> Result<Self, ModelError> {
        Ok(Self {
            endpoint: Endpoint::new(&settings)?,
            form: Mutex::new(RequestForm {
                token_limit: settings.token_limit,
                system_role: settings.system_role,
                asks_for_usage: true,
            }),
            size: TokenSize::default(),
            settings,
        })
    }

    pub(crate) fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// Sends the prompt until an answer begins. Fails if another attempt would not help, or if all
    /// attempts are used up.
    ///
    /// A failure comes with the number of requests.
    ///
    /// If the server refuses the form of the request, it is sent in another form. If it refuses the
    /// length, the older half of the conversation is left out, once.
    pub(crate) async fn ask(&self, prompt: &Prompt) -> Result<AnswerStream, (Failure, u64)> {
        let mut shorter = None;
        let mut requests = 0;
        loop {
            let form = *self.form.lock().unwrap_or_else(PoisonError::into_inner);
            let prompt = shorter.as_ref().unwrap_or(prompt);
            let failed = match self.ask_in(form, prompt, &mut requests).await {
                Ok(answer) => return Ok(answer.after(requests)),
                Err(failed) => failed,
            };
            if let Some(next) = self.form_after(form, &failed) {
                tracing::warn!(?next, "the model server refused the form of a request");
                *self.form.lock().unwrap_or_else(PoisonError::into_inner) = next;
            } else if failed.is_about_length && shorter.is_none() && prompt.turns.len() > 1 {
                tracing::warn!(
                    room = %prompt.room,
                    agent = %prompt.agent,
                    "the conversation is too long for the model; its newer half is sent"
                );
                shorter = Some(newer_half(prompt));
            } else {
                return Err((failed.failure, requests));
            }
        }
    }

    async fn ask_in(
        &self,
        form: RequestForm,
        prompt: &Prompt,
        requests: &mut u64,
    ) -> Result<AnswerStream, FailedAttempt> {
        let body = match self.settings.protocol {
            Protocol::Anthropic => anthropic::body(&self.settings, prompt),
            Protocol::OpenAi => open_ai::body(&self.settings, form, prompt),
        };
        let body = body.and_then(|body| serde_json::to_vec(&self.with_extra_fields(body)));
        let body = body.map_err(|_| {
            let text = "the conversation could not be encoded as JSON";
            FailedAttempt::permanent(FailureKind::Other, text)
        })?;
        let body = Bytes::from(body);
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
            *requests += 1;
            self.attempt(body.clone(), prompt, attempt, form)
        };
        send.retry(pauses)
            .when(|failed| failed.is_transient && self.form_after(form, failed).is_none())
            .adjust(|failed, pause| pause.map(|pause| failed.retry_after.unwrap_or(pause)))
            .notify(|_, pause| tracing::debug!(?pause, "retrying the model server"))
            .await
    }

    /// Returns the estimate of this prompt's tokens.
    pub(crate) fn meter(&self, prompt: &Prompt) -> Meter {
        Meter::new(self.size.clone(), prompt)
    }

    /// Returns the number of bytes that a conversation may have, if the settings say how much the
    /// model reads.
    pub(crate) fn history_bytes(&self) -> Option<usize> {
        let tokens = self.settings.context_tokens?;
        let tokens = tokens.saturating_sub(self.settings.max_tokens);
        Some(self.size.history_bytes(tokens))
    }

    /// Returns the parser of an answer to this prompt.
    fn directives(&self, prompt: &Prompt) -> Directives {
        let directives = Directives::new(prompt.name.as_str());
        if !self.settings.cuts_others {
            return directives;
        }
        let others = prompt.turns.iter().filter(|turn| !turn.is_own);
        let mut names: Vec<_> = others.map(|turn| turn.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        directives.without_others(names)
    }

    /// Returns the form to try after a refusal. Anthropic's protocol has one form.
    fn form_after(&self, form: RequestForm, failed: &FailedAttempt) -> Option<RequestForm> {
        match self.settings.protocol {
            Protocol::Anthropic => None,
            Protocol::OpenAi => form.after(&failed.reason),
        }
    }

    /// Adds the fields of the settings to a body. They replace fields of the same name; null
    /// removes one.
    fn with_extra_fields(&self, mut body: Value) -> Value {
        if let Value::Object(fields) = &mut body {
            for (name, value) in &self.settings.extra_fields {
                if value.is_null() {
                    fields.remove(name);
                } else {
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        body
    }

    /// Sends one request and waits for the first piece of its answer.
    async fn attempt(
        &self,
        body: Bytes,
        prompt: &Prompt,
        attempt: u32,
        form: RequestForm,
    ) -> Result<AnswerStream, FailedAttempt> {
        let max_pauses = MaxPauses {
            first: self.settings.first_byte_timeout,
            idle: self.settings.idle_timeout,
        };
        let mut request = self
            .endpoint
            .http
            .post(self.endpoint.url.clone())
            .header(CONTENT_TYPE, "application/json");
        if let Some(traceparent) = &prompt.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let request = request.body(body).send();
        let not_begun = |_| FailedAttempt::not_begun(max_pauses.first);
        let response = match timeout(max_pauses.first, request)
            .await
            .map_err(not_begun)?
        {
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
        let events = ResponseEvents::read(response, max_pauses).await?;
        // In OpenAI's protocol, the number of tokens comes behind the end of the answer.
        let awaits_usage = self.settings.protocol == Protocol::OpenAi && form.asks_for_usage;
        let secrets = self.endpoint.secrets.clone();
        let (directives, meter) = (self.directives(prompt), self.meter(prompt));
        AnswerStream::begin(events, parse, directives, secrets, awaits_usage, meter).await
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
        let secrets = &self.endpoint.secrets;
        FailedAttempt::of_status(status, retry_after.as_deref(), &body, secrets)
    }
}

/// Returns the prompt without the older half of the conversation.
fn newer_half(prompt: &Prompt) -> Prompt {
    let mut shorter = prompt.clone();
    shorter.turns.drain(..prompt.turns.len() / 2);
    shorter
}
