//! The endpoint that lists the agents that are composing an answer.

use std::sync::Arc;

use axum::response::IntoResponse;
use domain::RoomId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    cache_status::hit,
    error::ApiResult,
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    rendered::Json,
    wire,
};
use crate::{conversation::Conversations, state::App};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(chatting))
}

/// Returns the agents that are composing an answer now, with the text so far. The answer comes from
/// memory alone.
#[utoipa::path(
    get, path = "/rooms/{room}/chatting-agents", tag = "messages", params(RoomPath),
    responses((status = 200, body = wire::Chatting), Refusals, RoomRefusals)
)]
async fn chatting(access: Access, ids: Ids) -> ApiResult {
    let room = access.room(ids.room()?).await?.id;
    let text = chatting_agents(&access.app.conversations, room);
    Ok(hit(text.into_response()))
}

/// Returns the JSON of the agents that are composing an answer in a room.
pub(super) fn chatting_agents(conversations: &Conversations, room: RoomId) -> Json {
    let drafts = conversations.drafts(room).into_iter();
    let composing = drafts.map(|(agent, draft)| wire::ComposingAgent::new(agent, draft));
    Json::new(&wire::Chatting {
        chatting_agents: composing.collect(),
    })
}
