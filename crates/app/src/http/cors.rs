//! Cross-origin requests (CORS).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The `Vary` of all responses, also of those to requests without an origin: a proxy must not
/// return one of them to a browser of another origin.
pub(super) const VARY: HeaderValue = HeaderValue::from_static("origin");

/// Returns the layer that tells browsers which origins may send requests.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
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
            name("idempotency-key"),
            name("ngrok-skip-browser-warning"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            name("cache-status"),
            name("greenroom-log-version"),
            name("x-request-id"),
        ])
        .max_age(Duration::from_mins(10))
}
