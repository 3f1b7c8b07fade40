//! Endpoints of agents.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use domain::{Agent, AgentId, Error, RecentEvent};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Admin},
    agent_body::AgentBody,
    body::{Body, RequestBody},
    cache_status::with_cache_status,
    error::{ApiError, ApiResult},
    etag::tagged,
    ids::{AgentPath, Ids},
    list_part::ListQuery,
    openapi::{
        AdminRefusals, AgentRefusals, BodyRefusals, Confirmation, ListRefusals, Refusals,
        TakenRefusals,
    },
    query::Query,
    wire,
};
use crate::state::{App, AppHandle};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(reload))
        .routes(routes!(append_memory))
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Memory)]
struct MemoryBody {
    text: String,
}

impl RequestBody for MemoryBody {
    /// The text may be as long as a message.
    fn max_bytes(app: &App) -> usize {
        app.max_body_bytes
    }
}

/// Lists the newest 1,000 agents, or others with `after` and `limit`, by ascending id.
///
/// The response has an `ETag`. A request with this tag in `If-None-Match` gets 304 if the list is
/// unchanged.
#[utoipa::path(
    get, path = "/agents", tag = "agents", params(ListQuery),
    responses(
        (status = 200, body = [wire::AgentObject]),
        (status = 304, description = "The list with this tag is current"),
        Refusals, ListRefusals
    )
)]
async fn list(access: Access, headers: HeaderMap, query: Query) -> Response {
    with_cache_status(async {
        let part = query.list_part()?;
        let agents = &access.ports().agents;
        let agents = agents.list(part.after.map(AgentId), part.limit).await?;
        let text = access.renderer().agents(agents).await?;
        Ok(tagged(&headers, "application/json", text.into_bytes()))
    })
    .await
}

/// Returns one agent.
#[utoipa::path(
    get, path = "/agents/{agent}", tag = "agents", params(AgentPath),
    responses((status = 200, body = wire::AgentObject), Refusals, AgentRefusals)
)]
async fn get(access: Access, ids: Ids) -> Response {
    with_cache_status(async { respond(&access, find(&access, &ids).await?).await }).await
}

/// Creates an agent from its fields, or from files that are on disk already.
#[utoipa::path(
    post, path = "/agents", tag = "agents", request_body = AgentBody,
    responses(
        (status = 200, body = wire::AgentObject),
        Refusals, AdminRefusals, AgentRefusals, BodyRefusals, TakenRefusals
    )
)]
async fn create(Admin(access): Admin, Body(body, _permit): Body<AgentBody>) -> ApiResult {
    let ports = access.ports();
    let agent = if let Some(path) = &body.config_file {
        let adopted = ports.files.adopt(path).await;
        adopted.map_err(|error| match error {
            Error::Invalid(_) => ApiError::from(error).in_field("config_file"),
            _ => error.into(),
        })?
    } else {
        ports
            .agents
            .create(body.into_new(&access.app.limits())?)
            .await?
    };
    access.audit("agent created", agent.id);
    respond(&access, agent).await
}

/// Changes an agent and writes its YAML files.
#[utoipa::path(
    patch, path = "/agents/{agent}", tag = "agents", params(AgentPath),
    request_body = AgentBody,
    responses(
        (status = 200, body = wire::AgentObject),
        Refusals, AdminRefusals, AgentRefusals, BodyRefusals, TakenRefusals
    )
)]
async fn update(Admin(access): Admin, ids: Ids, Body(body, _permit): Body<AgentBody>) -> ApiResult {
    let change = body.into_change(&access.app.limits())?;
    let agent = access.ports().agents.update(ids.agent()?, change).await?;
    respond(&access, agent).await
}

/// Deletes an agent. Its folder is set aside, never erased.
#[utoipa::path(
    delete, path = "/agents/{agent}", tag = "agents", params(AgentPath),
    responses((status = 200, body = Confirmation), Refusals, AdminRefusals, AgentRefusals)
)]
async fn delete(Admin(access): Admin, ids: Ids) -> ApiResult<Json<Confirmation>> {
    let (agent, agents) = (ids.agent()?, access.ports().agents.clone());
    let removal = async move { agents.delete(agent).await };
    let conversations = &access.app.conversations;
    conversations.remove_agent(agent, None, removal).await?;
    Ok(Confirmation::json("Agent deleted successfully"))
}

/// Reads an agent's files again. If they are invalid the answer is 400, and the last valid
/// configuration stays in force.
#[utoipa::path(
    post, path = "/agents/{agent}/reload", tag = "agents", params(AgentPath),
    responses(
        (status = 200, body = wire::AgentObject),
        Refusals, AdminRefusals, AgentRefusals
    )
)]
async fn reload(Admin(access): Admin, ids: Ids) -> ApiResult {
    let agent = find(&access, &ids).await?;
    let reloaded = access.ports().files.reload(agent.id).await;
    reloaded.map_err(|error| match error {
        Error::Invalid { .. } => ApiError::new(StatusCode::BAD_REQUEST, error.to_string()),
        // The agent was found above, so its files are missing.
        Error::Missing { .. } => {
            ApiError::new(StatusCode::BAD_REQUEST, "the agent's files are missing")
        }
        other => other.into(),
    })?;
    respond(&access, agent).await
}

/// Appends a recent event with today's date.
#[utoipa::path(
    post, path = "/agents/{agent}/memory", tag = "agents", params(AgentPath),
    request_body = MemoryBody,
    responses(
        (status = 200, body = Confirmation),
        Refusals, AdminRefusals, AgentRefusals, BodyRefusals
    )
)]
async fn append_memory(
    Admin(access): Admin,
    ids: Ids,
    Body(memory, _permit): Body<MemoryBody>,
) -> ApiResult<Json<Confirmation>> {
    let most = access.app.limits().message_chars;
    if memory.text.trim().is_empty() {
        return Err(ApiError::field("text", "`text` must not be empty"));
    }
    if memory.text.chars().count() > most {
        let detail = format!("`text` must have at most {most} characters");
        return Err(ApiError::field("text", detail));
    }
    let event = RecentEvent {
        date: Some(chrono::Utc::now().date_naive()),
        text: memory.text.trim().to_owned(),
    };
    let configs = &access.ports().configs;
    configs.append_memory(ids.agent()?, event).await?;
    Ok(Confirmation::json("Memory appended successfully"))
}

pub(super) async fn find(access: &Access, ids: &Ids) -> ApiResult<Arc<Agent>> {
    let id = ids.agent()?;
    let found = access.ports().agents.find(id).await?;
    found.ok_or_else(|| ApiError::missing("agent", id))
}

async fn respond(access: &Access, agent: Arc<Agent>) -> ApiResult {
    let id = agent.id;
    let text = access.renderer().agent(agent).await?;
    let text = text.ok_or_else(|| ApiError::missing("agent", id))?;
    Ok(text.into_response())
}
