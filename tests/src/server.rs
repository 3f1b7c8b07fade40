//! A server in this process, and a client of its HTTP interface.

use std::{path::Path, sync::Arc, time::Duration};

use crate::sse::Stream;
use app::{App, Auth, AuthSettings, Caller, Limits, Responders, Server, Settings};
use cache_adapter::Options;
use cache_core::{Clock, Runtime};
use domain::{Repositories, Responder};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The administrator's and the guests' password, with hashes that are quick to check.
pub const ADMIN_PASSWORD: &str = "tea";
/// See [`ADMIN_PASSWORD`].
pub const GUEST_PASSWORD: &str = "cake";
const ADMIN_HASH: &str = "$2b$04$bD.yC7alw2xBezFbjEB71OY07js/8bWNJ5rBGET1aI48F4qxLtcxa";
const GUEST_HASH: &str = "$2b$04$0kNEbao.kOHsELvwTDQTo.oADIEpjH3AlWVaYDio.v38zuY7jvpQS";
/// What the tests' servers sign with.
pub const SECRET: &str = "a secret of the tests, long enough to sign with";

/// A server that runs until [`Running::end`], with its files in a folder of its own.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    base: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), String>>,
    folder: TempDir,
}

/// Settings of a server whose files lie in `folder`, on a free port, without the sample agents.
pub fn settings(folder: &Path) -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        database: format!("sqlite:{}", folder.join("greenroom.db").display()),
        agents: folder.join("agents"),
        cache: Options::default(),
        max_body_bytes: 10 * 1024 * 1024,
        write_timeout: Duration::from_secs(30),
        samples: false,
        frontend: None,
        auth: AuthSettings {
            admin_password_hash: Some(ADMIN_HASH.into()),
            guest_password_hash: Some(GUEST_HASH.into()),
            token_secret: Some(SECRET.into()),
            token_secret_previous: None,
            credentials: folder.join("credentials.yaml"),
        },
        cors_origins: vec!["http://localhost:5173".into()],
        trusted_proxies: Vec::new(),
        // Tests ask faster than people do.
        limits: Limits {
            requests_per_second: 1_000_000,
            request_burst: 1_000_000,
            ..Limits::default()
        },
        // Most tests are about what is said, not about who answers.
        answers: app::AnswerSettings::silent(),
        files: app::FileWatch::default(),
    }
}

/// The app over a store of the caller's.
pub fn app_over(store: Repositories, settings: &Settings, clock: Clock) -> Arc<App> {
    let auth = Auth::open(settings).expect("the settings of tests are good");
    let responders =
        app::build_responders(&settings.answers).expect("the settings of tests are good");
    Arc::new(app::with_store(
        store,
        settings,
        auth,
        responders,
        Runtime::tokio_with(clock),
    ))
}

impl Running {
    /// The program as it is, with what `change` changes of its settings.
    pub async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_at(Clock::real(), change).await
    }

    /// The same with a clock of the caller's.
    pub async fn start_at(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let server = Server::start(&settings, Runtime::tokio_with(clock))
            .await
            .expect("it starts");
        let (app, base) = (server.app().clone(), format!("http://{}", server.address()));
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        Self {
            app,
            base,
            stop,
            served: tokio::spawn(async move {
                server
                    .run_until(stopped)
                    .await
                    .map_err(|error| error.to_string())
            }),
            folder,
        }
    }

    /// The same interface and cache over a store of the caller's.
    pub async fn over(store: Repositories, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let app = app_over(store, &settings, Clock::real());
        Self::serve(app, &settings, folder).await
    }

    /// The same with agents who say what `responder` has them say.
    pub async fn answering(
        store: Repositories,
        responder: impl Responder + 'static,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let responders = Responders {
            default: Some(Arc::new(responder)),
            ..Responders::default()
        };
        let auth = Auth::open(&settings).expect("the settings of tests are good");
        let app = Arc::new(app::with_store(
            store,
            &settings,
            auth,
            responders,
            Runtime::tokio(),
        ));
        app.conversations.resume().await.expect("the store answers");
        Self::serve(app, &settings, folder).await
    }

    async fn serve(app: Arc<App>, settings: &Settings, folder: TempDir) -> Self {
        let listener = TcpListener::bind(settings.listen)
            .await
            .expect("there is a free port");
        let base = format!("http://{}", listener.local_addr().expect("it listens"));
        let (stop, stopped) = oneshot::channel();
        let router = app::router(app.clone(), settings);
        let stopping = app.stopping.clone();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            drop(stopped.await);
            stopping.cancel();
        });
        let served = tokio::spawn(async move { serving.await.map_err(|error| error.to_string()) });
        Self {
            app,
            base,
            stop,
            served,
            folder,
        }
    }

    /// The wired program.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// The server's files: `greenroom.db` and `agents`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The administrator's client, with connections of its own.
    pub fn client(&self) -> Client {
        self.client_of(&Caller::admin())
    }

    /// The client of a guest that nobody was before.
    pub fn guest(&self) -> Client {
        self.client_of(&Caller::new_guest())
    }

    /// A client that has not logged in.
    pub fn stranger(&self) -> Client {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(no_tls())
            .build()
            .expect("a client can be made");
        Client {
            http: client,
            base: self.base.clone(),
            token: None,
        }
    }

    /// A client with a token of this caller.
    pub fn client_of(&self, caller: &Caller) -> Client {
        self.stranger().with_token(&self.app.auth.issue(caller))
    }

    /// Ends the server and waits until requests and writes have ended.
    pub async fn end(self) {
        drop(self.stop);
        self.served
            .await
            .expect("the server does not panic")
            .expect("the server ends well");
        assert!(
            self.app
                .cache
                .manager
                .shutdown(Duration::from_secs(20))
                .await,
            "writes end"
        );
    }
}

