//! JSON text, written piece by piece.

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::http::common_headers;

/// The number of bytes reserved for an object before it is written. Most rooms and messages fit.
const OBJECT_BYTES: usize = 512;

/// A JSON text that has one owner. Cached texts, which are shared, are [`Bytes`] instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    pub(crate) fn new(value: &impl Serialize) -> Self {
        let mut text = Vec::with_capacity(OBJECT_BYTES);
        write(&mut text, value);
        Self(text)
    }

    /// Creates an array. `write` appends one item to the text.
    ///
    /// `bytes` is the expected length of all items with a comma for each; 0 if it is not known.
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

    /// Wraps a text that is already JSON.
    pub(super) fn from_text(text: Vec<u8>) -> Self {
        Self(text)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Json> for Bytes {
    /// Converts the text to shared bytes. Drops spare capacity, so that a cached text takes no more
    /// memory than its length.
    fn from(json: Json) -> Self {
        json.0.into_boxed_slice().into()
    }
}

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        json_response(self.0)
    }
}

/// Returns a response with status 200 and a body of type `application/json`.
pub(crate) fn json_response(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.headers_mut() = common_headers::json_headers();
    response
}

/// Appends a value as JSON.
pub(super) fn write(text: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(text, value).expect("the wire's objects are always JSON");
}

/// Returns an object as JSON without its closing brace, so that more fields can be appended.
pub(super) fn open_object(value: &impl Serialize) -> Vec<u8> {
    let mut text = Vec::with_capacity(OBJECT_BYTES);
    write(&mut text, value);
    text.pop();
    text
}
