//! A web server: axum handlers share a cache as their state, and errors of loads become statuses.
//!
//! The program sends itself two requests without a port, and the second is a hit.
//!
//! Run it with `cargo run -p greenroom-cache-core --example axum_server`.

use std::{error::Error, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use cache_core::{LoadError, Manager, Policy, Region, Runtime, Source, Unknown};
use tower::ServiceExt;

/// The state of the server. Cloning shares the cache.
#[derive(Clone)]
struct App {
    users: Region<u64, Arc<str>>,
}

/// Stands for a query.
async fn select_user(id: u64) -> io::Result<Option<Arc<str>>> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    match id {
        0 => Err(io::ErrorKind::ConnectionRefused.into()),
        1..100 => Ok(Some(format!("user {id}").into())),
        _ => Ok(None),
    }
}

async fn user(State(app): State<App>, Path(id): Path<u64>) -> Result<Response, Refusal> {
    // If the client disconnects, axum drops this future, and the load goes on.
    let load = move || select_user(id);
    let read = app.users.get_or_load(id, load).await?;
    let Some(user) = read.value else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let cache = match read.source {
        Source::Hit => "hit",
        Source::Stale => "stale",
        _ => "miss",
    };
    Ok(([("x-cache", cache)], user.to_string()).into_response())
}

/// A load that failed, as a response.
struct Refusal(LoadError<io::Error>);

impl From<LoadError<io::Error>> for Refusal {
    fn from(error: LoadError<io::Error>) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0 {
            LoadError::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            LoadError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            LoadError::Failed(_) => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.to_string()).into_response()
    }
}

/// Sends a request. Returns its status, what the cache did, and the body.
async fn send(app: &Router, path: &str) -> Result<(StatusCode, String, String), Box<dyn Error>> {
    let request = Request::get(path).body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    let status = response.status();
    let cache = response.headers().get("x-cache");
    let cache = cache.map_or(Ok(""), |value| value.to_str())?.to_owned();
    let body = to_bytes(response.into_body(), 1_024).await?;
    Ok((status, cache, String::from_utf8(body.to_vec())?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = Manager::builder(Runtime::tokio(), Unknown::Never)
        .load_timeout(Duration::from_secs(2))
        .build();
    // Removes expired entries in the background.
    manager.spawn_cleanup(Duration::from_secs(300));
    let users = manager.region("users", Policy::new(Duration::from_secs(60), 10_000));
    let app = Router::new().route("/users/{id}", get(user));
    let app = app.with_state(App { users });

    let (status, cache, body) = send(&app, "/users/7").await?;
    assert_eq!(
        (status, &*cache, &*body),
        (StatusCode::OK, "miss", "user 7")
    );
    let (status, cache, body) = send(&app, "/users/7").await?;
    assert_eq!((status, &*cache, &*body), (StatusCode::OK, "hit", "user 7"));

    assert_eq!(send(&app, "/users/100").await?.0, StatusCode::NOT_FOUND);
    let (status, _, body) = send(&app, "/users/0").await?;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    println!("the second request was a hit, and a failed query says: {body}");
    // A server calls this after its last request: loads and writes may still be in progress.
    assert!(manager.shutdown(Duration::from_secs(1)).await);
    Ok(())
}
