//! The endpoint of the tokens that answers used.

use axum::Json;
use chrono::{Days, Utc};
use domain::{Usage, UsageKey, UsageSum};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    error::{ApiError, ApiResult},
    openapi::{ListRefusals, Refusals},
    query::Query,
};
use crate::state::AppHandle;

/// The most sums of one kind in a response. Those with the most tokens come first.
const MOST_SUMS: usize = 100;
/// The most days of which a request can ask.
const MOST_DAYS: u64 = 366;

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new().routes(routes!(usage))
}

/// The query parameter, used only for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what `usage` reads")]
struct DaysQuery {
    /// The number of days, 7 by default; a value above 366 counts as 366
    #[param(minimum = 1)]
    days: Option<u64>,
}

/// The tokens that answers used since a day, by day, model, room, agent and owner. Each list has
/// at most 100 sums, those with the most tokens first.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
struct UsageReport {
    /// The first day, in UTC.
    since: String,
    days: Vec<TokenSum>,
    models: Vec<TokenSum>,
    rooms: Vec<TokenSum>,
    agents: Vec<TokenSum>,
    owners: Vec<TokenSum>,
}

/// The tokens of one day, model, room, agent or owner.
#[derive(Serialize, ToSchema)]
struct TokenSum {
    /// The day, the model's name, the id of the room or the agent, or the owner.
    value: String,
    /// The tokens of prompts, including cached ones.
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    /// The requests to model servers, including repeated ones.
    requests: u64,
}

impl From<UsageSum> for TokenSum {
    fn from(UsageSum { value, usage }: UsageSum) -> Self {
        let Usage {
            input,
            output,
            cached,
            requests,
        } = usage;
        Self {
            value,
            input_tokens: input,
            output_tokens: output,
            cached_tokens: cached,
            requests,
        }
    }
}

/// Returns the tokens that answers used: in all rooms for the administrator, and in the caller's
/// rooms for a guest.
#[utoipa::path(
    get, path = "/usage", tag = "usage", params(DaysQuery),
    responses((status = 200, body = UsageReport), Refusals, ListRefusals)
)]
async fn usage(access: Access, query: Query) -> ApiResult<Json<UsageReport>> {
    let [days] = query.params(["days"]);
    let days = days.number(1, MOST_DAYS)?.unwrap_or(7);
    let today = Utc::now().date_naive();
    let since = today.checked_sub_days(Days::new(days - 1));
    let since = since.ok_or_else(|| ApiError::unprocessable("`days` is too large"))?;
    let owner = (!access.is_admin()).then(|| access.user().clone());
    let log = &access.ports().usage;
    let sums = async |key| -> ApiResult<Vec<TokenSum>> {
        let sums = log.sums(key, since, owner.clone(), MOST_SUMS).await?;
        Ok(sums.into_iter().map(TokenSum::from).collect())
    };
    Ok(Json(UsageReport {
        since: since.to_string(),
        days: sums(UsageKey::Day).await?,
        models: sums(UsageKey::Model).await?,
        rooms: sums(UsageKey::Room).await?,
        agents: sums(UsageKey::Agent).await?,
        owners: sums(UsageKey::Owner).await?,
    }))
}
