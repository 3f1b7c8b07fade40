//! The address of a model server, and the HTTP client for it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;
use secrecy::ExposeSecret;

use crate::{
    anthropic,
    error::ModelError,
    open_ai,
    settings::{ModelSettings, Protocol},
};

/// The longest time for establishing a connection. It is shorter than the wait for an answer. A
/// server that accepts no connection within seconds is down, but may be up again at the next
/// attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The length from which the value of a header counts as a secret, in bytes.
const MIN_SECRET_BYTES: usize = 6;

/// The address of a model server, and the HTTP client for it.
pub(crate) struct Endpoint {
    pub(crate) http: reqwest::Client,
    /// The address that prompts are sent to.
    pub(crate) url: Url,
    /// The texts that no failure may contain: the key, and the server's address in several forms. A
    /// text comes before the texts that it contains.
    pub(crate) secrets: Vec<String>,
}

impl Endpoint {
    pub(crate) fn new(settings: &ModelSettings) -> Result<Self, ModelError> {
        let url = request_url(settings)?;
        let mut http = reqwest::Client::builder()
            .default_headers(headers(settings)?)
            .user_agent(concat!("greenroom/", env!("CARGO_PKG_VERSION")))
            // A redirect would send the key to a host that the settings don't name.
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tls_backend_preconfigured(tls(&url)?);
        // The proxy of the environment is for other machines.
        if is_this_machine(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(ModelError::HttpClient)?;
        Ok(Self {
            secrets: secrets(settings, &url),
            http,
            url,
        })
    }
}

/// Returns the URL that prompts are sent to. The base URL may have the version `/v1` or not.
fn request_url(settings: &ModelSettings) -> Result<Url, ModelError> {
    let mut url = Url::parse(&settings.base_url).map_err(|_| ModelError::InvalidUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ModelError::UnsupportedScheme);
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(ModelError::UnsupportedUrlPart);
    }
    let base = url.path().trim_end_matches('/');
    let path = match settings.protocol {
        Protocol::Anthropic => {
            let base = base.strip_suffix("/v1").unwrap_or(base);
            format!("{base}/{}", anthropic::PATH)
        }
        // A server with another path may have its own version in it.
        Protocol::OpenAi if base.is_empty() => format!("v1/{}", open_ai::PATH),
        Protocol::OpenAi => format!("{base}/{}", open_ai::PATH),
    };
    url.set_path(&path);
    Ok(url)
}

/// Returns `true` for the addresses of the own machine, such as `localhost` and `127.0.0.1`.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns the headers of every request. The key is marked as sensitive, so that printed headers
/// don't show it.
fn headers(settings: &ModelSettings) -> Result<HeaderMap, ModelError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let invalid = || ModelError::InvalidHeader(name.clone());
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        headers.insert(name, value);
    }
    let key = trimmed_key(settings);
    let sensitive = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| ModelError::InvalidKey)?;
        value.set_sensitive(true);
        Ok::<_, ModelError>(value)
    };
    match settings.protocol {
        Protocol::Anthropic => {
            headers.insert(
                anthropic::VERSION_HEADER,
                HeaderValue::from_static(anthropic::VERSION),
            );
            if let Some(key) = key {
                headers.insert(anthropic::KEY_HEADER, sensitive(key)?);
            }
        }
        Protocol::OpenAi => {
            if let Some(key) = key {
                headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {key}"))?);
            }
        }
    }
    Ok(headers)
}

/// Returns the key without white space at both ends, such as the line break at the end of a file.
/// Returns `None` for an empty key.
fn trimmed_key(settings: &ModelSettings) -> Option<&str> {
    settings
        .key
        .as_ref()
        .map(|key| key.expose_secret().trim())
        .filter(|key| !key.is_empty())
}

/// Returns the texts that must be hidden. A text comes before the texts that it contains, so that
/// it is hidden as a whole.
fn secrets(settings: &ModelSettings, url: &Url) -> Vec<String> {
    let host = url.host_str().unwrap_or_default();
    let host_and_port = url.port().map(|port| format!("{host}:{port}"));
    let all = [
        trimmed_key(settings).map(str::to_owned),
        Some(settings.base_url.trim_end_matches('/').to_owned()),
        host_and_port,
        Some(host.to_owned()),
    ];
    // A short value of a header is no secret, and to hide it would make failures unreadable.
    let headers = settings.headers.values().map(ExposeSecret::expose_secret);
    let headers = headers.filter(|value| value.len() >= MIN_SECRET_BYTES);
    all.into_iter()
        .flatten()
        .filter(|secret| !secret.is_empty())
        .chain(headers.map(str::to_owned))
        .collect()
}

/// Returns the TLS settings for `url`. Certificate authorities are loaded only for HTTPS, so that a
/// machine without any can still use a local server over HTTP.
fn tls(url: &Url) -> Result<ClientConfig, ModelError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(ModelError::Tls)?;
    Ok(if url.scheme() == "https" {
        config
            .with_platform_verifier()
            .map_err(ModelError::CertificateAuthorities)?
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
    fn a_base_url_may_have_the_version_or_not() {
        let anthropic = |url: &str| ModelSettings {
            base_url: url.into(),
            ..ModelSettings::anthropic("a-model", "sk-key".into())
        };
        let open_ai = |url: &str| ModelSettings::open_ai(url, "a-model", None);
        for (settings, path) in [
            (anthropic("http://host"), "/v1/messages"),
            (anthropic("http://host/v1/"), "/v1/messages"),
            (anthropic("http://host/proxy/v1"), "/proxy/v1/messages"),
            (open_ai("http://host"), "/v1/chat/completions"),
            (open_ai("http://host/"), "/v1/chat/completions"),
            (open_ai("http://host/v1/"), "/v1/chat/completions"),
            (open_ai("http://host/api/v2"), "/api/v2/chat/completions"),
        ] {
            let url = request_url(&settings).unwrap();
            assert_eq!(url.path(), path, "{}", settings.base_url);
        }
    }

    #[test]
    fn the_proxy_of_the_environment_is_not_for_this_machine() {
        for (url, is_own) in [
            ("http://localhost:1234/v1", true),
            ("http://127.0.0.1:1234/v1", true),
            ("http://[::1]:1234/v1", true),
            ("http://10.0.0.1/v1", false),
            ("https://api.openai.com/v1", false),
        ] {
            assert_eq!(is_this_machine(&Url::parse(url).unwrap()), is_own, "{url}");
        }
    }

    #[test]
    fn printed_headers_do_not_show_the_key() {
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
