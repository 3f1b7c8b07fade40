//! The HTTP interface.
//!
//! | modules | hold |
//! |---|---|
//! | `rooms`, `members`, `messages`, `agents`, … | endpoints, one module for each kind of object |
//! | `access`, `ids`, `query`, `body` | extractors, which parse a request for a handler |
//! | `rendered`, `wire` | the JSON of entities, and its cache |
//! | `error`, `etag`, `cache_status` | parts of responses that many endpoints share |
//! | `layers`, `openapi` | the middleware of all routes, and their OpenAPI document |
//! | `fallback` | the files of a front end, and responses to unknown paths |

mod access;
mod agent_body;
mod agent_files;
mod agents;
mod answering;
mod auth;
mod body;
mod cache;
mod cache_keys;
mod cache_status;
mod chatting;
mod draft_events;
mod error;
mod etag;
mod events;
mod fallback;
mod feed;
mod health;
mod ids;
mod images;
mod layers;
mod list_part;
mod members;
mod memories;
mod messages;
mod metrics;
mod model_metrics;
mod openapi;
mod operate;
mod poll;
mod public_picture;
mod query;
mod render_error;
mod rendered;
mod request_span;
mod rooms;
mod send;
mod send_body;
mod sse_event;
mod time_metrics;
mod usage;
mod wire;

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state, routing::get};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{settings::Settings, state::App};

pub use access::{Access, Open};
pub use error::ApiError;
pub use layers::{Layer, with_layers};
pub(crate) use metrics::open_routes;

/// Returns all routes of the program with their middleware.
pub fn router(app: Arc<App>, settings: &Settings) -> Router {
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
    let routes = fallback::with_fallbacks(routes, &app, settings.frontend.as_ref());
    with_layers(routes.with_state(app.clone()), &app, settings)
}

/// Returns the routes in the OpenAPI document, such as `/rooms/{room}`.
pub(crate) fn routes() -> Vec<String> {
    api().into_openapi().paths.paths.into_keys().collect()
}

fn api() -> OpenApiRouter<Arc<App>> {
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
