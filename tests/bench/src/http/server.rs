//! The servers: the program, a bare handler behind the program's middleware, and axum alone. They
//! run in a separate process, so that the CPU time of the process is that of the servers.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use app::{Access, App, AppHandle, Caller, Services, Settings};
use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    routing::get,
};
use cache_core::Runtime;
use tokio::net::TcpListener;

use super::{
    sample::SampleRoom,
    target::{BROWSERS, READY},
};
use crate::connection::Connection;

/// The number of rooms. Each room has the same number of browsers.
const ROOMS: usize = 4;
/// The number of messages that a long poll returns.
const MESSAGES: usize = 20;

/// A kind of request, with its route and its paths.
struct Endpoint {
    /// The name, with hyphens instead of spaces.
    name: &'static str,
    route: &'static str,
    /// The path for each room.
    paths: Vec<String>,
}

/// Response bodies by room id, rendered in advance. They are leaked, so that handlers do not copy
/// them.
type Bodies = &'static HashMap<i64, Bytes>;

/// Starts the servers and serves until the process ends. Prints a line for each kind of request:
/// its name, the addresses of the program, of the bare handler and of axum alone, and the path and
/// the token of each browser. Prints `ready` last.
pub async fn serve() {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let settings = Settings {
        database: format!("sqlite:{}", folder.path().join("greenroom.db").display()),
        ..tests::server::settings(folder.path())
    };
    let app = Arc::new(
        app::wire(&settings, Runtime::tokio())
            .await
            .expect("SQLite opens"),
    );
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(SampleRoom::create(&app, number).await);
    }
    let tokens: Vec<_> = (0..BROWSERS)
        .map(|_| app.auth.issue(&Caller::admin()))
        .collect();
    let greenroom = listen(Services::new(&app, &settings), &settings).await;
    for endpoint in endpoints(&rooms) {
        let bodies = fetch_bodies(greenroom, &tokens[0], &endpoint, &rooms).await;
        let bare = listen(bare_services(&app, &settings, &endpoint, bodies), &settings).await;
        let axum = listen_plainly(plain_router(&endpoint, &rooms, bodies)).await;
        let browsers: Vec<_> = tokens
            .iter()
            .zip(endpoint.paths.iter().cycle())
            .map(|(token, path)| format!("{path} {token}"))
            .collect();
        println!(
            "{} {greenroom} {bare} {axum} {}",
            endpoint.name,
            browsers.join(" ")
        );
    }
    println!("{READY}");
    std::future::pending::<()>().await;
}

fn endpoints(rooms: &[SampleRoom]) -> [Endpoint; 4] {
    let endpoint = |name, route, path: &dyn Fn(&SampleRoom) -> String| Endpoint {
        name,
        route,
        paths: rooms.iter().map(path).collect(),
    };
    let poll = |room: &SampleRoom, messages: usize| {
        format!(
            "/rooms/{}/messages/poll?since_id={}",
            room.id, room.newest[messages]
        )
    };
    [
        endpoint("empty-poll", "/rooms/{room}/messages/poll", &|room| {
            poll(room, 0)
        }),
        endpoint(
            "poll-of-20-messages",
            "/rooms/{room}/messages/poll",
            &|room| poll(room, MESSAGES),
        ),
        endpoint(
            "chatting-agents",
            "/rooms/{room}/chatting-agents",
            &|room| format!("/rooms/{}/chatting-agents", room.id),
        ),
        endpoint("room", "/rooms/{room}", &|room| {
            format!("/rooms/{}", room.id)
        }),
    ]
}

/// Reads the program's response for each room, and checks that it comes from memory.
async fn fetch_bodies(
    greenroom: SocketAddr,
    token: &str,
    endpoint: &Endpoint,
    rooms: &[SampleRoom],
) -> Bodies {
    let (paths, token) = (endpoint.paths.clone(), token.to_owned());
    let fetched = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(greenroom, &token);
        // The first request to each path fills the cache.
        for path in &paths {
            connection.get(path);
        }
        paths
            .iter()
            .map(|path| connection.get(path))
            .collect::<Vec<_>>()
    });
    let responses = fetched.await.expect("the client does not panic");
    for response in &responses {
        assert!(
            response.head.contains("greenroom; hit"),
            "the response must come from memory: {}",
            response.head
        );
    }
    let bodies = responses
        .into_iter()
        .map(|response| Bytes::from(response.body));
    let bodies = rooms.iter().map(|room| room.id.0).zip(bodies).collect();
    Box::leak(Box::new(bodies))
}

/// Returns services with one handler, which is behind the program's authentication and rate limits,
/// and within its service.
fn bare_services(
    app: &Arc<App>,
    settings: &Settings,
    endpoint: &Endpoint,
    bodies: Bodies,
) -> Services {
    Services::around(app, settings, |app: AppHandle| {
        let handler =
            get(move |_: Access, Path(room): Path<i64>| async move { response(&bodies[&room]) });
        Router::new().route(endpoint.route, handler).with_state(app)
    })
}

/// Returns a router with a fixed path for each room, and without middleware.
fn plain_router(endpoint: &Endpoint, rooms: &[SampleRoom], bodies: Bodies) -> Router {
    rooms
        .iter()
        .zip(&endpoint.paths)
        .fold(Router::new(), |router, (room, path)| {
            let body = &bodies[&room.id.0];
            let path = path.split('?').next().expect("a split has a first part");
            router.route(path, get(async move || response(body)))
        })
}

/// Returns a response whose body is shared, so that nothing is rendered or copied.
fn response(body: &Bytes) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        HeaderName::from_static("cache-status"),
        HeaderValue::from_static("greenroom; hit"),
    );
    (headers, body.clone())
}

async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address");
    (listener, address)
}

/// Starts to serve with the connection settings of the program. Returns the address.
async fn listen(services: Services, settings: &Settings) -> SocketAddr {
    let (listener, address) = bind().await;
    let settings = settings.clone();
    tokio::spawn(async move {
        app::serve(
            listener,
            services,
            &settings,
            Arc::default(),
            std::future::pending(),
        )
        .await;
    });
    address
}

/// Starts to serve a router with the defaults of axum. Returns the address.
async fn listen_plainly(router: Router) -> SocketAddr {
    let (listener, address) = bind().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
