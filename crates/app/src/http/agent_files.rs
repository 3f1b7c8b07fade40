//! Endpoints of the agents' files: their paths, their errors, and agents' pictures.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Bytes,
    http::{HeaderMap, StatusCode},
};
use domain::AgentName;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Access, Admin, Open},
    error::{ApiError, ApiResult},
    etag::{hash_tag, with_tag},
    ids::Ids,
    images,
    openapi::{AdminRefusals, AgentRefusals, OpenRefusals, Refusals},
    public_picture::public_picture,
};
use crate::{auth::network, bounds::hold, state::AppHandle};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(configs))
        .routes(routes!(config_errors))
        .routes(routes!(profile_pic))
}

/// The paths of agents' files by the agents' names. They are relative to the agents' folder, and
/// `config_file` accepts them.
#[derive(Serialize, ToSchema)]
struct Configs {
    configs: BTreeMap<String, String>,
}

/// The problems in agents' files by the agents' names. Each problem is one line.
#[derive(Serialize, ToSchema)]
struct ConfigErrors {
    errors: BTreeMap<String, String>,
}

/// Lists the configurations on disk, whether an agent uses them or not.
#[utoipa::path(
    get, path = "/agents/configs", tag = "agents",
    responses((status = 200, body = Configs), Refusals)
)]
async fn configs(access: Access) -> ApiResult<Json<Configs>> {
    let files = access.ports().files.list().await?;
    let configs = files
        .into_iter()
        .map(|file| (file.name.to_string(), file.path))
        .collect();
    Ok(Json(Configs { configs }))
}

/// Lists the agents whose files are invalid now.
#[utoipa::path(
    get, path = "/agents/config-errors", tag = "agents",
    responses((status = 200, body = ConfigErrors), Refusals, AdminRefusals)
)]
async fn config_errors(Admin(access): Admin) -> ApiResult<Json<ConfigErrors>> {
    let mut errors: BTreeMap<String, String> = BTreeMap::new();
    for problem in access.ports().files.problems().await? {
        // Two groups may each have an agent's folder with the same name.
        let text = errors.entry(problem.name).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&problem.text);
    }
    Ok(Json(ConfigErrors { errors }))
}

/// Returns the picture of a living agent by its name.
#[utoipa::path(
    get, path = "/agents/{agent}/profile-pic", tag = "agents", security(),
    params(("agent" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, content_type = "image/*", body = Vec<u8>),
        (status = 304, description = "The picture with this tag is current"),
        OpenRefusals, AgentRefusals
    )
)]
async fn profile_pic(open: Open, headers: HeaderMap, ids: Ids) -> ApiResult {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "this agent has no picture");
    let name = AgentName::parse(ids.agent_name()).map_err(|_| missing())?;
    let (ports, bounds) = (&open.app.cache.repositories, &open.app.bounds);
    let agent = ports.agents.find_named(&name).await?.ok_or_else(missing)?;
    let sender = network(open.address);
    let reading = bounds.picture_reads.begin(sender).await;
    let mut reading = reading.map_err(|_| ApiError::busy("too many pictures are being read"))?;
    let bytes = ports.configs.picture(agent.id).await?.ok_or_else(missing)?;
    let (format, media_type) = images::recognise(&bytes).ok_or_else(missing)?;
    let bytes = public_picture(Bytes::from_owner(bytes), format).ok_or_else(missing)?;
    reading.has_read();
    let permit = bounds
        .image_bytes
        .of(Some(sender))
        .acquire(bytes.len())
        .await;
    let permit = permit.ok_or_else(|| ApiError::busy("too many images are being sent"))?;
    let tag = hash_tag(&bytes);
    let picture = hold(bytes, Some(permit));
    Ok(with_tag(&headers, &tag, media_type, picture))
}
