//! The endpoint that sends a message.

use std::sync::Arc;

use axum::response::IntoResponse;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    AgentId, Image, NewMessage, ParticipantType, Role, RoomId, names::MAX_ROOM_NAME_CHARS,
};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    body::Body,
    error::{ApiError, ApiResult},
    ids::{Ids, RoomPath},
    images,
    openapi::{BodyRefusals, Refusals, RoomRefusals},
    wire,
};
use crate::{conversation::Trigger, settings::Limits, state::App};

/// The maximum number of agents that one message may mention. Rooms usually have fewer agents; the
/// limit bounds the work for a request.
const MOST_MENTIONED: usize = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(send))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewMessage)]
struct NewMessageBody {
    content: String,
    /// Must be `user`.
    role: String,
    /// One of null, `user`, `character` or `situation_builder`.
    #[serde(default)]
    participant_type: Option<String>,
    #[serde(default)]
    participant_name: Option<String>,
    /// Base64, with `image_media_type`.
    #[serde(default)]
    image_data: Option<String>,
    #[serde(default)]
    image_media_type: Option<String>,
    /// Agents that answer first, in this order.
    #[serde(default)]
    mentioned_agent_ids: Option<Vec<i64>>,
}

impl NewMessageBody {
    fn take_mentioned(&mut self) -> ApiResult<Vec<AgentId>> {
        let ids = self.mentioned_agent_ids.take().unwrap_or_default();
        if ids.len() > MOST_MENTIONED {
            return Err(ApiError::unprocessable(format!(
                "`mentioned_agent_ids` must have at most {MOST_MENTIONED} ids, got {}",
                ids.len()
            )));
        }
        Ok(ids.into_iter().map(AgentId).collect())
    }

    fn into_message(self, room: RoomId, limits: &Limits) -> ApiResult<NewMessage> {
        let most = limits.message_chars;
        if self.content.chars().count() > most {
            return Err(ApiError::unprocessable(format!(
                "`content` must have at most {most} characters"
            )));
        }
        let name = self.participant_name;
        let is_too_long = |name: &String| name.chars().count() > MAX_ROOM_NAME_CHARS;
        if name.as_ref().is_some_and(is_too_long) {
            return Err(ApiError::unprocessable(format!(
                "`participant_name` must have at most {MAX_ROOM_NAME_CHARS} characters"
            )));
        }
        if Role::parse(&self.role)? != Role::User {
            return Err(ApiError::unprocessable("`role` must be \"user\""));
        }
        Ok(NewMessage {
            participant_type: parse_participant_type(self.participant_type.as_deref())?,
            participant_name: name,
            image: parse_image(self.image_data, self.image_media_type, limits)?,
            ..NewMessage::from_user(room, self.content)
        })
    }
}

fn parse_participant_type(word: Option<&str>) -> ApiResult<Option<ParticipantType>> {
    let parsed = word.map(ParticipantType::parse).transpose()?;
    match parsed {
        Some(ParticipantType::Agent | ParticipantType::System) => Err(ApiError::unprocessable(
            "`participant_type` must be null, \"user\", \"character\" or \"situation_builder\"",
        )),
        _ => Ok(parsed),
    }
}

fn parse_image(
    data: Option<String>,
    media_type: Option<String>,
    limits: &Limits,
) -> ApiResult<Option<Image>> {
    let (data, media_type) = match (data, media_type) {
        (None, None) => return Ok(None),
        (Some(data), Some(media_type)) => (data, media_type),
        _ => {
            return Err(ApiError::unprocessable(
                "`image_data` and `image_media_type` must be given together",
            ));
        }
    };
    let bytes = STANDARD
        .decode(&data)
        .map_err(|_| ApiError::unprocessable("`image_data` must be Base64"))?;
    let actual = images::check(&bytes, limits.image_pixels)?;
    if actual != media_type {
        return Err(ApiError::unprocessable(format!(
            "`image_media_type` must be the image's type, \"{actual}\""
        )));
    }
    Ok(Some(Image { media_type, data }))
}

/// Sends a message. The response is sent once the message is stored; agents then answer in the
/// background.
#[utoipa::path(
    post, path = "/rooms/{room}/messages/send", tag = "messages", params(RoomPath),
    request_body = NewMessageBody,
    responses(
        (status = 200, body = wire::MessageObject),
        Refusals, RoomRefusals, BodyRefusals
    )
)]
async fn send(access: Access, ids: Ids, Body(mut body): Body<NewMessageBody>) -> ApiResult {
    let room = access.room(ids.room()?).await?.id;
    let mentioned = body.take_mentioned()?;
    let new = body.into_message(room, &access.app.limits)?;
    let messages = access.ports().messages.clone();
    let write = async move { messages.append(new).await };
    let cause = Trigger::Said { mentioned };
    let message = access.app.conversations.write(room, cause, write).await?;
    let text = access.renderer().message(room, &message).await?;
    Ok(text.into_response())
}
