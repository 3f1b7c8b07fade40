//! Asks a model server, again where that may help, until an answer begins.

use std::{sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use domain::{Failure, Prompt};
use reqwest::{
    Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    answer::{Answer, Hear},
    anthropic,
    events::Events,
    models::{ModelSettings, Protocol},
    open_ai,
    refusals::{Refusal, shown},
};

/// How long a server that does not even accept is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A deadline farther away than clocks go cannot be told, and nobody waits so long.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The longest pause between two attempts, before chance is added to it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How much of a refusal is read, in bytes, and how long it is waited for.
const LONGEST_REFUSAL: usize = 16 << 10;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A model server's client.
pub(crate) struct Client {
    settings: ModelSettings,
    http: reqwest::Client,
    url: Url,
    /// What no failure may show: the key, and where the server is.
    secrets: Vec<String>,
}

impl Client {
    pub(crate) fn new(settings: ModelSettings) -> Result<Self, String> {
        let path = match settings.protocol {
            Protocol::Anthropic => anthropic::PATH,
            Protocol::OpenAi => open_ai::PATH,
        };
        let mut url =
            Url::parse(&settings.base_url).map_err(|_| "the model server's URL is none")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the model server's URL must begin with http:// or https://".into());
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err("the model server's URL must be a host and a path and nothing else".into());
        }
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        let http = reqwest::Client::builder()
            .default_headers(headers(&settings)?)
            .user_agent(concat!("greenroom/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .tls_backend_preconfigured(tls(url.scheme() == "https")?)
            .build()
            .map_err(|_| "no client of the model server can be made")?;
        Ok(Self {
            secrets: secrets(&settings, &url),
            settings,
            http,
            url,
        })
    }

    pub(crate) fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// Asks until an answer begins or asking on is of no use.
    pub(crate) async fn ask(&self, prompt: &Prompt) -> Result<Answer, Failure> {
        let body = match self.settings.protocol {
            Protocol::Anthropic => anthropic::body(&self.settings, prompt),
            Protocol::OpenAi => open_ai::body(&self.settings, prompt),
        };
        let body =
            Bytes::from(body.map_err(|_| Failure("the conversation cannot be sent".into()))?);
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.settings.first_pause)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(self.settings.attempts.saturating_sub(1) as usize)
            .with_jitter();
        let mut attempt = 0_u32;
        let asked = || {
            attempt += 1;
            self.attempt(body.clone(), attempt)
        };
        asked
            .retry(pauses)
            .when(|refusal| refusal.is_passing)
            .adjust(|refusal, pause| pause.map(|pause| refusal.after.unwrap_or(pause)))
            .notify(|_, pause| tracing::debug!(?pause, "the model server is asked again"))
            .await
            .map_err(|refusal| refusal.failure)
    }

    /// Asks once and waits for the first event.
    async fn attempt(&self, body: Bytes, attempt: u32) -> Result<Answer, Refusal> {
        let deadline = Instant::now() + self.settings.first_byte_timeout.min(LONGEST_WAIT);
        let late = |_| {
            Refusal::lasting(Failure(
                "the model server did not begin to answer in time".into(),
            ))
        };
        let request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let Ok(response) = timeout_at(deadline, request).await.map_err(late)? else {
            tracing::debug!(attempt, "the model server was not reached");
            return Err(Refusal::unreached());
        };
        tracing::debug!(
            attempt,
            status = response.status().as_u16(),
            "the model server answered"
        );
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let hear: Hear = match self.settings.protocol {
            Protocol::Anthropic => anthropic::hear,
            Protocol::OpenAi => open_ai::hear,
        };
        let mut events = Events::new(response, self.settings.idle_timeout);
        let first = timeout_at(deadline, events.next()).await.map_err(late)?;
        let mut answer = Answer::new(events, hear, self.secrets.clone());
        answer.take(first);
        Ok(answer)
    }

    async fn refusal(&self, mut response: Response) -> Refusal {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut said = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                said.extend_from_slice(&chunk);
                if said.len() > LONGEST_REFUSAL {
                    break;
                }
            }
        };
        // What came until then may be enough; if not, the status says it.
        let _ = timeout(REFUSAL_TIMEOUT, reading).await;
        let said: Value = serde_json::from_slice(&said).unwrap_or_default();
        let error = said.get("error").unwrap_or(&said);
        Refusal::of_status(status, retry_after.as_deref(), &shown(error, &self.secrets))
    }
}

/// What every request carries.
fn headers(settings: &ModelSettings) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let key = |prefix: &str, key: &str| {
        let mut value = HeaderValue::from_str(&format!("{prefix}{key}"))
            .map_err(|_| "the key has characters that no key has")?;
        value.set_sensitive(true);
        Ok::<_, String>(value)
    };
    match (settings.protocol, key_of(settings)) {
        (Protocol::Anthropic, found) => {
            headers.insert(
                anthropic::VERSION_HEADER,
                HeaderValue::from_static(anthropic::VERSION),
            );
            if let Some(found) = found {
                headers.insert(anthropic::KEY_HEADER, key("", found)?);
            }
        }
        (Protocol::OpenAi, Some(found)) => {
            headers.insert(AUTHORIZATION, key("Bearer ", found)?);
        }
        (Protocol::OpenAi, None) => {}
    }
    Ok(headers)
}

/// The key without the line's end that files have behind it; an empty one is none.
fn key_of(settings: &ModelSettings) -> Option<&str> {
    settings
        .key
        .as_ref()
        .map(|key| key.expose_secret().trim())
        .filter(|key| !key.is_empty())
}

/// Longer ones first, so that none is hidden in part.
fn secrets(settings: &ModelSettings, url: &Url) -> Vec<String> {
    let host = url.host_str().unwrap_or_default();
    let place = url.port().map(|port| format!("{host}:{port}"));
    let all = [
        key_of(settings).map(str::to_owned),
        Some(settings.base_url.trim_end_matches('/').to_owned()),
        place,
        Some(host.to_owned()),
    ];
    all.into_iter()
        .flatten()
        .filter(|secret| !secret.is_empty())
        .collect()
}

/// A machine without certificate authorities can still ask a local server, which needs none.
fn tls(is_used: bool) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| "no version of TLS can be spoken")?;
    Ok(if is_used {
        config
            .with_platform_verifier()
            .map_err(|_| "this machine knows no certificate authorities")?
            .with_no_client_auth()
    } else {
        config
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prints_headers_prints_no_key() {
        let settings = [
            ModelSettings::anthropic("a-model", "sk-key".into()),
            ModelSettings::open_ai("", "a-model", Some("sk-key".into())),
        ];
        for settings in settings {
            let headers = headers(&settings).unwrap();
            assert!(
                headers
                    .values()
                    .any(|value| value.as_bytes().ends_with(b"sk-key"))
            );
            assert!(!format!("{headers:?}").contains("sk-key"), "{headers:?}");
        }
    }
}
