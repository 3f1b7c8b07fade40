//! The header `Cache-Status` (RFC 9211).

use axum::{
    http::{HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use cache_adapter::{Provenance, observe};
use futures_util::FutureExt;

use super::error::ApiResult;

static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Runs a read and returns its response. The header `Cache-Status` reports whether all values came
/// from the cache.
pub(crate) fn with_cache_status(
    read: impl Future<Output = ApiResult>,
) -> impl Future<Output = Response> {
    observe(read).map(|(result, observed)| {
        let mut response = result.into_response();
        response
            .headers_mut()
            .insert(&CACHE_STATUS, header_value(observed));
        response
    })
}

/// Adds `Cache-Status: greenroom; hit` to a response that is always read from memory.
pub(crate) fn hit(mut response: Response) -> Response {
    let value = HeaderValue::from_static("greenroom; hit");
    response.headers_mut().insert(&CACHE_STATUS, value);
    response
}

fn header_value(observed: Provenance) -> HeaderValue {
    HeaderValue::from_static(match observed {
        observed if observed.is_stale => "greenroom; hit; detail=stale",
        observed if observed.is_hit() => "greenroom; hit",
        _ => "greenroom; fwd=miss",
    })
}
