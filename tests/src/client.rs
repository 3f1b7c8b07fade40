//! A client of one server's HTTP interface.

use std::sync::Arc;

use reqwest::{Method, RequestBuilder, StatusCode};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::{Value, json};

use crate::{response::HttpResponse, sse::EventStream};

/// The cache mode of an HTTP request or of a port call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// Reads use the cache. A hit is served from memory.
    Cached,
    /// Every read goes to the store. An HTTP request selects this mode with the header
    /// `Cache-Control: no-cache`.
    Bypass,
}

/// An HTTP client of one server. It sends the same API token, or none, with every request. Clones
/// share one connection pool.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Returns a client of the server at `base`, without a token and with its own connections.
    pub fn new(base: &str) -> Self {
        Self {
            http: plain_http(),
            base: base.to_owned(),
            token: None,
        }
    }

    /// Returns a client with this token that shares the connections of `self`.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the API token; an empty string if the client has none.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Returns a builder of a request that carries the token. The caller completes the request and
    /// passes it to [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("x-api-key", token),
            None => request,
        }
    }

    /// Sends a request that was built with [`Client::request`]. `path` appears in failure messages.
    pub async fn send(&self, path: &str, request: RequestBuilder) -> HttpResponse {
        HttpResponse::receive(path, request.send().await).await
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> HttpResponse {
        self.call(Method::GET, path, None).await
    }

    /// Sends a GET that bypasses the cache.
    pub async fn get_bypassing(&self, path: &str) -> HttpResponse {
        self.call_in(CacheMode::Bypass, Method::GET, path, None)
            .await
    }

    /// Sends a GET with `If-None-Match: {tags}`.
    pub async fn get_if_none_match(&self, path: &str, tags: &str) -> HttpResponse {
        let request = self
            .request(Method::GET, path)
            .header("if-none-match", tags);
        self.send(path, request).await
    }

    /// Sends a POST with a JSON body. If `body` is null, the request has no body.
    pub async fn post(&self, path: &str, body: Value) -> HttpResponse {
        self.call(Method::POST, path, body_text(&body)).await
    }

    /// Sends a PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> HttpResponse {
        self.call(Method::PATCH, path, body_text(&body)).await
    }

    /// Sends a DELETE.
    pub async fn delete(&self, path: &str) -> HttpResponse {
        self.call(Method::DELETE, path, None).await
    }

    /// Sends a request with any method. The body is sent unchanged, so a test can send malformed
    /// JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<String>) -> HttpResponse {
        self.call_in(CacheMode::Cached, method, path, body).await
    }

    /// Sends a request as [`Client::call`] does, in the cache mode `mode`.
    pub async fn call_in(
        &self,
        mode: CacheMode,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> HttpResponse {
        let mut request = self.request(method, path);
        if mode == CacheMode::Bypass {
            request = request.header("cache-control", "no-cache");
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        self.send(path, request).await
    }

    /// Opens a room's event stream. If `last` is set, the stream resumes after the message with
    /// this id.
    pub async fn open_events(&self, room: i64, last: Option<i64>) -> EventStream {
        let mut request = self.request(Method::GET, &format!("/rooms/{room}/events"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        EventStream::new(
            request
                .send()
                .await
                .unwrap_or_else(|error| panic!("events of room {room}: {error}")),
        )
    }

    /// Opens the event stream at `path`, which may have parameters. `last` is the header
    /// `Last-Event-ID`.
    pub async fn open_events_at(&self, path: &str, last: Option<&str>) -> EventStream {
        let mut request = self.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        EventStream::new(
            request
                .send()
                .await
                .unwrap_or_else(|error| panic!("{path}: {error}")),
        )
    }

    /// Requests a room's event stream with `last` as the header `Last-Event-ID`, and returns the
    /// status of the response. `last` may be malformed.
    pub async fn events_status(&self, room: i64, last: &str) -> StatusCode {
        let request = self
            .request(Method::GET, &format!("/rooms/{room}/events"))
            .header("last-event-id", last);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("events of room {room}: {error}"))
            .status()
    }
}

/// Requests with which most tests set up their data. Each method panics if the server refuses the
/// request.
impl Client {
    /// Creates a room and returns its id.
    pub async fn create_room(&self, name: &str) -> i64 {
        self.post("/rooms", json!({ "name": name })).await.id()
    }

    /// Creates an agent without a persona and returns its id.
    pub async fn create_agent(&self, name: &str) -> i64 {
        self.create_agent_with(name, json!({})).await
    }

    /// Creates an agent with this name and these other fields, and returns its id.
    pub async fn create_agent_with(&self, name: &str, mut fields: Value) -> i64 {
        fields["name"] = json!(name);
        self.post("/agents", fields).await.id()
    }

    /// Adds an agent to a room.
    pub async fn add_member(&self, room: i64, agent: i64) {
        self.post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
            .await
            .ok();
    }

    /// Sends a user's message and returns its id.
    pub async fn send_message(&self, room: i64, content: &str) -> i64 {
        let body = json!({ "content": content, "role": "user" });
        self.post(&format!("/rooms/{room}/messages/send"), body)
            .await
            .id()
    }

    /// Marks a room as read.
    pub async fn mark_read(&self, room: i64) {
        self.post(&format!("/rooms/{room}/mark-read"), Value::Null)
            .await
            .ok();
    }
}

/// Returns a client of plain HTTP with its own connections.
pub(crate) fn plain_http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(tls_without_roots())
        .build()
        .expect("these settings make a client")
}

/// Returns a TLS configuration that trusts no certificate.
///
/// The tests use plain HTTP only. reqwest still requires a TLS configuration: the clients of model
/// servers enable reqwest's TLS feature without a default crypto provider.
fn tls_without_roots() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default TLS versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// Returns the text of a JSON body; `None` for null.
pub fn body_text(body: &Value) -> Option<String> {
    (!body.is_null()).then(|| body.to_string())
}
