//! Responses of a server under test.

use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;

/// A response whose body was read completely.
///
/// The methods panic with the path and the body if the response is not as the test expects.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    path: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Reads the whole body of a response.
    pub(crate) async fn receive(path: &str, sent: reqwest::Result<reqwest::Response>) -> Self {
        let response = sent.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response
            .bytes()
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .to_vec();
        Self {
            path: path.to_owned(),
            status,
            headers,
            body,
        }
    }

    /// Returns the body as JSON, regardless of the status.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.path, self.text()))
    }

    /// Returns the JSON body of a response with status 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(
            self.status,
            StatusCode::OK,
            "{}: {}",
            self.path,
            self.text()
        );
        self.json()
    }

    /// Returns the id of the object in a response with status 200.
    #[track_caller]
    pub fn id(&self) -> i64 {
        id_of(&self.ok())
    }

    /// Returns the ids of the list in a response with status 200, in the list's order.
    #[track_caller]
    pub fn ids(&self) -> Vec<i64> {
        self.items().iter().map(id_of).collect()
    }

    /// Returns the items of the list in a response with status 200.
    #[track_caller]
    pub fn items(&self) -> Vec<Value> {
        match self.ok() {
            Value::Array(items) => items,
            other => panic!("{}: {other} is not a list", self.path),
        }
    }

    /// Returns the message of an error response with this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}: {}",
            self.path,
            self.text()
        );
        self.json()["detail"]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no detail: {}", self.path, self.text()))
            .to_owned()
    }

    /// Returns a header's text; empty if the header is missing.
    pub fn header(&self, name: &str) -> &str {
        header_text(&self.headers, name)
    }

    /// Returns `true` if the header `Cache-Status` reports that all parts of the body came from
    /// memory; `None` if the response has no such header.
    pub fn is_hit(&self) -> Option<bool> {
        let status = self.headers.get("cache-status")?;
        let status = status.to_str().expect("Cache-Status is ASCII");
        Some(status.split(';').any(|part| part.trim() == "hit"))
    }

    /// Returns the body as text. Invalid UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Returns the `id` field of an object. Panics if it has none.
#[track_caller]
pub fn id_of(object: &Value) -> i64 {
    object["id"]
        .as_i64()
        .unwrap_or_else(|| panic!("{object} has no id"))
}

/// Returns a header's text; empty if the header is missing.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| {
        value.to_str().expect("the server's headers are ASCII")
    })
}
