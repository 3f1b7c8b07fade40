//! Bodies of answers.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// What most objects fit in.
const OBJECT_BYTES: usize = 512;

/// JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        let mut text = Vec::with_capacity(OBJECT_BYTES);
        serde_json::to_writer(&mut text, value).expect("views are always JSON");
        Self(text)
    }

    /// An array of what `items` write, of `bytes` with a comma before each, as far as is known.
    pub(crate) fn array<T>(
        items: impl IntoIterator<Item = T>,
        bytes: usize,
        write: impl FnMut(T, &mut Vec<u8>),
    ) -> Self {
        let mut text = Vec::with_capacity(bytes.max(1) + 1);
        write_array(&mut text, items, write);
        Self(text)
    }

    /// What stands between the brackets of an array.
    pub(crate) fn items(mut self) -> Self {
        self.0.pop();
        self.0.remove(0);
        self
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.0).expect("JSON is UTF-8")
    }

    /// The answer, or 304 if the caller has it already.
    pub(crate) fn tagged(self, asked: &HeaderMap) -> Response {
        tagged(asked, "application/json", self.0)
    }
}

fn write_array<T>(
    text: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    text.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write(item, text);
    }
    text.push(b']');
}

/// An answer with a tag of its bytes, or 304 if the caller has them already.
pub(crate) fn tagged(asked: &HeaderMap, content_type: &'static str, bytes: Vec<u8>) -> Response {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|known| known.to_str().ok());
    let is_known = known
        .flat_map(|known| known.split(','))
        .any(|known| matches!(known.trim(), "*") || weak(known) == tag);
    let headers = [
        (
            header::ETAG,
            HeaderValue::from_str(&tag).expect("a number is a header"),
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
        (headers, bytes).into_response()
    }
}

/// A tag compared as a GET compares it: a weak one like a strong one.
fn weak(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        answer(Body::from(self.0))
    }
}

impl From<Json> for Bytes {
    fn from(json: Json) -> Self {
        json.0.into()
    }
}

/// An answer of JSON.
pub(crate) fn answer(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
