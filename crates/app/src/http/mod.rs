//! The HTTP interface.

mod agents;
mod bodies;
mod cache;
mod config_errors;
mod error;
mod events;
mod extract;
mod messages;
mod rooms;
mod views;
mod wire;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, header},
    response::Response,
    routing::{get, patch, post},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::wiring::App;

pub use error::ApiError;

/// All routes over the wired program.
pub fn router(app: Arc<App>, max_body_bytes: usize) -> Router {
    let routes = Router::new()
        .route("/health", get(cache::health))
        .route("/rooms", get(rooms::list).post(rooms::create))
        .route("/rooms/{room}", get(rooms::get).patch(rooms::update).delete(rooms::delete))
        .route("/rooms/{room}/pause", post(rooms::pause))
        .route("/rooms/{room}/resume", post(rooms::resume))
        .route("/rooms/{room}/mark-read", post(rooms::mark_read))
        .route("/rooms/{room}/agents", get(rooms::agents))
        .route("/rooms/{room}/agents/{agent}", post(rooms::add_agent).delete(rooms::remove_agent))
        .route("/rooms/{room}/messages", get(messages::list).delete(messages::clear))
        .route("/rooms/{room}/messages/poll", get(messages::poll))
        .route("/rooms/{room}/events", get(events::events))
        .route("/rooms/{room}/messages/send", post(messages::send))
        .route("/rooms/{room}/critic-messages", get(messages::by_critics))
        .route("/rooms/{room}/chatting-agents", get(messages::chatting))
        .route("/agents", get(agents::list).post(agents::create))
        .route("/agents/configs", get(agents::configs))
        .route("/agents/config-errors", get(config_errors::config_errors))
        .route("/agents/{agent}", patch(agents::update).get(agents::get).delete(agents::delete))
        .route("/agents/{agent}/reload", post(agents::reload))
        .route("/agents/{agent}/memory", post(agents::append_memory))
        .route("/agents/{agent}/direct-room", get(agents::direct_room))
        .route("/agents/{agent}/profile-pic", get(agents::profile_pic))
        .route("/cache/stats", get(cache::stats))
        .route("/cache/invalidate", post(cache::invalidate))
        .route("/cache/clear", post(cache::clear))
        .route("/cache/cleanup", post(cache::cleanup))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .with_state(app);
    with_layers(routes, max_body_bytes)
}

/// The layers that every request passes, around any routes.
pub fn with_layers(routes: Router, max_body_bytes: usize) -> Router {
    routes
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::map_response(no_store))
}

/// No intermediary caches: only this process knows what is stale.
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
