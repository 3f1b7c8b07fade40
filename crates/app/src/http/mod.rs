//! The HTTP interface.

mod agents;
mod auth;
mod bodies;
mod cache;
mod config_errors;
mod error;
mod events;
mod extract;
mod images;
mod layers;
mod made;
mod messages;
mod metrics;
mod openapi;
mod people;
mod rooms;
mod views;
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
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{settings::Settings, state::App};

pub use error::ApiError;
pub use extract::{Access, Open};
pub use layers::{Layer, with_layers};

/// All routes over the wired program.
pub fn router(app: Arc<App>, settings: &Settings) -> Router {
    let (routes, document) = api().split_for_parts();
    let routes = routes
        .merge(openapi::pages(&document))
        .method_not_allowed_fallback(error::no_method);
    let routes = match &settings.frontend {
        Some(folder) => routes.fallback_service(frontend(folder)),
        None => routes.fallback(error::no_route),
    };
    with_layers(routes.with_state(app.clone()), &app, settings)
}

fn api() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::Frame::openapi())
        .routes(routes!(auth::login))
        .routes(routes!(auth::verify))
        .routes(routes!(auth::revoke))
        .routes(routes!(auth::ticket))
        .routes(routes!(cache::health))
        .routes(routes!(cache::auth_health))
        .routes(routes!(rooms::list, rooms::create))
        .routes(routes!(rooms::get, rooms::update, rooms::delete))
        .routes(routes!(rooms::pause))
        .routes(routes!(rooms::resume))
        .routes(routes!(rooms::mark_read))
        .routes(routes!(rooms::agents))
        .routes(routes!(rooms::add_agent, rooms::remove_agent))
        .routes(routes!(messages::list, messages::clear))
        .routes(routes!(messages::poll))
        .routes(routes!(messages::send))
        .routes(routes!(messages::by_critics))
        .routes(routes!(messages::chatting))
        .routes(routes!(events::events))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::configs))
        .routes(routes!(config_errors::config_errors))
        .routes(routes!(agents::get, agents::update, agents::delete))
        .routes(routes!(agents::reload))
        .routes(routes!(agents::append_memory))
        .routes(routes!(agents::direct_room))
        .routes(routes!(agents::profile_pic))
        .routes(routes!(cache::stats))
        .routes(routes!(cache::invalidate))
        .routes(routes!(cache::clear))
        .routes(routes!(cache::cleanup))
        .routes(routes!(metrics::metrics))
}

/// A single-page front end: what is not a file is its page, which knows its own addresses.
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
    // Kept, and asked about each time whether it is still the same.
    let keep = SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache"),
    );
    ServiceBuilder::new().layer(keep).service(files)
}
