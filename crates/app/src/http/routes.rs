//! The table of all routes.

use axum::{Router, middleware::from_fn_with_state, routing::get};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{
    agent_files, agents, answering, auth, cache, cache_keys, chatting, events, fallback, health,
    members, memories, messages, metrics, openapi, operate, poll, rooms, send, usage,
};
use crate::{settings::Settings, state::AppHandle};

/// Returns all routes of the program.
pub(super) fn routes(app: &AppHandle, settings: &Settings) -> Router {
    let (routes, document) = api().split_for_parts();
    let count_open = from_fn_with_state(app.clone(), fallback::count_open);
    let mut open = openapi::pages(&document);
    if settings.page {
        open = open.merge(web::router());
        if settings.frontend.is_none() {
            open = open.route("/", get(async || web::redirect("ui/")));
        }
    }
    let routes = routes.merge(open.route_layer(count_open));
    let routes = fallback::with_fallbacks(routes, app, settings.frontend.as_ref());
    routes.with_state(app.clone())
}

/// Returns the paths of the routes in the OpenAPI document, such as `/rooms/{room}`.
pub(crate) fn paths() -> Vec<String> {
    api().into_openapi().paths.paths.into_keys().collect()
}

fn api() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::with_openapi(openapi::Frame::openapi())
        .merge(auth::routes())
        .merge(health::routes())
        .merge(rooms::routes())
        .merge(answering::routes())
        .merge(members::routes())
        .merge(messages::routes())
        .merge(poll::routes())
        .merge(send::routes())
        .merge(chatting::routes())
        .merge(events::routes())
        .merge(agents::routes())
        .merge(agent_files::routes())
        .merge(memories::routes())
        .merge(usage::routes())
        .merge(cache::routes())
        .merge(cache_keys::routes())
        .merge(operate::routes())
        .merge(metrics::routes())
}
