//! Endpoints of the agents in a room.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{AgentId, Error, Room};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    cache_status::with_cache_status,
    error::{ApiError, ApiResult},
    ids::{AgentPath, Ids, RoomPath},
    openapi::{Confirmation, Refusals, RoomRefusals},
    rendered::json_response,
    wire,
};
use crate::{bounds::OwnerLock, conversation::Trigger, state::AppHandle};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(add, remove))
}

/// Lists the living agents of a room by the time of joining.
#[utoipa::path(
    get, path = "/rooms/{room}/agents", tag = "rooms", params(RoomPath),
    responses((status = 200, body = [wire::AgentObject]), Refusals, RoomRefusals)
)]
async fn list(access: Access, ids: Ids) -> Response {
    with_cache_status(async {
        let room = access.room(ids.room()?).await?.id;
        Ok(access.renderer().members(room).await?.into_response())
    })
    .await
}

/// Adds an agent to a room. Adding it again changes nothing.
#[utoipa::path(
    post, path = "/rooms/{room}/agents/{agent}", tag = "rooms", params(RoomPath, AgentPath),
    responses((status = 200, body = wire::RoomObject), Refusals, RoomRefusals)
)]
async fn add(access: Access, ids: Ids) -> ApiResult {
    let room = access.room(ids.room()?).await?;
    let (id, agent) = (room.id, ids.agent()?);
    let lock = reserve_place(&access, &room, agent).await?;
    let rooms = access.ports().rooms.clone();
    let write = async move {
        let _lock = lock;
        rooms.add_member(id, agent).await
    };
    let conversations = &access.app.conversations;
    conversations.write(id, Trigger::Changed, write).await?;
    let text = access.renderer().room(&room, access.user()).await?;
    Ok(json_response(text))
}

/// Fails if the room already has the maximum number of agents. The number does not grow until the
/// returned lock is dropped, so that requests at the same time cannot exceed it.
async fn reserve_place(access: &Access, room: &Room, agent: AgentId) -> ApiResult<OwnerLock> {
    let lock = access.app.bounds.owners.lock(&room.owner).await;
    let most = access.app.limits().agents_per_room;
    let members = access.ports().rooms.members(room.id).await?;
    if members.len() < most || members.iter().any(|member| member.agent == agent) {
        return Ok(lock);
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        format!("a room may have at most {most} agents; remove one first"),
    ))
}

/// Removes an agent, which may have been deleted, from a room. A guest may do so in its own rooms
/// if the settings allow it.
#[utoipa::path(
    delete, path = "/rooms/{room}/agents/{agent}", tag = "rooms",
    params(RoomPath, AgentPath),
    responses((status = 200, body = Confirmation), Refusals, RoomRefusals)
)]
async fn remove(access: Access, ids: Ids) -> ApiResult<Json<Confirmation>> {
    access.require_deletion()?;
    let room = access.room(ids.room()?).await?.id;
    let agent = ids.agent()?;
    let rooms = access.ports().rooms.clone();
    let removal = async move { rooms.remove_member(room, agent).await };
    let conversations = &access.app.conversations;
    let removed = conversations.remove_agent(agent, Some(room), removal);
    removed.await.map_err(|error| match error {
        Error::Missing { .. } => {
            let detail = format!("Agent {agent} not found in room {room}");
            ApiError::new(StatusCode::NOT_FOUND, detail)
        }
        other => other.into(),
    })?;
    Ok(Confirmation::json("Agent removed from room successfully"))
}
