//! Extractor for the ids in a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use domain::{AgentId, MessageId, RoomId};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::error::{ApiError, ApiResult, Place};

/// The ids in a path.
///
/// Extracting them fails only if the path is not UTF-8. The accessor of an id fails with 422 if the
/// id is not a positive integer.
#[derive(Deserialize)]
pub(crate) struct Ids {
    #[serde(default, deserialize_with = "deserialize_id")]
    room: Option<i64>,
    #[serde(default, deserialize_with = "deserialize_id")]
    message: Option<i64>,
    /// The agent's id as text. In the path of a picture, it is the agent's name instead.
    #[serde(default)]
    agent: String,
    /// The name of a region of the cache.
    #[serde(default)]
    region: String,
}

/// The path parameter of a room, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Ids` extracts")]
pub(crate) struct RoomPath {
    #[param(minimum = 1)]
    room: i64,
}

/// The path parameter of a message, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Ids` extracts")]
pub(crate) struct MessagePath {
    #[param(minimum = 1)]
    message: i64,
}

/// The path parameter of an agent, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it describes what `Ids` extracts")]
pub(crate) struct AgentPath {
    #[param(minimum = 1)]
    agent: i64,
}

/// Deserializes an id. Returns `None` for text that is not a positive integer, so that the accessor
/// can refuse it with an error that names the parameter.
fn deserialize_id<'de, D: Deserializer<'de>>(text: D) -> Result<Option<i64>, D::Error> {
    <&str>::deserialize(text).map(parse)
}

/// Parses an id.
pub(super) fn parse(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id > 0)
}

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ids = Path::<Self>::from_request_parts(parts, state).await;
        ids.map(|Path(ids)| ids)
            .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "the path must be UTF-8"))
    }
}

impl Ids {
    /// Returns the ids of a path that names a room only.
    pub(super) fn of_room(room: RoomId) -> Self {
        Self {
            room: Some(room.0),
            message: None,
            agent: String::new(),
            region: String::new(),
        }
    }

    pub(crate) fn room(&self) -> ApiResult<RoomId> {
        self.room.map(RoomId).ok_or_else(|| invalid("room"))
    }

    pub(crate) fn message(&self) -> ApiResult<MessageId> {
        self.message
            .map(MessageId)
            .ok_or_else(|| invalid("message"))
    }

    pub(crate) fn agent(&self) -> ApiResult<AgentId> {
        parse(&self.agent)
            .map(AgentId)
            .ok_or_else(|| invalid("agent"))
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Returns the agent's name, which the path of a picture has instead of the id.
    pub(crate) fn agent_name(&self) -> &str {
        &self.agent
    }
}

fn invalid(kind: &str) -> ApiError {
    let detail = format!("the {kind}'s id must be a positive integer");
    ApiError::unprocessable(detail).at(vec![Place::name("path"), Place::name(kind)])
}
