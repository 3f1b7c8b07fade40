//! The endpoint of metrics in Prometheus's text format: the figures of `/cache/stats`, and answers
//! by status.

use std::{fmt, sync::Arc};

use axum::{
    http::{HeaderValue, header},
    response::IntoResponse,
};
use cache_core::Stats;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Access,
    error::{ApiError, ApiResult},
    openapi::{AdminRefusals, Refusals},
};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// A metric that every region has.
struct Metric {
    name: &'static str,
    help: &'static str,
    value: fn(&Stats) -> u64,
}

const fn metric(name: &'static str, help: &'static str, value: fn(&Stats) -> u64) -> Metric {
    Metric { name, help, value }
}

#[rustfmt::skip] // One row a line.
const COUNTERS: [Metric; 12] = [
    metric("hits",                "reads answered from memory",                      |stats| stats.hits),
    metric("misses",              "cached reads not answered from memory",           |stats| stats.misses),
    metric("invalidations",       "entries removed by writes or by hand",            |stats| stats.invalidations),
    metric("loads",               "loads from the store",                            |stats| stats.loads),
    metric("load_failures",       "loads that failed",                               |stats| stats.load_failures),
    metric("joins",               "misses that waited for another reader's load",    |stats| stats.joins),
    metric("past_loads",          "loads that bypassed the cache: a write was open", |stats| stats.past_loads),
    metric("bypasses",            "reads that asked to bypass the cache",            |stats| stats.bypasses),
    metric("refused_stores",      "loads not stored because a write overtook them",  |stats| stats.refused_stores),
    metric("stale_served",        "expired values served because their load failed", |stats| stats.stale_served),
    metric("evicted_by_capacity", "entries evicted because the region was full",     |stats| stats.evicted_by_capacity),
    metric("evicted_by_expiry",   "expired entries removed",                         |stats| stats.evicted_by_expiry),
];

#[rustfmt::skip] // One row a line.
const GAUGES: [Metric; 4] = [
    metric("entries",             "entries in memory",                               |stats| stats.size),
    metric("weight",              "weight of the entries in the capacity's unit",    |stats| stats.weight),
    metric("open_windows",        "keys with a write in progress",                   |stats| stats.open_windows),
    metric("unknown_windows",     "keys with a write of unknown outcome",            |stats| stats.unknown_windows),
];

/// The figures of one moment.
struct Figures {
    answers: [(&'static str, u64); 5],
    regions: Vec<(&'static str, Stats)>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "answers by the class of their status";
        let counter = MetricType::Counter;
        let mut answers = encoder.encode_descriptor("answers", help, None, counter)?;
        for (class, count) in self.answers {
            let label = [("status", class)];
            ConstCounter::new(count).encode(answers.encode_family(&label)?)?;
        }
        for Metric { name, help, value } in COUNTERS {
            let name = format!("cache_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for (region, stats) in &self.regions {
                let label = [("region", *region)];
                ConstCounter::new(value(stats)).encode(family.encode_family(&label)?)?;
            }
        }
        for Metric { name, help, value } in GAUGES {
            let name = format!("cache_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for (region, stats) in &self.regions {
                let label = [("region", *region)];
                let value = i64::try_from(value(stats)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(&label)?)?;
            }
        }
        Ok(())
    }
}

fn text(app: &App) -> Result<String, fmt::Error> {
    let stats = app.cache.manager.stats().into_iter();
    let figures = Figures {
        answers: app.status_counts.by_class(),
        regions: stats.map(|(name, _, stats)| (name, stats)).collect(),
    };
    let mut registry = Registry::with_prefix("greenroom");
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Returns the metrics of the server.
#[utoipa::path(
    get, path = "/metrics", tag = "cache",
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text"),
        Refusals, AdminRefusals
    )
)]
async fn metrics(access: Access) -> ApiResult {
    access.require_admin()?;
    let content_type =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = text(&access.app).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
