//! The spans of requests, which traces export. Their fields have the names of OpenTelemetry's
//! conventions for HTTP.

use axum::http::{HeaderMap, Method, Response, header::HeaderName};
use tracing::{Span, field::Empty, info_span};

use crate::traces;

/// The beginnings of routes that clients ask for again and again. Their requests have a span only
/// as a part of another trace.
const FREQUENT: [&str; 5] = [
    "/rooms/{room}/messages/poll",
    "/rooms/{room}/chatting-agents",
    "/health",
    "/auth/health",
    "/metrics",
];
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Returns the span of a request, or one that does nothing if the request has no route. `parent`
/// are its headers, if its sender may continue a trace.
pub(super) fn request_span(
    method: &Method,
    route: Option<&str>,
    parent: Option<&HeaderMap>,
) -> Span {
    let Some(route) = route else {
        return Span::none();
    };
    let is_frequent = FREQUENT.iter().any(|path| route.starts_with(path));
    if is_frequent && !parent.is_some_and(traces::is_sampled) {
        return Span::none();
    }
    let span = info_span!(
        target: "http",
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method.as_str(),
        http.route = route,
        url.scheme = "http",
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        greenroom.cache.status = Empty,
    );
    if let Some(headers) = parent {
        traces::set_parent(&span, headers);
    }
    span
}

/// Records the response of a request in its span.
pub(super) fn record_response<B>(span: &Span, response: &Response<B>) {
    if span.is_disabled() {
        return;
    }
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
    let cache_status = response.headers().get(CACHE_STATUS);
    if let Some(value) = cache_status.and_then(|value| value.to_str().ok()) {
        span.record("greenroom.cache.status", value);
    }
}
