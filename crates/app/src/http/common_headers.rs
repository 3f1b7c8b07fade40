//! The headers that all responses have, unless their handler sets others.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The common headers, and the type of JSON.
static JSON_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    // Copies have as large an index. So only their list of headers grows when others are added.
    let mut headers = HeaderMap::with_capacity(10);
    for (name, value) in &COMMON {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    headers
});

static COMMON: [(HeaderName, &str); 4] = [
    // Browsers and proxies must not cache responses, because only this process knows when a
    // response becomes stale.
    (header::CACHE_CONTROL, "no-store"),
    // The interface contains nothing that a browser should run, show in a frame, or guess the type
    // of. The address of a page may contain ids, so other servers must not learn it.
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Returns the headers of a JSON response. Copying them costs less than inserting them one by one.
pub(super) fn json_headers() -> HeaderMap {
    JSON_HEADERS.clone()
}

/// Adds the common headers that are missing.
pub(super) fn add_missing(headers: &mut HeaderMap) {
    // A copy of `JSON_HEADERS` begins with all of them.
    let mut names = headers.keys();
    if COMMON.iter().all(|(name, _)| names.next() == Some(name)) {
        return;
    }
    for (name, value) in &COMMON {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_response_gets_the_common_headers() {
        let mut bare = HeaderMap::new();
        add_missing(&mut bare);
        let mut json = json_headers();
        add_missing(&mut json);
        assert_eq!(
            json.remove(header::CONTENT_TYPE).unwrap(),
            "application/json"
        );
        assert_eq!(json, bare);
        assert_eq!(bare.len(), COMMON.len());
    }

    #[test]
    fn a_header_that_the_handler_sets_is_kept() {
        for mut headers in [HeaderMap::new(), json_headers()] {
            let other = HeaderValue::from_static("no-cache");
            headers.insert(header::CACHE_CONTROL, other.clone());
            add_missing(&mut headers);
            assert_eq!(headers[header::CACHE_CONTROL], other);
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
        let mut headers = json_headers();
        headers.remove(header::CACHE_CONTROL);
        add_missing(&mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    }
}
