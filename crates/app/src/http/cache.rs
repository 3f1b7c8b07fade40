//! The cache over HTTP: statistics, invalidation by hand, cleanup; and health.

use axum::{Json, http::StatusCode};
use cache_core::Stats;
use domain::{AgentId, RoomId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    error::{Answer, ApiError},
    extract::{Access, Body},
};

#[derive(Deserialize)]
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

pub(crate) async fn health(access: Access) -> Answer<Json<Value>> {
    access.ports().health.check().await?;
    Ok(Json(json!({ "status": "healthy" })))
}

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

pub(crate) async fn invalidate(access: Access, Body(body): Body<Invalidate>) -> Answer<Json<Value>> {
    access.admin()?;
    let cache = &access.app.cache;
    let manager = &cache.manager;
    let no_region = || ApiError::new(StatusCode::NOT_FOUND, "there is no such region");
    let invalidated = match body {
        Invalidate { key: Some(key), prefix: None, pattern: None, region: None, room_id: None, agent_id: None } => {
            let region = key.split_once(':').map_or(key.as_str(), |(region, _)| region);
            if !manager.regions().contains(&region) {
                return Err(no_region());
            }
            manager.invalidate_key(&key)
        }
        Invalidate { key: None, prefix: Some(prefix), pattern: None, region: None, room_id: None, agent_id: None } => {
            manager.invalidate_prefix(&prefix)
        }
        Invalidate { key: None, prefix: None, pattern: Some(pattern), region: None, room_id: None, agent_id: None } => {
            manager.invalidate_glob(&pattern)
        }
        Invalidate { key: None, prefix: None, pattern: None, region: Some(region), room_id: None, agent_id: None } => {
            manager.clear_region(&region).ok_or_else(no_region)?
        }
        Invalidate { key: None, prefix: None, pattern: None, region: None, room_id: Some(room), agent_id: None } => {
            cache.invalidate_room(RoomId(room))
        }
        Invalidate { key: None, prefix: None, pattern: None, region: None, room_id: None, agent_id: Some(agent) } => {
            cache.invalidate_agent(AgentId(agent))
        }
        _ => return Err(ApiError::fields("give exactly one of key, prefix, pattern, region, room_id and agent_id")),
    };
    Ok(Json(json!({ "invalidated": invalidated })))
}

pub(crate) async fn clear(access: Access) -> Answer<Json<Value>> {
    access.admin()?;
    Ok(Json(json!({ "cleared": access.app.cache.manager.clear() })))
}

pub(crate) async fn cleanup(access: Access) -> Answer<Json<Value>> {
    access.admin()?;
    Ok(Json(json!({ "removed": access.app.cache.manager.cleanup().await })))
}
