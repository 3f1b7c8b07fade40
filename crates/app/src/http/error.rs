//! Errors as clients see them: one clear sentence, never what a source said.

use std::{any::Any, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::Error;
use serde_json::json;

use crate::auth::TooMany;

/// A status and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What kind of refusal.
    pub status: StatusCode,
    /// The sentence.
    pub detail: String,
    /// When to come back, with 429.
    retry_after: Option<Duration>,
    /// For the log alone.
    cause: Option<Cause>,
}

/// Why the server failed, carried from the error to the layer that logs it with the request's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause(pub(super) String);

/// What a handler answers.
pub(crate) type Answer<T = Response> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            cause: None,
        }
    }

    pub(crate) fn fields(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("this {what} does not exist"))
    }

    pub(crate) fn nobody() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "log in first: the token is missing, wrong, expired or revoked",
        )
    }

    fn failed(status: StatusCode, detail: &str, cause: impl ToString) -> Self {
        Self {
            cause: Some(Cause(cause.to_string())),
            ..Self::new(status, detail)
        }
    }

    /// An error of the server's own, whose cause is for the log.
    pub(crate) fn internal(cause: impl ToString) -> Self {
        Self::failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "something went wrong here",
            cause,
        )
    }
}

impl From<TooMany> for ApiError {
    fn from(TooMany(wait): TooMany) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests")
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Error::Missing { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            Error::Invalid(detail) => Self::fields(detail),
            Error::Corrupt { .. } => Self::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "what is stored cannot be read",
                error,
            ),
            Error::Unavailable { .. } => Self::failed(
                StatusCode::SERVICE_UNAVAILABLE,
                "the store does not answer",
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
            // Whole seconds, and not before the time has come.
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

pub(crate) async fn no_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "there is no such address")
}

pub(crate) async fn no_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address does not take this method",
    )
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that the layer asks for"
)]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("?");
    ApiError::internal(format!("a handler panicked: {what}")).into_response()
}
