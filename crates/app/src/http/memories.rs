//! Endpoints of what agents remember of owners' rooms.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use domain::{RecentEvent, UserId};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    agents::find,
    cache_status::with_cache_status,
    error::{ApiError, ApiResult},
    ids::{AgentPath, Ids},
    openapi::{AdminRefusals, AgentRefusals, Confirmation, Refusals},
    query::Query,
};
use crate::state::AppHandle;

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new().routes(routes!(list, forget))
}

/// The query parameter of both endpoints, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `owner` reads")]
struct OwnerQuery {
    /// The owner of the rooms. Only the administrator may name another than themself
    owner: Option<String>,
}

/// The memories that an agent has of one owner's rooms, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = Memories)]
struct MemoryList {
    memories: Vec<OwnerMemory>,
}

#[derive(Serialize, ToSchema)]
struct OwnerMemory {
    /// The day, such as `2026-11-30`.
    #[schema(required)]
    date: Option<String>,
    text: String,
}

impl From<&RecentEvent> for OwnerMemory {
    fn from(event: &RecentEvent) -> Self {
        Self {
            date: event.date.map(|date| date.to_string()),
            text: event.text.clone(),
        }
    }
}

/// Returns the owner that the request names, by default the caller.
fn owner(access: &Access, query: &Query) -> ApiResult<UserId> {
    let [owner] = query.params(["owner"]);
    let Some(owner) = owner.value else {
        return Ok(access.user().clone());
    };
    if owner == access.user().as_str() {
        return Ok(access.user().clone());
    }
    access.require_admin()?;
    UserId::parse(&owner).map_err(|error| ApiError::from(error).in_query("owner"))
}

/// Lists what an agent remembers of the caller's rooms. What it knows in all rooms is in
/// `recent_events`.
#[utoipa::path(
    get, path = "/agents/{agent}/memories", tag = "agents", params(AgentPath, OwnerQuery),
    responses((status = 200, body = MemoryList), Refusals, AdminRefusals, AgentRefusals)
)]
async fn list(access: Access, ids: Ids, query: Query) -> Response {
    with_cache_status(async {
        let owner = owner(&access, &query)?;
        let agent = find(&access, &ids).await?.id;
        let memories = access.ports().memories.list(agent, &owner).await?;
        let memories = memories.iter().map(OwnerMemory::from).collect();
        Ok(Json(MemoryList { memories }).into_response())
    })
    .await
}

/// Deletes what an agent remembers of the caller's rooms.
#[utoipa::path(
    delete, path = "/agents/{agent}/memories", tag = "agents", params(AgentPath, OwnerQuery),
    responses((status = 200, body = Confirmation), Refusals, AdminRefusals, AgentRefusals)
)]
async fn forget(access: Access, ids: Ids, query: Query) -> ApiResult<Json<Confirmation>> {
    let owner = owner(&access, &query)?;
    let agent = find(&access, &ids).await?.id;
    access.ports().memories.forget(owner, Some(agent)).await?;
    access.audit("memories deleted", agent);
    Ok(Confirmation::json("Memories deleted successfully"))
}
