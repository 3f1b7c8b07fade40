//! The endpoint that lists the agents that are composing an answer.

use axum::body::Bytes;
use domain::RoomId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    cache_status::hit,
    error::ApiResult,
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    rendered::{Json, json_response},
    wire,
};
use crate::{
    conversation::{Conversations, Drafts},
    state::AppHandle,
};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new().routes(routes!(chatting))
}

/// Returns the agents that are composing an answer now, with the text so far. The answer comes from
/// memory alone.
#[utoipa::path(
    get, path = "/rooms/{room}/chatting-agents", tag = "messages", params(RoomPath),
    responses((status = 200, body = wire::Chatting), Refusals, RoomRefusals)
)]
pub(super) async fn chatting(access: Access, ids: Ids) -> ApiResult {
    let room = ids.room()?;
    access.enter(room).await?;
    let text = chatting_agents(&access.app.conversations, room);
    Ok(hit(json_response(text)))
}

/// Returns the JSON of the agents that are composing an answer in a room.
pub(super) fn chatting_agents(conversations: &Conversations, room: RoomId) -> Bytes {
    conversations.drafts().json(room, render)
}

/// Renders the drafts of a room.
pub(super) fn render(drafts: &Drafts) -> Bytes {
    let drafts = drafts.iter();
    let composing = drafts.map(|(agent, draft)| wire::ComposingAgent::new(*agent, draft));
    let chatting = wire::Chatting {
        chatting_agents: composing.collect(),
    };
    Json::new(&chatting).into()
}
