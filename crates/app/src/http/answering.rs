//! Endpoints that pause, resume and repeat the answers of a room's agents.

use domain::RoomChange;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    error::ApiResult,
    ids::{Ids, RoomPath},
    openapi::{Refusals, RoomRefusals},
    rooms::change_room,
    wire,
};
use crate::{conversation::Trigger, state::AppHandle};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(retry))
}

/// Pauses a room: its agents stop answering.
#[utoipa::path(
    post, path = "/rooms/{room}/pause", tag = "rooms", params(RoomPath),
    responses((status = 200, body = wire::RoomObject), Refusals, RoomRefusals)
)]
async fn pause(access: Access, ids: Ids) -> ApiResult {
    let change = RoomChange {
        is_paused: Some(true),
        ..RoomChange::default()
    };
    change_room(&access, ids.room()?, change, Trigger::Changed).await
}

/// Resumes a paused room.
#[utoipa::path(
    post, path = "/rooms/{room}/resume", tag = "rooms", params(RoomPath),
    responses((status = 200, body = wire::RoomObject), Refusals, RoomRefusals)
)]
async fn resume(access: Access, ids: Ids) -> ApiResult {
    let change = RoomChange {
        is_paused: Some(false),
        ..RoomChange::default()
    };
    change_room(&access, ids.room()?, change, Trigger::Changed).await
}

/// Asks the agents of a room again that have not answered the newest messages, for example because
/// the model server failed. Clears the room's `last_error`. Does nothing in a paused room until it
/// is resumed.
#[utoipa::path(
    post, path = "/rooms/{room}/retry", tag = "rooms", params(RoomPath),
    responses((status = 200, body = wire::RoomObject), Refusals, RoomRefusals)
)]
async fn retry(access: Access, ids: Ids) -> ApiResult {
    let change = RoomChange {
        is_finished: Some(false),
        last_error: Some(None),
        ..RoomChange::default()
    };
    change_room(&access, ids.room()?, change, Trigger::Retried).await
}
