//! The cache over HTTP: statistics, invalidation by hand, cleanup; and health.

use axum::{Json, http::StatusCode};
use cache_core::Stats;
use domain::{AgentId, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    error::{Answer, ApiError},
    extract::{Access, Body, Open},
    openapi::{AdminRefusals, BodyRefusals, OpenRefusals, Refusals},
    wire,
};

/// Exactly one of them.
#[derive(Deserialize, ToSchema)]
#[schema(as = Invalidation)]
pub(crate) struct Invalidate {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    room_id: Option<i64>,
    #[serde(default)]
    agent_id: Option<i64>,
}

/// The store answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Healthy {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Invalidated {
    invalidated: usize,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Cleared {
    cleared: usize,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Removed {
    removed: usize,
}

/// 503 when the store does not answer.
#[utoipa::path(get, path = "/health", tag = "cache", security(), responses((status = 200, body = Healthy), OpenRefusals))]
pub(crate) async fn health(open: Open) -> Answer<Json<Healthy>> {
    open.app.cache.repositories.health.check().await?;
    Ok(Json(Healthy { status: "healthy" }))
}

/// The same.
#[utoipa::path(get, path = "/auth/health", tag = "auth", security(), responses((status = 200, body = Healthy), OpenRefusals))]
pub(crate) async fn auth_health(open: Open) -> Answer<Json<Healthy>> {
    health(open).await
}

/// Totals, and the same per region with its TTL and capacity.
#[utoipa::path(get, path = "/cache/stats", tag = "cache", responses((status = 200, body = wire::CacheStats), Refusals, AdminRefusals))]
pub(crate) async fn stats(access: Access) -> Answer<Json<Value>> {
    access.admin()?;
    let mut total = Stats::default();
    let mut regions = Map::new();
    for (name, policy, stats) in access.app.cache.manager.stats() {
        total.add(&stats);
        let mut region = shown(&stats);
        region.insert("ttl_seconds".into(), json!(policy.ttl.as_secs_f64()));
        region.insert("capacity".into(), json!(policy.capacity));
        regions.insert(name.into(), region.into());
    }
    let mut answer = shown(&total);
    answer.insert("regions".into(), regions.into());
    Ok(Json(answer.into()))
}

fn shown(stats: &Stats) -> Map<String, Value> {
    let fields = json!({
        "hits": stats.hits,
        "misses": stats.misses,
        "total_requests": stats.total_requests(),
        "hit_rate": stats.hit_rate(),
        "size": stats.size,
        "invalidations": stats.invalidations,
        "loads": stats.loads,
        "joins": stats.joins,
        "past_loads": stats.past_loads,
        "bypasses": stats.bypasses,
        "load_failures": stats.load_failures,
        "refused_stores": stats.refused_stores,
        "stale_served": stats.stale_served,
        "evictions": { "capacity": stats.evicted_by_capacity, "expiry": stats.evicted_by_expiry },
        "open_windows": stats.open_windows,
        "unknown_windows": stats.unknown_windows,
        "weight": stats.weight,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// By key, prefix, glob, region, room or agent.
#[utoipa::path(post, path = "/cache/invalidate", tag = "cache", request_body = Invalidate, responses((status = 200, body = Invalidated), (status = 404, body = super::openapi::Refusal, description = "There is no such region"), Refusals, AdminRefusals, BodyRefusals))]
pub(crate) async fn invalidate(
    access: Access,
    Body(body): Body<Invalidate>,
) -> Answer<Json<Invalidated>> {
    access.admin()?;
    let cache = &access.app.cache;
    let manager = &cache.manager;
    let no_region = || ApiError::new(StatusCode::NOT_FOUND, "there is no such region");
    let invalidated = match body {
        Invalidate {
            key: Some(key),
            prefix: None,
            pattern: None,
            region: None,
            room_id: None,
            agent_id: None,
        } => {
            let region = key
                .split_once(':')
                .map_or(key.as_str(), |(region, _)| region);
            if !manager.regions().contains(&region) {
                return Err(no_region());
            }
            manager.invalidate_key(&key)
        }
        Invalidate {
            key: None,
            prefix: Some(prefix),
            pattern: None,
            region: None,
            room_id: None,
            agent_id: None,
        } => manager.invalidate_prefix(&prefix),
        Invalidate {
            key: None,
            prefix: None,
            pattern: Some(pattern),
            region: None,
            room_id: None,
            agent_id: None,
        } => manager.invalidate_glob(&pattern),
        Invalidate {
            key: None,
            prefix: None,
            pattern: None,
            region: Some(region),
            room_id: None,
            agent_id: None,
        } => manager.clear_region(&region).ok_or_else(no_region)?,
        Invalidate {
            key: None,
            prefix: None,
            pattern: None,
            region: None,
            room_id: Some(room),
            agent_id: None,
        } => cache.invalidate_room(RoomId(room)),
        Invalidate {
            key: None,
            prefix: None,
            pattern: None,
            region: None,
            room_id: None,
            agent_id: Some(agent),
        } => cache.invalidate_agent(AgentId(agent)),
        _ => {
            return Err(ApiError::fields(
                "give exactly one of key, prefix, pattern, region, room_id and agent_id",
            ));
        }
    };
    Ok(Json(Invalidated { invalidated }))
}

#[utoipa::path(post, path = "/cache/clear", tag = "cache", responses((status = 200, body = Cleared), Refusals, AdminRefusals))]
pub(crate) async fn clear(access: Access) -> Answer<Json<Cleared>> {
    access.admin()?;
    Ok(Json(Cleared {
        cleared: access.app.cache.manager.clear(),
    }))
}

/// Removes expired entries now.
#[utoipa::path(post, path = "/cache/cleanup", tag = "cache", responses((status = 200, body = Removed), Refusals, AdminRefusals))]
pub(crate) async fn cleanup(access: Access) -> Answer<Json<Removed>> {
    access.admin()?;
    Ok(Json(Removed {
        removed: access.app.cache.manager.cleanup().await,
    }))
}
