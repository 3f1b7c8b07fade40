//! Responses with an `ETag`.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// Responds with the body and an `ETag`, which is a hash of the body.
///
/// Responds with 304 and no body if the request's `If-None-Match` contains this tag.
pub(crate) fn tagged(request: &HeaderMap, content_type: &'static str, body: Vec<u8>) -> Response {
    with_tag(request, &hash_tag(&body), content_type, body)
}

/// Returns a tag that is a hash of a body.
pub(crate) fn hash_tag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Responds with the body and this `ETag`, as [`tagged`] does.
pub(crate) fn with_tag(
    request: &HeaderMap,
    tag: &str,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let is_known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| matches!(known.trim(), "*") || strong(known) == tag);
    let headers = [
        (
            header::ETAG,
            HeaderValue::from_str(tag).expect("digits in quotes are a header value"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
    ];
    if is_known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, body.into()).into_response()
    }
}

/// Removes the prefix `W/` of a weak tag. `If-None-Match` compares weak and strong tags alike, and
/// proxies that compress a body make its tag weak.
fn strong(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}
