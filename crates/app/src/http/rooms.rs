//! Endpoints of rooms.

use std::sync::Arc;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{Error, NewRoom, Room, RoomChange, RoomId, RoomName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    body::{Body, RequestBody, present},
    cache_status::with_cache_status,
    error::{ApiError, ApiResult},
    ids::{AgentPath, Ids, RoomPath},
    list_part::ListQuery,
    openapi::{
        AdminRefusals, AgentRefusals, BodyRefusals, Confirmation, ListRefusals, Refusals,
        RoomRefusals, TakenRefusals,
    },
    query::{ImagesQuery, Query},
    rendered::json_response,
    wire,
};
use crate::{
    bounds::{OwnerLock, write_under},
    conversation::Trigger,
    guest_rooms::delete_room,
    state::AppHandle,
};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(mark_read))
        .routes(routes!(direct_room))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoom)]
struct NewRoomBody {
    /// Must be unique among the rooms of its owner.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// How many answers agents may give in all; null for no limit.
    #[serde(default)]
    max_interactions: Option<u32>,
}

impl RequestBody for NewRoomBody {}

/// The fields of a room that change; an absent one keeps its value.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = RoomChange)]
#[serde(default)]
struct RoomChangeBody {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Null removes the limit.
    #[schema(value_type = Option<u32>)]
    #[serde(deserialize_with = "present")]
    max_interactions: Option<Option<u32>>,
    is_paused: Option<bool>,
    is_finished: Option<bool>,
}

impl RequestBody for RoomChangeBody {}

#[derive(Serialize, ToSchema)]
#[schema(as = Marked)]
struct MarkedAsRead {
    message: &'static str,
    last_read_at: String,
}

/// Lists the caller's rooms, or everyone's for the administrator: unread first, then by latest
/// activity.
///
/// A response has at most 1,000 rooms, by default those with the highest ids, also if older rooms
/// have newer messages.
#[utoipa::path(
    get, path = "/rooms", tag = "rooms", params(ListQuery),
    responses((status = 200, body = [wire::RoomSummary]), Refusals, ListRefusals)
)]
async fn list(access: Access, query: Query) -> Response {
    with_cache_status(async {
        let part = query.list_part()?;
        let text = access.renderer().summaries(access.user(), part).await?;
        Ok(text.into_response())
    })
    .await
}

/// Creates a room, which the caller owns.
#[utoipa::path(
    post, path = "/rooms", tag = "rooms", request_body = NewRoomBody,
    responses(
        (status = 200, body = wire::RoomObject),
        Refusals, AdminRefusals, BodyRefusals, TakenRefusals
    )
)]
async fn create(access: Access, Body(body, _permit): Body<NewRoomBody>) -> ApiResult {
    let name = parse_name(&body.name)?;
    let new = NewRoom {
        owner: access.user().clone(),
        name: name.clone(),
        max_interactions: body.max_interactions,
    };
    let lock = reserve_room(&access).await?;
    let rooms = access.ports().rooms.clone();
    let created = write_under(lock, async move { rooms.create(new).await }).await;
    let room = created.map_err(|error| refusal(error, Some(&name)))?;
    access.audit("room created", room.id);
    respond(&access, &room).await
}

fn parse_name(text: &str) -> ApiResult<RoomName> {
    RoomName::parse(text).map_err(|error| ApiError::from(error).in_field("name"))
}

/// Fails if the caller is a guest that already owns the maximum number of rooms. The administrator
/// has no quota. The caller's rooms do not increase until the returned lock is dropped, so that
/// requests at the same time cannot exceed the quota.
async fn reserve_room(access: &Access) -> ApiResult<Option<OwnerLock>> {
    if access.is_admin() {
        return Ok(None);
    }
    let lock = access.app.bounds.owners.lock(access.user()).await;
    let most = access.app.limits().rooms_per_guest;
    let rooms = &access.ports().rooms;
    let owned = rooms.list_by_owner(access.user(), None, most).await?;
    if owned.len() < most {
        return Ok(Some(lock));
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        format!("a guest may own at most {most} rooms; delete one first"),
    ))
}

/// Converts the error of a write to a room.
///
/// A conflict can only be a taken name. It gets a text that clients of the Python server match.
fn refusal(error: Error, name: Option<&RoomName>) -> ApiError {
    match (&error, name) {
        (Error::Conflict { .. }, Some(name)) => {
            let detail = format!("Room '{name}' already exists");
            ApiError::new(StatusCode::CONFLICT, detail)
        }
        _ => error.into(),
    }
}

