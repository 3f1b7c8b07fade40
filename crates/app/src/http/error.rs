//! The errors that clients receive: a status and one sentence. Causes, such as a database's error,
//! are only logged.

use std::{any::Any, fmt::Display, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::Error;
use serde_json::json;

use crate::auth::TooMany;

/// An error that a client receives as the response to its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the response.
    pub status: StatusCode,
    /// The sentence that the client receives.
    pub detail: String,
    /// The value of the header `Retry-After`, which only errors with status 429 have.
    retry_after: Option<Duration>,
    /// The cause, which is written to the log and never sent.
    cause: Option<Cause>,
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
            retry_after: None,
            cause: None,
        }
    }

    /// Creates an error with status 422, for a wrong field or parameter.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
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
        let mut response = (self.status, Json(json!({ "detail": self.detail }))).into_response();
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

/// Responds to a request for a path that has no route.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "this path does not exist")
}

/// Responds to a request with a method that its path does not support.
pub(crate) async fn unknown_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not support this method",
    )
}

/// Responds to a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`CatchPanicLayer` passes the panic by value"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::internal(format!("a handler panicked: {message}")).into_response()
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
