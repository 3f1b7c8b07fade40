//! What is wrong with agents' files now, for the administrator.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::Answer,
    extract::Access,
    openapi::{AdminRefusals, Refusals},
};

/// What is not valid now, by the name of the agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigErrors {
    errors: BTreeMap<String, String>,
}

/// By name; what is wrong with folders of one name stands in lines.
#[utoipa::path(get, path = "/agents/config-errors", tag = "agents", responses((status = 200, body = ConfigErrors), Refusals, AdminRefusals))]
pub(crate) async fn config_errors(access: Access) -> Answer<Json<ConfigErrors>> {
    access.admin()?;
    let mut errors: BTreeMap<String, String> = BTreeMap::new();
    for problem in access.ports().configs.problems().await? {
        let text = errors.entry(problem.name).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&problem.text);
    }
    Ok(Json(ConfigErrors { errors }))
}