/// Returns a room with its agents and newest messages.
#[utoipa::path(
    get, path = "/rooms/{room}", tag = "rooms", params(RoomPath, ImagesQuery),
    responses((status = 200, body = wire::RoomObject), Refusals, RoomRefusals)
)]
fn get(access: Access, ids: Ids, query: Query) -> impl Future<Output = Response> {
    // Parsed outside of the future, which is smaller if it does not hold the path and the query.
    respond_with_room(access, ids.room(), query.wants_images())
}

/// Returns the response with a room. An error of a parameter becomes the response.
pub(super) fn respond_with_room(
    access: Access,
    id: ApiResult<RoomId>,
    wants_images: ApiResult<bool>,
) -> impl Future<Output = Response> {
    with_cache_status(async move {
        let renderer = access.renderer_with(wants_images?);
        let room = access.room(id?).await?;
        Ok(json_response(renderer.room(&room, access.user()).await?))
    })
}

/// Changes a room.
#[utoipa::path(
    patch, path = "/rooms/{room}", tag = "rooms", params(RoomPath),
    request_body = RoomChangeBody,
    responses(
        (status = 200, body = wire::RoomObject),
        Refusals, RoomRefusals, BodyRefusals, TakenRefusals
    )
)]
async fn update(access: Access, ids: Ids, Body(body, _permit): Body<RoomChangeBody>) -> ApiResult {
    let change = RoomChange {
        name: body.name.as_deref().map(parse_name).transpose()?,
        max_interactions: body.max_interactions,
        is_paused: body.is_paused,
        is_finished: body.is_finished,
        last_error: None,
    };
    change_room(&access, ids.room()?, change, Trigger::Changed).await
}

/// Changes a room, then sends the trigger to its agents.
pub(super) async fn change_room(
    access: &Access,
    id: RoomId,
    change: RoomChange,
    trigger: Trigger,
) -> ApiResult {
    access.room(id).await?;
    let rooms = access.ports().rooms.clone();
    let name = change.name.clone();
    let write = async move { rooms.update(id, change).await };
    let conversations = &access.app.conversations;
    let changed = conversations.write(id, trigger, write).await;
    let room = changed.map_err(|error| refusal(error, name.as_ref()))?;
    respond(access, &room).await
}

/// Marks all messages of a room as read by the caller.
#[utoipa::path(
    post, path = "/rooms/{room}/mark-read", tag = "rooms", params(RoomPath),
    responses((status = 200, body = MarkedAsRead), Refusals, RoomRefusals)
)]
async fn mark_read(access: Access, ids: Ids) -> ApiResult<Json<MarkedAsRead>> {
    let room = access.room(ids.room()?).await?.id;
    let positions = &access.ports().read_positions;
    let position = positions.mark(access.user().clone(), room).await?;
    Ok(Json(MarkedAsRead {
        message: "Room marked as read",
        last_read_at: wire::time(position.read_at),
    }))
}

/// Deletes a room with its messages. A guest may delete its own rooms if the settings allow it.
#[utoipa::path(
    delete, path = "/rooms/{room}", tag = "rooms", params(RoomPath),
    responses((status = 200, body = Confirmation), Refusals, RoomRefusals)
)]
async fn delete(access: Access, ids: Ids) -> ApiResult<Json<Confirmation>> {
    access.require_deletion()?;
    let room = access.room(ids.room()?).await?;
    delete_room(&access.app, &room).await?;
    Ok(Confirmation::json("Room deleted successfully"))
}

/// Returns the caller's room `Direct: NAME` with an agent, and creates it if there is none.
#[utoipa::path(
    get, path = "/agents/{agent}/direct-room", tag = "agents", params(AgentPath),
    responses(
        (status = 200, body = wire::RoomObject),
        Refusals, AdminRefusals, AgentRefusals
    )
)]
async fn direct_room(access: Access, ids: Ids) -> ApiResult {
    let agent = ids.agent()?;
    let rooms = &access.ports().rooms;
    let room = if let Some(room) = rooms.find_direct(access.user(), agent).await? {
        room
    } else {
        let lock = reserve_room(&access).await?;
        let (rooms, owner) = (rooms.clone(), access.user().clone());
        let create = async move { rooms.create_direct(owner, agent).await };
        let room = write_under(lock, create).await?;
        access.audit("room created", room.id);
        room
    };
    respond(&access, &room).await
}

async fn respond(access: &Access, room: &Arc<Room>) -> ApiResult {
    let text = access.renderer().room(room, access.user()).await?;
    Ok(json_response(text))
}
