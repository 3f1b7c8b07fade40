//! A server that runs in the process of the test.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use crate::{
    client::Client,
    wait::{soon, until},
};
use app::{App, Auth, AuthSettings, Caller, Flags, Limits, Responders, Server, Settings};
use cache_adapter::Options;
use cache_core::{Clock, Runtime};
use domain::{Repositories, Responder, RoomId};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The password of the administrator.
pub const ADMIN_PASSWORD: &str = "tea";
/// The password of the guests.
pub const GUEST_PASSWORD: &str = "cake";
/// bcrypt hashes of cost 4, the lowest, so that logging in is fast.
const ADMIN_HASH: &str = "$2b$04$bD.yC7alw2xBezFbjEB71OY07js/8bWNJ5rBGET1aI48F4qxLtcxa";
const GUEST_HASH: &str = "$2b$04$0kNEbao.kOHsELvwTDQTo.oADIEpjH3AlWVaYDio.v38zuY7jvpQS";
/// The secret with which the servers under test sign tokens.
pub const SECRET: &str = "a secret of the tests, long enough to sign with";

/// A server that runs until [`TestServer::end`]. Its files are in a temporary folder.
#[derive(Debug)]
pub struct TestServer {
    app: Arc<App>,
    base: String,
    metrics: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), String>>,
    folder: TempDir,
}

/// Returns settings of a server with its files in `folder`, on a free port, without sample agents.
pub fn settings(folder: &Path) -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        database: format!("sqlite:{}", folder.join("greenroom.db").display()),
        agents: folder.join("agents"),
        cache: Options::default(),
        max_body_bytes: 10 * 1024 * 1024,
        log: Settings::read(Flags::default())
            .expect("the defaults are valid")
            .log,
        write_timeout: Duration::from_secs(30),
        samples: false,
        page: true,
        metrics_listen: None,
        otlp: None,
        frontend: None,
        auth: AuthSettings {
            admin_password_hash: Some(ADMIN_HASH.into()),
            guest_password_hash: Some(GUEST_HASH.into()),
            token_secret: Some(SECRET.into()),
            token_secret_previous: None,
            metrics_token: None,
            credentials: folder.join("credentials.yaml"),
        },
        cors_origins: vec!["http://localhost:5173".into()],
        trusted_proxies: Vec::new(),
        // Tests send far more requests than users, so the rate limits are raised.
        limits: Limits {
            requests_per_second: 1_000_000,
            request_burst: 1_000_000,
            guest_requests_per_second: 1_000_000,
            guest_request_burst: 1_000_000,
            connections_per_address: 100_000,
            waits_per_guest: 100_000,
            waits_per_address: 100_000,
            ..Limits::default()
        },
        // Most tests need no agents that answer, and no test waits for people to stop writing.
        answers: app::AnswerSettings {
            limits: app::AnswerLimits {
                quiet_time: Duration::ZERO,
                ..app::AnswerLimits::default()
            },
            ..app::AnswerSettings::silent()
        },
        files: app::FileWatch::default(),
    }
}

/// Wires the program on a store that the caller opened.
pub fn app_over(store: Repositories, settings: &Settings, clock: Clock) -> Arc<App> {
    let auth = Auth::open_with_clock(settings, clock.clone());
    let auth = auth.expect("the tests' settings are valid");
    let responders =
        app::build_responders(&settings.answers).expect("the tests' settings are valid");
    Arc::new(app::with_store(
        store,
        settings,
        auth,
        responders,
        Runtime::tokio_with(clock),
    ))
}

