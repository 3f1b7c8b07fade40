//! Middleware of every request: the limit of bodies, panics, counts and the log, CORS.

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

/// A middleware of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Refuses bodies above the limit.
    BodyLimit,
    /// Answers 500 if a handler panics.
    Panics,
    /// Counts answers, logs refusals, and forbids intermediaries to cache.
    Counts,
    /// Tells browsers which origins may send requests.
    Origins,
}

impl Layer {
    /// All layers, the innermost first. CORS is outermost so that refusals carry its headers too;
    /// counting is outside of panics so that a panic counts as an answer.
    pub const ALL: [Self; 4] = [Self::BodyLimit, Self::Panics, Self::Counts, Self::Origins];

    /// Wraps routes in this layer alone.
    pub fn around(self, routes: Router, app: &Arc<App>, settings: &Settings) -> Router {
        match self {
            Self::BodyLimit => routes.layer(DefaultBodyLimit::max(settings.max_body_bytes)),
            Self::Panics => routes.layer(CatchPanicLayer::custom(error::panicked)),
            Self::Counts => routes.layer(from_fn_with_state(app.clone(), count_and_log)),
            Self::Origins => routes.layer(cors(&settings.cors_origins)),
        }
    }
}

/// Wraps routes in all layers.
pub fn with_layers(routes: Router, app: &Arc<App>, settings: &Settings) -> Router {
    Layer::ALL
        .into_iter()
        .fold(routes, |routes, layer| layer.around(routes, app, settings))
}

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

/// Counts the answer, logs a refusal, and adds `Cache-Control: no-store` where a handler sets no
/// other: only this process knows when an answer is stale.
async fn count_and_log(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    app.status_counts.count(response.status());
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if response.status().is_client_error() || response.status().is_server_error() {
        log_refusal(&mut response, &method, path.as_ref());
    }
    response
}

/// Logs a refusal with a new id, which the answer carries as `X-Request-Id`.
fn log_refusal(response: &mut Response, method: &Method, path: Option<&MatchedPath>) {
    let id = format!("{:016x}", rand::random::<u64>());
    let status = response.status().as_u16();
    // The route and not the path, which may contain a ticket.
    let path = path.map_or("unknown", MatchedPath::as_str);
    if let Some(Cause(cause)) = response.extensions_mut().remove() {
        tracing::error!(request = %id, %method, path, status, cause, "request failed");
    } else {
        tracing::info!(request = %id, %method, path, status, "request refused");
    }
    response.headers_mut().insert(
        "x-request-id",
        HeaderValue::from_str(&id).expect("hexadecimal digits are a header value"),
    );
}
