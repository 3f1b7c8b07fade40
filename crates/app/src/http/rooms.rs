//! Rooms over HTTP.

use std::sync::Arc;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{NewRoom, Room, RoomChange, RoomName};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    bodies::answer,
    error::{Answer, ApiError},
    extract::{Access, Body, Ids, tell_source},
    openapi::{AdminRefusals, BodyRefusals, Message, Refusals, RoomRefusals, TakenRefusals},
    views,
    wire::{self, RoomSummary, time},
};
use crate::conversation::Trigger;

#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoom)]
pub(crate) struct Create {
    /// Unique for its owner.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// How many answers agents may give in all; none is no limit.
    #[serde(default)]
    max_interactions: Option<u32>,
}

/// An absent field stays.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = RoomChange)]
#[serde(default)]
pub(crate) struct Update {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Present and null removes the limit.
    #[schema(value_type = Option<u32>)]
    #[serde(deserialize_with = "present")]
    max_interactions: Option<Option<u32>>,
    is_paused: Option<bool>,
    is_finished: Option<bool>,
}

/// How far the caller has read.
#[derive(Serialize, ToSchema)]
pub(crate) struct Marked {
    message: &'static str,
    last_read_at: String,
}

/// Tells a null from an absent field.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn shown(access: &Access, room: &Arc<Room>) -> Answer {
    Ok(answer(views::room(access, room).await?.into()))
}

/// Unread first, then by latest activity; a guest's own only.
#[utoipa::path(get, path = "/rooms", tag = "rooms", responses((status = 200, body = [RoomSummary]), Refusals))]
pub(crate) async fn list(access: Access) -> Response {
    tell_source(async {
        Ok(views::summaries(access.ports(), access.user())
            .await?
            .into_response())
    })
    .await
}

#[utoipa::path(post, path = "/rooms", tag = "rooms", request_body = Create, responses((status = 200, body = wire::Room), Refusals, AdminRefusals, BodyRefusals, TakenRefusals))]
pub(crate) async fn create(access: Access, Body(body): Body<Create>) -> Answer {
    let new = NewRoom {
        owner: access.user().clone(),
        name: RoomName::parse(&body.name)?,
        max_interactions: body.max_interactions,
    };
    may_own_one_more(&access).await?;
    let room = access.ports().rooms.create(new).await?;
    shown(&access, &room).await
}

/// A guest owns so many rooms and no more.
pub(crate) async fn may_own_one_more(access: &Access) -> Answer<()> {
    let most = access.app.limits.rooms_per_guest;
    if access.is_admin()
        || access
            .ports()
            .rooms
            .list_by_owner(access.user())
            .await?
            .len()
            < most
    {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        format!("a guest owns at most {most} rooms"),
    ))
}

#[utoipa::path(get, path = "/rooms/{room}", tag = "rooms", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Room), Refusals, RoomRefusals))]
pub(crate) fn get(access: Access, ids: Ids) -> impl Future<Output = Response> {
    let room = ids.room();
    tell_source(async move {
        let room = access.room(room?).await?;
        shown(&access, &room).await
    })
}

#[utoipa::path(patch, path = "/rooms/{room}", tag = "rooms", params(("room" = i64, Path, minimum = 1)), request_body = Update, responses((status = 200, body = wire::Room), Refusals, RoomRefusals, BodyRefusals, TakenRefusals))]
pub(crate) async fn update(access: Access, ids: Ids, Body(body): Body<Update>) -> Answer {
    let change = RoomChange {
        name: body.name.as_deref().map(RoomName::parse).transpose()?,
        max_interactions: body.max_interactions,
        is_paused: body.is_paused,
        is_finished: body.is_finished,
        last_error: None,
    };
    change_room(&access, &ids, change).await
}

#[utoipa::path(post, path = "/rooms/{room}/pause", tag = "rooms", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Room), Refusals, RoomRefusals))]
pub(crate) async fn pause(access: Access, ids: Ids) -> Answer {
    change_room(
        &access,
        &ids,
        RoomChange {
            is_paused: Some(true),
            ..RoomChange::default()
        },
    )
    .await
}

