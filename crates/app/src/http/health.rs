//! Endpoints of the server's health.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Open, error::ApiResult, openapi::OpenRefusals};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(auth_health))
}

#[derive(Serialize, ToSchema)]
struct Healthy {
    status: &'static str,
    /// The number of agents' files that cannot be used, counted once a minute; null before the
    /// first count and after a failed one. `GET /agents/config-errors` lists them.
    config_problems: Option<usize>,
}

/// Answers 200 if the store is available, else 503.
#[utoipa::path(
    get, path = "/health", tag = "cache", security(),
    responses((status = 200, body = Healthy), OpenRefusals)
)]
async fn health(open: Open) -> ApiResult<Json<Healthy>> {
    check(&open).await
}

/// Answers as `/health` does; front ends of the Python server use this path.
#[utoipa::path(
    get, path = "/auth/health", tag = "auth", security(),
    responses((status = 200, body = Healthy), OpenRefusals)
)]
async fn auth_health(open: Open) -> ApiResult<Json<Healthy>> {
    check(&open).await
}

async fn check(open: &Open) -> ApiResult<Json<Healthy>> {
    open.app.cache.repositories.health.check().await?;
    Ok(Json(Healthy {
        status: "healthy",
        config_problems: open.app.config_problems.count(),
    }))
}
