//! The middleware of all requests: body limit, panic handling, counting, logging and CORS.

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

/// A middleware that handles every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Refuses bodies above the limit.
    BodyLimit,
    /// Responds with 500 if a handler panics.
    Panics,
    /// Counts responses, logs refusals, and adds `Cache-Control: no-store`.
    Counts,
    /// Tells browsers which origins may send requests (CORS).
    Origins,
}

impl Layer {
    /// All layers, the innermost first.
    ///
    /// CORS is outermost, so that refusals have its headers too. Counting is outside of panic
    /// handling, so that the response to a panic is counted.
    pub const ALL: [Self; 4] = [Self::BodyLimit, Self::Panics, Self::Counts, Self::Origins];

    /// Wraps the routes in this layer only.
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

/// Counts the response and logs a refusal.
///
/// Adds `Cache-Control: no-store` unless the handler set this header. Browsers and proxies must not
/// cache responses, because only this process knows when a response becomes stale.
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

/// Logs a refusal with a new id, which the response has as `X-Request-Id`.
fn log_refusal(response: &mut Response, method: &Method, path: Option<&MatchedPath>) {
    let id = format!("{:016x}", rand::random::<u64>());
    let status = response.status().as_u16();
    // Logs the route instead of the URL, which may contain a ticket.
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
