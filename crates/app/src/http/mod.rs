//! The HTTP interface.
//!
//! | modules | hold |
//! |---|---|
//! | `rooms`, `members`, `messages`, `agents`, … | endpoints, one module for each kind of object |
//! | `access`, `ids`, `query`, `body` | extractors, which parse a request for a handler |
//! | `rendered`, `wire` | the JSON of entities, and its cache |
//! | `error`, `etag`, `cache_status` | parts of responses that many endpoints share |
//! | `layers`, `openapi` | the middleware of all routes, and their OpenAPI document |

mod access;
mod agent_body;
mod agent_files;
mod agents;
mod auth;
mod body;
mod cache;
mod cache_status;
mod chatting;
mod error;
mod etag;
mod events;
mod feed;
mod health;
mod ids;
mod images;
mod layers;
mod list_part;
mod members;
mod messages;
mod metrics;
mod openapi;
mod poll;
mod query;
mod rendered;
mod rooms;
mod send;
mod wire;

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    http::{HeaderValue, header},
};
use tower::ServiceBuilder;
use tower_http::{
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{settings::Settings, state::App};

pub use access::{Access, Open};
pub use error::ApiError;
pub use layers::{Layer, with_layers};

/// Returns all routes of the program with their middleware.
pub fn router(app: Arc<App>, settings: &Settings) -> Router {
    let (routes, document) = api().split_for_parts();
    let routes = routes
        .merge(openapi::pages(&document))
        .method_not_allowed_fallback(error::unknown_method);
    let routes = match &settings.frontend {
        Some(folder) => routes.fallback_service(frontend(folder)),
        None => routes.fallback(error::unknown_path),
    };
    with_layers(routes.with_state(app.clone()), &app, settings)
}

fn api() -> OpenApiRouter<Arc<App>> {
    [
        auth::routes(),
        health::routes(),
        rooms::routes(),
        members::routes(),
        messages::routes(),
        poll::routes(),
        send::routes(),
        chatting::routes(),
        events::routes(),
        agents::routes(),
        agent_files::routes(),
        cache::routes(),
        metrics::routes(),
    ]
    .into_iter()
    .fold(
        OpenApiRouter::with_openapi(openapi::Frame::openapi()),
        OpenApiRouter::merge,
    )
}

/// Returns a service for the files of a single-page front end. For a path without a file, the
/// service returns `index.html`, whose script shows the page for the path.
fn frontend(
    folder: &Path,
) -> impl tower::Service<
    axum::extract::Request,
    Response = axum::http::Response<tower_http::services::fs::ServeFileSystemResponseBody>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ use<> {
    let files = ServeDir::new(folder).fallback(ServeFile::new(folder.join("index.html")));
    // Browsers may cache a file, but must check before each use that it is current.
    let revalidate = SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache"),
    );
    ServiceBuilder::new().layer(revalidate).service(files)
}
