//! One embedded file, and the response with it.

use std::{io::Write, sync::OnceLock};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use crate::headers;

/// A file of the page. Its tag and its compressed form are computed at the first request for it.
#[derive(Debug)]
pub(crate) struct File {
    /// The path in the folder `page`.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
    derived: OnceLock<Derived>,
}

#[derive(Debug)]
struct Derived {
    /// The hash of the file's bytes in hexadecimal digits.
    hash: String,
    gzip: Bytes,
}

impl File {
    pub(crate) const fn new(path: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            path,
            bytes,
            derived: OnceLock::new(),
        }
    }

    /// Responds with the file, compressed if the browser accepts that, or with 304 if the browser
    /// has it already.
    pub(crate) fn respond(&'static self, request: &HeaderMap) -> Response {
        let derived = self.derived.get_or_init(|| Derived::of(self.bytes));
        let is_gzip = accepts_gzip(request);
        // The two forms are different bytes, so they have different tags.
        let suffix = if is_gzip { "-gzip" } else { "" };
        let tag = format!("\"{}{suffix}\"", derived.hash);
        let is_known = is_known(request, &tag);
        let body = match (is_known, is_gzip) {
            (true, _) => Bytes::new(),
            (false, true) => derived.gzip.clone(),
            (false, false) => Bytes::from_static(self.bytes),
        };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.extend(headers::common());
        headers.insert(header::CONTENT_TYPE, self.media_type());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        let tag = HeaderValue::from_str(&tag).expect("a quoted hash is a header value");
        headers.insert(header::ETAG, tag);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else if is_gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }

    /// Returns the length of the compressed form.
    #[cfg(test)]
    pub(crate) fn gzip_len(&self) -> usize {
        Derived::of(self.bytes).gzip.len()
    }

    pub(crate) fn media_type(&self) -> HeaderValue {
        let ending = self.path.rsplit('.').next().unwrap_or_default();
        HeaderValue::from_static(match ending {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "json" => "application/json",
            "svg" => "image/svg+xml",
            "webmanifest" => "application/manifest+json",
            _ => "application/octet-stream",
        })
    }
}

impl Derived {
    fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let hash = digest[..8].iter().map(|byte| format!("{byte:02x}"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
        Self {
            hash: hash.collect(),
            gzip: written.expect("writing to memory does not fail").into(),
        }
    }
}

/// Returns `true` if `Accept-Encoding` names gzip without forbidding it.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values.filter_map(|value| value.to_str().ok());
    codings
        .flat_map(|codings| codings.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map(str::trim);
            let is_forbidden = weight.is_some_and(|weight| weight.parse() == Ok(0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !is_forbidden
        })
}

/// Returns `true` if `If-None-Match` contains this tag.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter();
    let tags = values.filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|known| {
        let known = known.trim();
        // A proxy that compresses makes a tag weak.
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}