#[utoipa::path(post, path = "/rooms/{room}/resume", tag = "rooms", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Room), Refusals, RoomRefusals))]
pub(crate) async fn resume(access: Access, ids: Ids) -> Answer {
    change_room(
        &access,
        &ids,
        RoomChange {
            is_paused: Some(false),
            ..RoomChange::default()
        },
    )
    .await
}

async fn change_room(access: &Access, ids: &Ids, change: RoomChange) -> Answer {
    let id = access.room(ids.room()?).await?.id;
    let rooms = access.ports().rooms.clone();
    let room = access
        .app
        .conversations
        .write(id, Trigger::Changed, async move {
            rooms.update(id, change).await
        })
        .await?;
    shown(access, &room).await
}

#[utoipa::path(post, path = "/rooms/{room}/mark-read", tag = "rooms", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = Marked), Refusals, RoomRefusals))]
pub(crate) async fn mark_read(access: Access, ids: Ids) -> Answer<Json<Marked>> {
    let room = access.room(ids.room()?).await?.id;
    let position = access
        .ports()
        .read_positions
        .mark(access.user().clone(), room)
        .await?;
    Ok(Json(Marked {
        message: "marked as read",
        last_read_at: time(position.read_at),
    }))
}

#[utoipa::path(delete, path = "/rooms/{room}", tag = "rooms", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = Message), Refusals, RoomRefusals))]
pub(crate) async fn delete(access: Access, ids: Ids) -> Answer<Json<Message>> {
    access.admin()?;
    let room = ids.room()?;
    let rooms = access.ports().rooms.clone();
    access
        .app
        .conversations
        .write(
            room,
            Trigger::Changed,
            async move { rooms.delete(room).await },
        )
        .await?;
    Ok(Json(Message {
        message: "room deleted",
    }))
}

#[utoipa::path(get, path = "/rooms/{room}/agents", tag = "rooms", params(("room" = i64, Path, minimum = 1)), responses((status = 200, body = [wire::Agent]), Refusals, RoomRefusals))]
pub(crate) async fn agents(access: Access, ids: Ids) -> Response {
    tell_source(async {
        let room = access.room(ids.room()?).await?.id;
        Ok(views::members(access.ports(), room).await?.into_response())
    })
    .await
}

/// Twice is the same as once.
#[utoipa::path(post, path = "/rooms/{room}/agents/{agent}", tag = "rooms", params(("room" = i64, Path, minimum = 1), ("agent" = i64, Path, minimum = 1)), responses((status = 200, body = wire::Room), Refusals, RoomRefusals))]
pub(crate) async fn add_agent(access: Access, ids: Ids) -> Answer {
    let (room, agent) = (access.room(ids.room()?).await?, ids.agent()?);
    let (rooms, id) = (access.ports().rooms.clone(), room.id);
    access
        .app
        .conversations
        .write(id, Trigger::Changed, async move {
            rooms.add_member(id, agent).await
        })
        .await?;
    shown(&access, &room).await
}

#[utoipa::path(delete, path = "/rooms/{room}/agents/{agent}", tag = "rooms", params(("room" = i64, Path, minimum = 1), ("agent" = i64, Path, minimum = 1)), responses((status = 200, body = Message), Refusals, RoomRefusals))]
pub(crate) async fn remove_agent(access: Access, ids: Ids) -> Answer<Json<Message>> {
    access.admin()?;
    let (room, agent) = (access.room(ids.room()?).await?.id, ids.agent()?);
    access
        .ports()
        .rooms
        .remove_member(room, agent)
        .await
        .map_err(|error| match error {
            domain::Error::Missing { .. } => {
                ApiError::new(StatusCode::NOT_FOUND, "this agent is not in the room")
            }
            other => other.into(),
        })?;
    Ok(Json(Message {
        message: "agent removed from the room",
    }))
}
