//! What every request passes: origins, the request's id, the log, counts.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowOrigin, CorsLayer},
};

use super::error::{self, Cause};
use crate::{settings::Settings, state::App};

/// What every request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Refuses bodies that are too large.
    BodyLimit,
    /// Answers 500 where a handler panicked.
    Panics,
    /// Counts answers, logs those that refuse, and keeps intermediaries from caching.
    Counts,
    /// Tells browsers which origins may ask.
    Origins,
}

impl Layer {
    /// All of them, the innermost first.
    pub const ALL: [Self; 4] = [Self::BodyLimit, Self::Panics, Self::Counts, Self::Origins];

    /// This layer alone, around any routes.
    pub fn around(self, routes: Router, app: &Arc<App>, settings: &Settings) -> Router {
        match self {
            Self::BodyLimit => routes.layer(DefaultBodyLimit::max(settings.max_body_bytes)),
            Self::Panics => routes.layer(CatchPanicLayer::custom(error::panicked)),
            Self::Counts => routes.layer(from_fn_with_state(app.clone(), every)),
            Self::Origins => routes.layer(cors(&settings.cors_origins)),
        }
    }
}

/// The layers that every request passes, around any routes.
pub fn with_layers(routes: Router, app: &Arc<App>, settings: &Settings) -> Router {
    Layer::ALL
        .into_iter()
        .fold(routes, |routes, layer| layer.around(routes, app, settings))
}

/// On errors, too.
fn cors(origins: &[String]) -> CorsLayer {
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(
            origins.iter().filter_map(|origin| origin.parse().ok()),
        ))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            header::CACHE_CONTROL,
            header::IF_NONE_MATCH,
            name("x-api-key"),
            name("last-event-id"),
            name("ngrok-skip-browser-warning"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            name("cache-status"),
            name("x-request-id"),
        ])
        .max_age(Duration::from_mins(10))
}

/// No intermediary caches, since only this process knows what is stale; and whatever was refused can be found in the log.
async fn every(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (method, path) = (
        request.method().clone(),
        request.extensions().get::<MatchedPath>().cloned(),
    );
    let mut response = next.run(request).await;
    app.status_counts.count(response.status());
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if response.status().is_client_error() || response.status().is_server_error() {
        refused(&mut response, &method, path.as_ref());
    }
    response
}

fn refused(response: &mut Response, method: &Method, path: Option<&MatchedPath>) {
    let id = format!("{:016x}", rand::random::<u64>());
    let (status, path) = (
        response.status().as_u16(),
        path.map_or("?", MatchedPath::as_str),
    );
    if let Some(Cause(cause)) = response.extensions_mut().remove() {
        tracing::error!(request = %id, %method, path, status, cause, "a request failed");
    } else {
        tracing::info!(request = %id, %method, path, status, "a request was refused");
    }
    response.headers_mut().insert(
        "x-request-id",
        HeaderValue::from_str(&id).expect("digits are a header"),
    );
}
