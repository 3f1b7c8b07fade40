//! Endpoints of the cache: statistics, invalidation and cleanup. Only the administrator may use
//! them.

use std::collections::BTreeMap;

use axum::Json;
use cache_adapter::Cache;
use cache_core::{RegionStats, Stats};
use domain::{AgentId, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Admin,
    body::{Body, RequestBody},
    error::{ApiError, ApiResult},
    openapi::{AdminRefusals, BodyRefusals, Refusal, Refusals},
    wire,
};
use crate::state::AppHandle;

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new()
        .routes(routes!(stats))
        .routes(routes!(invalidate))
        .routes(routes!(clear))
        .routes(routes!(cleanup))
}

/// The entries to remove: exactly one field must be given.
#[derive(Deserialize, ToSchema)]
#[schema(as = Invalidation)]
struct InvalidationBody {
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

enum Selection {
    Key(String),
    Prefix(String),
    Pattern(String),
    Region(String),
    Room(RoomId),
    Agent(AgentId),
}

#[derive(Serialize, ToSchema)]
struct Invalidated {
    invalidated: usize,
}

#[derive(Serialize, ToSchema)]
struct Cleared {
    cleared: usize,
}

#[derive(Serialize, ToSchema)]
struct Removed {
    removed: usize,
}

/// Returns the statistics of the cache, in all and by region.
#[utoipa::path(
    get, path = "/cache/stats", tag = "cache",
    responses((status = 200, body = wire::CacheStats), Refusals, AdminRefusals)
)]
async fn stats(Admin(access): Admin) -> ApiResult<Json<Counters>> {
    let mut total = Stats::default();
    let mut regions = BTreeMap::new();
    for region in access.app.cache.manager.stats() {
        let RegionStats {
            name,
            policy,
            stats,
            ..
        } = region;
        total.add(&stats);
        let mut region = counters(&stats);
        region.insert("ttl_seconds".into(), json!(policy.ttl.as_secs_f64()));
        region.insert("capacity".into(), json!(policy.capacity));
        regions.insert(name, region);
    }
    let mut answer = counters(&total);
    answer.insert("regions".into(), json!(regions));
    Ok(Json(answer))
}

/// Counters by name. They are sorted, whichever order the JSON library keeps.
type Counters = BTreeMap<String, Value>;

fn counters(stats: &Stats) -> Counters {
    let fields = json!({
        "hits": stats.hits,
        "misses": stats.misses,
        "total_requests": stats.total_requests(),
        "hit_rate": stats.hit_rate(),
        "size": stats.size,
        "invalidations": stats.invalidations,
        "loads": stats.loads,
        "refreshes": stats.refreshes,
        "joins": stats.joins,
        "past_loads": stats.past_loads,
        "too_heavy": stats.too_heavy,
        "bypasses": stats.bypasses,
        "load_failures": stats.load_failures,
        "refused_stores": stats.refused_stores,
        "stale_served": stats.stale_served,
        "evictions": { "capacity": stats.evicted_by_capacity, "expiry": stats.evicted_by_expiry },
        "open_windows": stats.open_windows,
        "unknown_windows": stats.unknown_windows,
        "open_creates": stats.open_creates,
        "unknown_creates": stats.unknown_creates,
        "weight": stats.weight,
    });
    match fields {
        Value::Object(fields) => fields.into_iter().collect(),
        _ => unreachable!("the literal above is an object"),
    }
}

/// Removes entries by key, prefix, glob pattern, region, room or agent.
#[utoipa::path(
    post, path = "/cache/invalidate", tag = "cache", request_body = InvalidationBody,
    responses(
        (status = 200, body = Invalidated),
        (status = 404, body = Refusal, description = "The region does not exist"),
        Refusals, AdminRefusals, BodyRefusals
    )
)]
async fn invalidate(
    Admin(access): Admin,
    Body(body, _permit): Body<InvalidationBody>,
) -> ApiResult<Json<Invalidated>> {
    let invalidated = body.selection()?.remove(&access.app.cache)?;
    Ok(Json(Invalidated { invalidated }))
}

impl RequestBody for InvalidationBody {}

impl InvalidationBody {
    fn selection(self) -> ApiResult<Selection> {
        let given = [
            self.key.map(Selection::Key),
            self.prefix.map(Selection::Prefix),
            self.pattern.map(Selection::Pattern),
            self.region.map(Selection::Region),
            self.room_id.map(|room| Selection::Room(RoomId(room))),
            self.agent_id.map(|agent| Selection::Agent(AgentId(agent))),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(selection), None) => Ok(selection),
            _ => Err(ApiError::unprocessable(
                "exactly one of `key`, `prefix`, `pattern`, `region`, `room_id` and `agent_id` \
                 must be given",
            )),
        }
    }
}

impl Selection {
    /// Removes the selected entries and returns their number.
    fn remove(self, cache: &Cache) -> ApiResult<usize> {
        let manager = &cache.manager;
        let no_region = |region: &str| ApiError::missing("region", region);
        Ok(match self {
            Self::Key(key) => {
                let (region, _) = key.split_once(':').unwrap_or((&key, ""));
                if !manager.regions().contains(&region) {
                    return Err(no_region(region));
                }
                manager.invalidate_key(&key)
            }
            Self::Prefix(prefix) => manager.invalidate_prefix(&prefix),
            Self::Pattern(pattern) => manager.invalidate_glob(&pattern),
            Self::Region(region) => manager
                .clear_region(&region)
                .ok_or_else(|| no_region(&region))?,
            Self::Room(room) => cache.invalidate_room(room),
            Self::Agent(agent) => cache.invalidate_agent(agent),
        })
    }
}

/// Removes all entries and all rendered texts. The response counts only the entries.
#[utoipa::path(
    post, path = "/cache/clear", tag = "cache",
    responses((status = 200, body = Cleared), Refusals, AdminRefusals)
)]
async fn clear(Admin(access): Admin) -> ApiResult<Json<Cleared>> {
    let cleared = access.app.cache.manager.clear();
    access.app.rendered.clear();
    Ok(Json(Cleared { cleared }))
}

/// Removes expired entries now instead of at the next cleanup.
#[utoipa::path(
    post, path = "/cache/cleanup", tag = "cache",
    responses((status = 200, body = Removed), Refusals, AdminRefusals)
)]
async fn cleanup(Admin(access): Admin) -> ApiResult<Json<Removed>> {
    let removed = access.app.cache.manager.cleanup().await;
    Ok(Json(Removed { removed }))
}
