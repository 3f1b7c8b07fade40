//! Endpoints of the server's health.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::HealthCheck, error::ApiResult, openapi::OpenRefusals};
use crate::state::{App, AppHandle};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(auth_health))
}

#[derive(Serialize, ToSchema)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Healthy {
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
async fn health(HealthCheck(app): HealthCheck) -> ApiResult<Json<Healthy>> {
    check(&app).await
}

/// Answers 200 while the program runs, whatever the state of the store. A supervisor that restarts
/// programs which do not answer asks this path.
#[utoipa::path(
    get, path = "/health/live", tag = "cache", security(),
    responses((status = 200, body = Alive), OpenRefusals)
)]
async fn live(_: HealthCheck) -> Json<Alive> {
    Json(Alive { status: "alive" })
}

/// Answers as `/health` does. A balancer that sends requests only to programs which can serve them
/// asks this path.
#[utoipa::path(
    get, path = "/health/ready", tag = "cache", security(),
    responses((status = 200, body = Healthy), OpenRefusals)
)]
async fn ready(HealthCheck(app): HealthCheck) -> ApiResult<Json<Healthy>> {
    check(&app).await
}

/// Answers as `/health` does; front ends of the Python server use this path.
#[utoipa::path(
    get, path = "/auth/health", tag = "auth", security(),
    responses((status = 200, body = Healthy), OpenRefusals)
)]
async fn auth_health(HealthCheck(app): HealthCheck) -> ApiResult<Json<Healthy>> {
    check(&app).await
}

/// Answers as `/health` does, at an address of its own.
pub(super) async fn unguarded(State(app): State<AppHandle>) -> ApiResult<Json<Healthy>> {
    check(&app).await
}

async fn check(app: &App) -> ApiResult<Json<Healthy>> {
    app.cache.repositories.health.check().await?;
    Ok(Json(Healthy {
        status: "healthy",
        config_problems: app.config_problems.count(),
    }))
}
