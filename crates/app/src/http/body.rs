//! Extractor for JSON bodies.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::IntoResponse,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::error::ApiError;
use crate::state::App;

/// The body of a request, parsed from a JSON object.
///
/// A body that is not JSON is refused with 400. A wrong or missing field is refused with 422.
/// Unknown fields are ignored.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let timeout = app.limits.body_timeout;
        let read = tokio::time::timeout(timeout, Bytes::from_request(request, app)).await;
        let read = read.map_err(|_| {
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time; send it again",
            )
        })?;
        let bytes = read.map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
            _ => ApiError::new(StatusCode::BAD_REQUEST, "the body could not be read"),
        })?;
        // Parsed in two steps, because malformed JSON is refused with 400 and a wrong field with
        // 422.
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "the body must be JSON"))?;
        if !value.is_object() {
            return Err(ApiError::unprocessable("the body must be a JSON object"));
        }
        serde_json::from_value(value)
            .map(Self)
            .map_err(|error| ApiError::unprocessable(error.to_string()))
    }
}

/// Deserializes a field to `Some`, even if its value is `null`. With `#[serde(default)]`, an absent
/// field becomes `None`, so the two cases differ.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
