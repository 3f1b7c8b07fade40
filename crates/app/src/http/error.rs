//! Errors as clients see them: one clear sentence, never what a source said.

use std::any::Any;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::Error;
use serde_json::json;

/// A status and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// What kind of refusal.
    pub status: StatusCode,
    /// The sentence.
    pub detail: String,
}

/// What a handler answers.
pub(crate) type Answer<T = Response> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(crate) fn fields(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("this {what} does not exist"))
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match &error {
            Error::Conflict(detail) => Self::new(StatusCode::CONFLICT, detail),
            Error::Missing { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            Error::Invalid(detail) => Self::fields(detail),
            Error::Corrupt { .. } => {
                tracing::error!(%error, "a stored row cannot be read back");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "what is stored cannot be read")
            }
            Error::Unavailable { .. } => {
                tracing::error!(%error, "the store did not answer");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "detail": self.detail }))).into_response()
    }
}

pub(crate) async fn no_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "there is no such address")
}

pub(crate) async fn no_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
}

#[expect(clippy::needless_pass_by_value, reason = "the form that the layer asks for")]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
    tracing::error!(what, "a handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here").into_response()
}
