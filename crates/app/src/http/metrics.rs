//! The same figures as `/cache/stats`, and answers by status, in Prometheus's text format.

use std::fmt;

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

use super::{
    error::{Answer, ApiError},
    extract::Access,
    openapi::{AdminRefusals, Refusals},
};
use crate::state::App;

/// One figure of a region: its name, what it is, and how to read it.
type Figure = (&'static str, &'static str, fn(&Stats) -> u64);

#[rustfmt::skip] // One row a line.
const COUNTERS: [Figure; 12] = [
    ("hits",                 "reads answered from memory",                           |stats| stats.hits),
    ("misses",               "cached reads that were not",                           |stats| stats.misses),
    ("invalidations",        "entries removed by writes or by hand",                 |stats| stats.invalidations),
    ("loads",                "loads of the store",                                   |stats| stats.loads),
    ("load_failures",        "loads that failed",                                    |stats| stats.load_failures),
    ("joins",                "misses that waited for another's load",                |stats| stats.joins),
    ("past_loads",           "loads past the cache because a write was open",        |stats| stats.past_loads),
    ("bypasses",             "reads past the cache by wish",                         |stats| stats.bypasses),
    ("refused_stores",       "loads that a write overtook",                          |stats| stats.refused_stores),
    ("stale_served",         "expired values served because their load failed",      |stats| stats.stale_served),
    ("evicted_by_capacity",  "entries pushed out by others",                         |stats| stats.evicted_by_capacity),
    ("evicted_by_expiry",    "expired entries removed",                              |stats| stats.evicted_by_expiry),
];

#[rustfmt::skip] // One row a line.
const GAUGES: [Figure; 4] = [
    ("entries",              "entries in memory",                                    |stats| stats.size),
    ("weight",               "what they weigh, in the unit of the capacity",         |stats| stats.weight),
    ("open_windows",         "keys with an open write",                              |stats| stats.open_windows),
    ("unknown_windows",      "keys with a write of unknown outcome",                 |stats| stats.unknown_windows),
];

/// What is counted, read when it is asked for.
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
        let mut answers = encoder.encode_descriptor(
            "answers",
            "answers by the class of their status",
            None,
            MetricType::Counter,
        )?;
        for (class, count) in self.answers {
            ConstCounter::new(count).encode(answers.encode_family(&[("status", class)])?)?;
        }
        for (name, help, read) in COUNTERS {
            let name = format!("cache_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for (region, stats) in &self.regions {
                ConstCounter::new(read(stats))
                    .encode(family.encode_family(&[("region", *region)])?)?;
            }
        }
        for (name, help, read) in GAUGES {
            let name = format!("cache_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for (region, stats) in &self.regions {
                let value = i64::try_from(read(stats)).unwrap_or(i64::MAX);
                ConstGauge::new(value).encode(family.encode_family(&[("region", *region)])?)?;
            }
        }
        Ok(())
    }
}

fn text(app: &App) -> Result<String, fmt::Error> {
    let regions = app
        .cache
        .manager
        .stats()
        .into_iter()
        .map(|(name, _, stats)| (name, stats))
        .collect();
    let mut registry = Registry::with_prefix("greenroom");
    registry.register_collector(Box::new(Figures {
        answers: app.status_counts.by_class(),
        regions,
    }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[utoipa::path(get, path = "/metrics", tag = "cache",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"), Refusals, AdminRefusals))]
pub(crate) async fn metrics(access: Access) -> Answer {
    access.admin()?;
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok((
        [(header::CONTENT_TYPE, kind)],
        text(&access.app).map_err(ApiError::internal)?,
    )
        .into_response())
}
