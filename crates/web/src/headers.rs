//! The headers of the page's responses, which limit what a browser does with them.

use axum::http::{HeaderName, HeaderValue, header};

/// The Content-Security-Policy. Scripts, styles and requests are limited to this server, images
/// also to the ones that the page makes from bytes. Trusted Types forbid each assignment that
/// parses text as HTML, so text from agents can never become markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types 'none'";

/// Returns the headers that all files have.
pub(crate) fn common() -> [(HeaderName, HeaderValue); 8] {
    let name = HeaderName::from_static;
    [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (name("cross-origin-opener-policy"), "same-origin"),
        (name("cross-origin-resource-policy"), "same-origin"),
        (
            name("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), payment=()",
        ),
        // A browser may keep a file, but asks before each use if it is current, so a reload after
        // an upgrade loads new files only.
        (header::CACHE_CONTROL, "no-cache"),
    ]
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
}
