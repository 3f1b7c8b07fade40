//! Bodies of answers.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
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

    /// An object of which this is written but for its end.
    pub(crate) fn opened_with(text: &[u8]) -> Self {
        let mut whole = Vec::with_capacity(OBJECT_BYTES.max(text.len() + 1));
        whole.extend_from_slice(text);
        whole.push(b'}');
        Self(whole)
    }

    /// An array of what `items` write, of `bytes` with a comma before each, as far as is known.
    pub(crate) fn array<T>(items: impl IntoIterator<Item = T>, bytes: usize, write: impl FnMut(T, &mut Vec<u8>)) -> Self {
        let mut text = Vec::with_capacity(bytes.max(1) + 1);
        write_array(&mut text, items, write);
        Self(text)
    }

    /// An object with one more field.
    pub(crate) fn with(self, name: &str, value: &[u8]) -> Self {
        let mut text = self.opened(name);
        text.reserve(value.len() + OBJECT_BYTES);
        text.extend_from_slice(value);
        text.push(b'}');
        Self(text)
    }

    /// An object with one more field, kept apart, so that it is not copied.
    pub(crate) fn before(self, name: &str, value: Bytes) -> Ending {
        Ending { text: self.opened(name), value }
    }

    /// An object up to the value of one more field.
    fn opened(self, name: &str) -> Vec<u8> {
        let Self(mut text) = self;
        let closed = text.pop();
        debug_assert_eq!(closed, Some(b'}'), "only an object takes a field");
        if text.len() > 1 {
            text.push(b',');
        }
        text.push(b'"');
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        text
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

fn write_array<T>(text: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut Vec<u8>)) {
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
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let is_known = known.flat_map(|known| known.split(',')).any(|known| matches!(known.trim(), "*") || weak(known) == tag);
    let headers = [
        (header::ETAG, HeaderValue::from_str(&tag).expect("a number is a header")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
    ];
    if is_known { (StatusCode::NOT_MODIFIED, headers).into_response() } else { (headers, bytes).into_response() }
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
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An object whose last field is shared with other answers.
pub(crate) struct Ending {
    /// What stands before it.
    text: Vec<u8>,
    value: Bytes,
}

impl Ending {
    /// In one piece.
    pub(crate) fn into_json(self) -> Json {
        let Self { mut text, value } = self;
        text.reserve(value.len() + 1);
        text.extend_from_slice(&value);
        text.push(b'}');
        Json(text)
    }
}

impl IntoResponse for Ending {
    fn into_response(self) -> Response {
        let pieces = [self.text.into(), self.value, Bytes::from_static(b"}")];
        answer(Body::new(Pieces { pieces, next: 0 }))
    }
}

/// A body of known length, whose pieces are written by one call.
struct Pieces {
    pieces: [Bytes; 3],
    next: usize,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next;
        self.next += 1;
        Poll::Ready(self.pieces.get_mut(next).map(|piece| Ok(Frame::data(std::mem::take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