impl TestServer {
    /// Starts the whole program. `change` edits its settings before the start.
    pub async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_with_clock(Clock::real(), change).await
    }

    /// Starts the whole program with this clock. `change` edits its settings before the start.
    pub async fn start_with_clock(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be created");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let server = Server::start(&settings, Runtime::tokio_with(clock))
            .await
            .expect("the server starts");
        let (app, base) = (server.app().clone(), format!("http://{}", server.address()));
        let metrics = server.metrics_address();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        Self {
            app,
            base,
            metrics,
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

    /// Starts one server on SQLite and one on PostgreSQL. If the PostgreSQL binaries are missing,
    /// it starts only the first and reports `test` as not run on PostgreSQL.
    pub async fn start_on_each_database(test: &str) -> Vec<Self> {
        let mut servers = vec![Self::start(|_| {}).await];
        if let Some(database) = crate::postgres::database(test).await {
            servers.push(Self::start(|settings| settings.database = database).await);
        }
        servers
    }

    /// Starts the HTTP interface and the cache on a store that the caller opened.
    pub async fn start_over(store: Repositories, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be created");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let app = app_over(store, &settings, Clock::real());
        Self::serve(app, &settings, folder).await
    }

    /// Starts a server as [`TestServer::start_over`] does. Its agents answer with `responder`.
    pub async fn start_answering(
        store: Repositories,
        responder: impl Responder + 'static,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::start_answering_with_clock(Clock::real(), store, responder, change).await
    }

    /// Starts a server as [`TestServer::start_answering`] does, with this clock.
    pub async fn start_answering_with_clock(
        clock: Clock,
        store: Repositories,
        responder: impl Responder + 'static,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be created");
        let mut settings = settings(folder.path());
        change(&mut settings);
        let responders = Responders {
            default: Some(Arc::new(responder)),
            ..Responders::default()
        };
        let auth = Auth::open(&settings).expect("the tests' settings are valid");
        let app = Arc::new(app::with_store(
            store,
            &settings,
            auth,
            responders,
            Runtime::tokio_with(clock),
        ));
        app.conversations
            .resume()
            .await
            .expect("the store can be read");
        Self::serve(app, &settings, folder).await
    }

    async fn serve(app: Arc<App>, settings: &Settings, folder: TempDir) -> Self {
        let listener = TcpListener::bind(settings.listen)
            .await
            .expect("loopback has a free port");
        let base = format!(
            "http://{}",
            listener
                .local_addr()
                .expect("a bound listener has an address")
        );
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
            metrics: None,
            stop,
            served,
            folder,
        }
    }

    /// Returns the wired program, for example to read the statistics of its cache.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Returns the host and the port that the server listens on.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Returns the address on which monitoring systems need no token.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Returns the folder with the server's files: `greenroom.db` and `agents`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a client of the administrator with its own connections.
    pub fn client(&self) -> Client {
        self.client_of(&Caller::admin())
    }

    /// Returns a client of a new guest with its own connections.
    pub fn guest(&self) -> Client {
        self.client_of(&Caller::new_guest())
    }

    /// Returns a client that has not logged in, with its own connections.
    pub fn stranger(&self) -> Client {
        Client::new(&self.base)
    }

    /// Returns a client with a token of this caller.
    pub fn client_of(&self, caller: &Caller) -> Client {
        self.stranger().with_token(&self.app.auth.issue(caller))
    }

    /// Waits until exactly `count` readers wait for events of a room. Waiting polls and event
    /// streams both count.
    pub async fn wait_for_listeners(&self, room: i64, count: usize) {
        let what = format!("{count} readers of room {room} wait");
        until(&what, || {
            self.app.cache.message_listeners(RoomId(room)) == count
        })
        .await;
    }

    /// Waits until all agents have finished answering.
    pub async fn wait_for_answers(&self) {
        soon(
            "the agents finish answering",
            self.app.conversations.ended(),
        )
        .await;
    }

    /// Stops the server, and waits until its requests and writes have ended.
    pub async fn end(self) {
        drop(self.stop);
        self.served
            .await
            .expect("the server does not panic")
            .expect("the server stops without an error");
        assert!(
            self.app
                .cache
                .manager
                .shutdown(Duration::from_secs(20))
                .await,
            "writes end within the limit"
        );
    }
}
