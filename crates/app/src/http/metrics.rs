//! The endpoint of metrics in the text format of Prometheus: the statistics of the cache, and the
//! number of responses by class of status.

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

/// A metric with one value for each region.
struct Metric {
    name: &'static str,
    help: &'static str,
    value: fn(&Stats) -> u64,
}

macro_rules! metric {
    ($name:literal, $help:literal, $field:ident) => {
        Metric {
            name: $name,
            help: $help,
            value: |stats| stats.$field,
        }
    };
}

#[rustfmt::skip] // One row a line.
const COUNTERS: [Metric; 13] = [
    metric!("hits",                "reads answered from memory",             hits),
    metric!("misses",              "cached reads not answered from memory",  misses),
    metric!("invalidations",       "entries removed by writes or by hand",   invalidations),
    metric!("loads",               "loads from the store",                   loads),
    metric!("load_failures",       "loads that failed",                      load_failures),
    metric!("joins",               "misses that waited for another load",    joins),
    metric!("past_loads",          "loads of one key that bypassed",         past_loads),
    metric!("too_heavy",           "values too heavy to be stored",          too_heavy),
    metric!("bypasses",            "reads that asked to bypass the cache",   bypasses),
    metric!("refused_stores",      "loads not stored: a write overtook",     refused_stores),
    metric!("stale_served",        "expired values served: the load failed", stale_served),
    metric!("evicted_by_capacity", "entries evicted from a full region",     evicted_by_capacity),
    metric!("evicted_by_expiry",   "expired entries removed",                evicted_by_expiry),
];

#[rustfmt::skip] // One row a line.
const GAUGES: [Metric; 6] = [
    metric!("entries",             "entries in memory",                      size),
    metric!("weight",              "weight in the unit of the capacity",     weight),
    metric!("open_windows",        "keys with a write in progress",          open_windows),
    metric!("unknown_windows",     "keys with a write of unknown outcome",   unknown_windows),
    metric!("open_creates",        "writes in progress that may create",     open_creates),
    metric!("unknown_creates",     "creates of unknown outcome",             unknown_creates),
];

/// The values of all metrics at one moment.
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
        regions: stats.map(|region| (region.name, region.stats)).collect(),
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
