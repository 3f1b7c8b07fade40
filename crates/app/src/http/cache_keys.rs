//! The endpoint of the keys that a region has in memory, for the administrator.

use axum::Json;
use cache_core::EntryInfo;
use serde::Serialize;
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Admin,
    error::{ApiError, ApiResult},
    openapi::{AdminRefusals, ListRefusals, Refusal, Refusals},
    query::Query,
};
use crate::state::AppHandle;

/// The most keys in a response.
const MOST_KEYS: usize = 200;

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new().routes(routes!(keys))
}

/// The query parameters, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `keys` reads")]
struct KeysQuery {
    /// The name of the region
    region: String,
    /// A text that the printed keys contain; empty for all keys
    contains: Option<String>,
    /// The maximum number of keys, 200 by default; a value above 200 counts as 200
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// Keys of a region, sorted.
#[derive(Serialize, ToSchema)]
struct CacheKeys {
    /// The number of keys that contain the text, of which only some may be listed.
    count: usize,
    keys: Vec<CacheKey>,
}

/// A key that is in memory.
#[derive(Serialize, ToSchema)]
struct CacheKey {
    key: String,
    /// `true` if the entry says that the store has no value for the key.
    is_absence: bool,
    /// The time since the value was read from the store.
    age_seconds: f64,
    /// The time until the entry expires; 0 if it has expired.
    seconds_left: f64,
    /// The weight in the unit of the region's capacity.
    weight: u32,
}

impl From<EntryInfo> for CacheKey {
    fn from(entry: EntryInfo) -> Self {
        Self {
            age_seconds: entry.age.as_secs_f64(),
            seconds_left: entry.time_left.as_secs_f64(),
            is_absence: entry.is_absence,
            weight: entry.weight,
            key: entry.key,
        }
    }
}

/// Returns keys that a region has in memory, with their age, but never their values.
#[utoipa::path(
    get, path = "/cache/keys", tag = "cache", params(KeysQuery),
    responses(
        (status = 200, body = CacheKeys),
        (status = 404, body = Refusal, description = "The region does not exist"),
        Refusals, AdminRefusals, ListRefusals
    )
)]
async fn keys(Admin(access): Admin, query: Query) -> ApiResult<Json<CacheKeys>> {
    let [region, contains, limit] = query.params(["region", "contains", "limit"]);
    let limit = limit.number(1, MOST_KEYS)?.unwrap_or(MOST_KEYS);
    let region = region.value.unwrap_or_default().into_owned();
    let contains = contains.value.unwrap_or_default().into_owned();
    let missing = ApiError::missing("region", &region);
    let manager = access.app.cache.manager.clone();
    // Apart from other requests, because it visits every entry of the region.
    let listing = spawn_blocking(move || manager.entries(&region, &contains, limit));
    let entries = listing.await.map_err(ApiError::internal)?.ok_or(missing)?;
    Ok(Json(CacheKeys {
        count: entries.count,
        keys: entries.first.into_iter().map(CacheKey::from).collect(),
    }))
}
