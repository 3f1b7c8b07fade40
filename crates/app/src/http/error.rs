//! The errors that clients receive: a status and one sentence. Causes, such as a database's error,
//! are only logged.

use std::{any::Any, fmt::Display, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::Error;
use serde::Serialize;
use serde_json::json;

use super::render_error::RenderError;
use crate::auth::TooMany;

/// The time after which a client that was refused because of other requests should try again.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// An error that a client receives as the response to its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the response.
    pub status: StatusCode,
    /// The sentence that the client receives.
    pub detail: String,
    /// The field or parameter that is wrong: the names on the way to it. Empty if the error is not
    /// about one.
    place: Vec<Place>,
    /// The value of the header `Retry-After`.
    retry_after: Option<Duration>,
    /// The cause, which is written to the log and never sent.
    cause: Option<Cause>,
}

/// A step on the way to a wrong field: a name, or an index in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Place {
    Name(String),
    Index(usize),
}

impl Place {
    pub(crate) fn name(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// The cause of a failure. It is attached to the response, and the logging middleware removes it
/// and writes it to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause(pub(super) String);

/// The result of a handler.
pub(crate) type ApiResult<T = Response> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            place: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Creates an error with status 422, for a wrong field or parameter.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// Returns this error with the place of the wrong field, which clients receive as `loc`.
    pub(crate) fn at(self, place: Vec<Place>) -> Self {
        Self { place, ..self }
    }

    /// Returns this error with a field of the body as its place.
    pub(crate) fn in_field(self, name: &str) -> Self {
        self.at(vec![Place::name("body"), Place::name(name)])
    }

    /// Returns this error with a parameter of the query as its place.
    pub(crate) fn in_query(self, name: &str) -> Self {
        self.at(vec![Place::name("query"), Place::name(name)])
    }

    /// Creates an error with status 422, for a wrong field of the body.
    pub(crate) fn field(name: &str, detail: impl Into<String>) -> Self {
        Self::unprocessable(detail).in_field(name)
    }

    #[cfg(test)]
    pub(super) fn loc(&self) -> serde_json::Value {
        if self.place.is_empty() {
            serde_json::Value::Null
        } else {
            json!(self.place)
        }
    }

    /// Creates an error with status 429, for too many requests that take long.
    pub(crate) fn too_many(detail: &str) -> Self {
        Self {
            retry_after: Some(BUSY_RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }

    /// Creates an error with status 503, for a resource that others use up now.
    pub(crate) fn busy(what: &str) -> Self {
        Self {
            retry_after: Some(BUSY_RETRY),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{what}; try again after the time in `Retry-After`"),
            )
        }
    }

    /// Creates an error with status 404 and a text such as `Room 7 not found`. Clients that were
    /// written for the Python server match this text.
    pub(crate) fn missing(kind: &str, id: impl Display) -> Self {
        let mut letters = kind.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        let kind = initial.into_iter().chain(letters).collect::<String>();
        Self::new(StatusCode::NOT_FOUND, format!("{kind} {id} not found"))
    }

    /// Creates an error with status 401.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "log in first: the token is missing, invalid, expired or revoked",
        )
    }

    /// Creates an error whose `cause` is logged but not sent to the client.
    fn failed(status: StatusCode, detail: &str, cause: impl ToString) -> Self {
        Self {
            cause: Some(Cause(cause.to_string())),
            ..Self::new(status, detail)
        }
    }

    /// Creates an error with status 500. `cause` is logged but not sent to the client.
    pub(crate) fn internal(cause: impl ToString) -> Self {
        Self::failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed; its log says why",
            cause,
        )
    }
}

impl From<TooMany> for ApiError {
    fn from(TooMany(wait): TooMany) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests; try again after the time in `Retry-After`",
            )
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
            Error::Missing { what, id } => Self::missing(what, id),
            Error::Invalid { .. } => Self::unprocessable(error.to_string()),
            Error::Corrupt { .. } => Self::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "a stored value could not be read; the server's log says which",
                error,
            ),
            Error::Unavailable { .. } => Self::failed(
                StatusCode::SERVICE_UNAVAILABLE,
                "the store is unavailable; try again later",
                error,
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = if self.place.is_empty() {
            json!({ "detail": self.detail })
        } else {
            json!({ "detail": self.detail, "loc": self.place })
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            // The header has whole seconds. They are rounded up, so that the client does not retry
            // too early.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

/// Responds to a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`catch_unwind` returns the panic by value"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::internal(format!("a handler panicked: {message}")).into_response()
}

impl From<RenderError> for ApiError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Store(error) => error.into(),
            RenderError::Busy => Self::busy("too many long answers are being sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_worded_as_clients_match_it() {
        let missing = ApiError::from(Error::missing("room", 7));
        assert_eq!(missing, ApiError::missing("room", 7));
        assert_eq!(missing.detail, "Room 7 not found");
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
    }
}