/// Speaks to one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// The same client with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Its token; empty without one.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// A request that carries the client's token, to be finished by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("x-api-key", token),
            None => request,
        }
    }

    /// Sends what [`Client::request`] began.
    pub async fn send(&self, path: &str, request: RequestBuilder) -> Answer {
        Answer::of(path, request.send().await).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, false).await
    }

    /// GET past the cache.
    pub async fn get_past(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, true).await
    }

    /// GET by who has what these tags name.
    pub async fn get_if_none_match(&self, path: &str, tags: &str) -> Answer {
        let request = self
            .request(Method::GET, path)
            .header("if-none-match", tags);
        Answer::of(path, request.send().await).await
    }

    /// POST with a JSON body; null is no body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, json(body), false).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PATCH, path, json(body), false).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None, false).await
    }

    /// A room's event stream, behind the message `last` or from now on.
    pub async fn events(&self, room: i64, last: Option<i64>) -> Stream {
        let mut request = self.request(Method::GET, &format!("/rooms/{room}/events"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Stream::new(
            request
                .send()
                .await
                .unwrap_or_else(|error| panic!("events of room {room}: {error}")),
        )
    }

    /// The status of a request for events behind anything.
    pub async fn ask_events(&self, room: i64, last: &str) -> StatusCode {
        let request = self
            .request(Method::GET, &format!("/rooms/{room}/events"))
            .header("last-event-id", last);
        request
            .send()
            .await
            .unwrap_or_else(|error| panic!("events of room {room}: {error}"))
            .status()
    }

    /// Any request: with a body as it stands, past the cache or not.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        past: bool,
    ) -> Answer {
        let mut request = self.request(method, path);
        if past {
            request = request.header("cache-control", "no-cache");
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        Answer::of(path, request.send().await).await
    }
}

/// What a client that speaks plain HTTP needs: models' clients bring TLS into reqwest, and reqwest wants to know whose.
fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks TLS")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "called with `json!` in place"
)]
fn json(body: Value) -> Option<String> {
    (!body.is_null()).then(|| body.to_string())
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    path: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    async fn of(path: &str, sent: reqwest::Result<reqwest::Response>) -> Self {
        let response = sent.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .bytes()
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .to_vec();
        Self {
            path: path.to_owned(),
            status,
            headers,
            body,
        }
    }

    /// The body as JSON, whatever the status.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.path, self.text()))
    }

    /// The JSON body of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(
            self.status,
            StatusCode::OK,
            "{}: {}",
            self.path,
            self.text()
        );
        self.json()
    }

    /// The sentence of a refusal with this status.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}: {}",
            self.path,
            self.text()
        );
        self.json()["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no detail: {}", self.path, self.text()))
            .to_owned()
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| {
            value.to_str().expect("headers of ours are ASCII")
        })
    }

    /// Whether all parts came from memory, as `Cache-Status` tells; `None` without the header.
    pub fn is_hit(&self) -> Option<bool> {
        let status = self
            .headers
            .get("cache-status")?
            .to_str()
            .expect("it is ASCII");
        Some(status.split(';').any(|part| part.trim() == "hit"))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
