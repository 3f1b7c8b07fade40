//! One event of an event stream.

use axum::{body::Bytes, response::sse::Event};

/// Returns an event with this name and this JSON.
pub(super) fn event(name: &str, json: impl Into<Bytes>) -> Event {
    let json = json.into();
    let text = str::from_utf8(&json).expect("JSON is UTF-8");
    Event::default().event(name).data(text)
}
