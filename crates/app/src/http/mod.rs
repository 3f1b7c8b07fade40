//! The HTTP interface.
//!
//! | modules | hold |
//! |---|---|
//! | `rooms`, `members`, `messages`, `agents`, … | endpoints, one module for each kind of object |
//! | `access`, `ids`, `query`, `body` | extractors, which parse a request for a handler |
//! | `rendered`, `wire` | the JSON of entities, and its cache |
//! | `error`, `etag`, `cache_status` | parts of responses that many endpoints share |
//! | `service`, `sender`, `cors`, `common_headers` | the service around the routes |
//! | `polled` | the paths that are requested most, which need no routing |
//! | `routes`, `openapi` | the table of all routes, and their OpenAPI document |
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
mod common_headers;
mod cors;
mod draft_events;
mod error;
mod etag;
mod events;
mod fallback;
mod feed;
mod health;
mod ids;
mod images;
mod list_part;
mod members;
mod memories;
mod messages;
mod metrics;
mod model_metrics;
mod openapi;
mod operate;
mod poll;
mod polled;
mod public_picture;
mod query;
mod render_error;
mod rendered;
mod request_span;
mod rooms;
mod routes;
mod send;
mod send_body;
mod sender;
mod service;
mod sse_event;
mod time_metrics;
mod usage;
mod wire;

use std::sync::Arc;

use axum::Router;

use crate::{
    settings::Settings,
    state::{App, AppHandle},
};

pub use access::{Access, Open};
pub use error::ApiError;
pub(crate) use metrics::open_routes;
pub(crate) use routes::paths;
pub use service::{RequestService, Services};

/// Returns the program's service as a router, for a server of another program.
///
/// [`serve`](crate::serve) divides the connections into groups instead, each with a service of its
/// own, so that cores do not wait for each other.
pub fn router(app: Arc<App>, settings: &Settings) -> Router {
    Router::new().fallback_service(RequestService::new(AppHandle::new(app), settings))
}
