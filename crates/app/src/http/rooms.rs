//! Rooms over HTTP.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{NewRoom, Room, RoomChange, RoomName};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{
    error::{Answer, ApiError},
    extract::{Access, Body, Ids, tell_source},
    views,
    wire::time,
};

#[derive(Deserialize)]
pub(crate) struct Create {
    name: String,
    #[serde(default)]
    max_interactions: Option<u32>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(crate) struct Update {
    name: Option<String>,
    /// Present and null removes the limit.
    #[serde(deserialize_with = "present")]
    max_interactions: Option<Option<u32>>,
    is_paused: Option<bool>,
    is_finished: Option<bool>,
}

/// Tells a null from an absent field.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn shown(access: &Access, room: &Room) -> Answer {
    Ok(views::room(access.ports(), &access.user, room).await?.into_response())
}

pub(crate) async fn list(access: Access) -> Response {
    tell_source(async { Ok(Json(views::summaries(access.ports(), &access.user).await?).into_response()) }).await
}

pub(crate) async fn create(access: Access, Body(body): Body<Create>) -> Answer {
    let new = NewRoom { owner: access.user.clone(), name: RoomName::parse(&body.name)?, max_interactions: body.max_interactions };
    let room = access.ports().rooms.create(new).await?;
    shown(&access, &room).await
}

pub(crate) async fn get(access: Access, ids: Ids) -> Response {
    tell_source(async {
        let room = access.room(ids.room()?).await?;
        shown(&access, &room).await
    })
    .await
}

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

pub(crate) async fn pause(access: Access, ids: Ids) -> Answer {
    change_room(&access, &ids, RoomChange { is_paused: Some(true), ..RoomChange::default() }).await
}

pub(crate) async fn resume(access: Access, ids: Ids) -> Answer {
    change_room(&access, &ids, RoomChange { is_paused: Some(false), ..RoomChange::default() }).await
}

async fn change_room(access: &Access, ids: &Ids, change: RoomChange) -> Answer {
    let id = access.room(ids.room()?).await?.id;
    let room = access.ports().rooms.update(id, change).await?;
    shown(access, &room).await
}

pub(crate) async fn mark_read(access: Access, ids: Ids) -> Answer<Json<Value>> {
    let room = access.room(ids.room()?).await?.id;
    let position = access.ports().reads.mark(access.user.clone(), room).await?;
    Ok(Json(json!({ "message": "marked as read", "last_read_at": time(position.read_at) })))
}

pub(crate) async fn delete(access: Access, ids: Ids) -> Answer<Json<Value>> {
    access.admin()?;
    let room = ids.room()?;
    access.ports().rooms.delete(room).await?;
    Ok(Json(json!({ "message": "room deleted" })))
}

pub(crate) async fn agents(access: Access, ids: Ids) -> Response {
    tell_source(async {
        let room = access.room(ids.room()?).await?.id;
        Ok(views::members(access.ports(), room).await?.into_response())
    })
    .await
}

pub(crate) async fn add_agent(access: Access, ids: Ids) -> Answer {
    let (room, agent) = (access.room(ids.room()?).await?, ids.agent()?);
    access.ports().rooms.add_member(room.id, agent).await?;
    shown(&access, &room).await
}

pub(crate) async fn remove_agent(access: Access, ids: Ids) -> Answer<Json<Value>> {
    access.admin()?;
    let (room, agent) = (access.room(ids.room()?).await?.id, ids.agent()?);
    access.ports().rooms.remove_member(room, agent).await.map_err(|error| match error {
        domain::Error::Missing { .. } => ApiError::new(StatusCode::NOT_FOUND, "this agent is not in the room"),
        other => other.into(),
    })?;
    Ok(Json(json!({ "message": "agent removed from the room" })))
}
