//! JSON text, written piece by piece.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Bytes reserved for an object before it is written; most rooms and messages fit.
const OBJECT_BYTES: usize = 512;

/// A JSON text that is one caller's alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn new(value: &impl Serialize) -> Self {
        let mut text = Vec::with_capacity(OBJECT_BYTES);
        write(&mut text, value);
        Self(text)
    }

    /// Writes an array with `write` for each item. `bytes` is the expected length of the items with
    /// a comma each; 0 if it is not known.
    pub(super) fn array<T>(
        items: impl IntoIterator<Item = T>,
        bytes: usize,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) -> Self {
        let mut text = Vec::with_capacity(bytes.max(1) + 1);
        text.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            write(item, &mut text);
        }
        text.push(b']');
        Self(text)
    }

    /// Wraps a text that is JSON already.
    pub(super) fn from_text(text: Vec<u8>) -> Self {
        Self(text)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Json> for Bytes {
    /// Drops spare capacity, so that a cached text takes no more memory than its length.
    fn from(json: Json) -> Self {
        json.0.into_boxed_slice().into()
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        json_response(self.0)
    }
}

/// Answers 200 with a body of type `application/json`.
pub(crate) fn json_response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// Appends a value.
pub(super) fn write(text: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(text, value).expect("the wire's objects are always JSON");
}

/// Returns an object without its closing brace, to go on with other fields.
pub(super) fn open_object(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::with_capacity(OBJECT_BYTES);
    write(&mut text, value);
    text.pop();
    text
}
