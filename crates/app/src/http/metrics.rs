//! The endpoint of metrics in the text format of Prometheus: the statistics of the cache, and
//! figures of requests and of the process.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::IntoResponse,
};
use cache_core::Stats;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Admin, token},
    error::{ApiError, ApiResult},
    model_metrics::ModelMetrics,
    openapi::{AdminRefusals, Refusals},
};
use crate::{bounds::WaitKind, http_latencies::BOUNDS, process, state::App};

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
const COUNTERS: [Metric; 14] = [
    metric!("hits",                "reads answered from memory",             hits),
    metric!("misses",              "cached reads not answered from memory",  misses),
    metric!("invalidations",       "entries removed by writes or by hand",   invalidations),
    metric!("loads",               "loads from the store",                   loads),
    metric!("load_failures",       "loads that failed",                      load_failures),
    metric!("refreshes",           "values refreshed before they expired",  refreshes),
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

/// A metric of the whole program.
struct ProgramMetric {
    name: &'static str,
    help: &'static str,
    value: fn(&App) -> u64,
}

#[rustfmt::skip] // One row a line.
const PROGRAM: [ProgramMetric; 8] = [
    ProgramMetric {
        name: "connections", help: "open connections",
        // Relaxed: the number may miss a connection that is being counted.
        value: |app| count(app.connections.load(Ordering::Relaxed)),
    },
    ProgramMetric {
        name: "event_streams", help: "open event streams",
        value: |app| count(app.bounds.waits.count(WaitKind::Stream)),
    },
    ProgramMetric {
        name: "waiting_polls", help: "polls that wait for a message",
        value: |app| count(app.bounds.waits.count(WaitKind::Poll)),
    },
    ProgramMetric {
        name: "running_conversations", help: "rooms whose agents are answering",
        value: |app| count(app.conversations.running()),
    },
    ProgramMetric {
        name: "answers_composing", help: "answers that are being composed",
        value: |app| count(app.conversations.composing()),
    },
    ProgramMetric {
        name: "answers_waiting", help: "answers that wait for a place",
        value: |app| count(app.conversations.waiting()),
    },
    ProgramMetric {
        name: "memory_bytes", help: "resident memory of the process; 0 if it is not known",
        value: |_| process::memory_bytes(),
    },
    ProgramMetric {
        name: "open_descriptors", help: "open file descriptors; 0 if their number is not known",
        value: |_| process::open_descriptors(),
    },
];

fn count(number: usize) -> u64 {
    number as u64
}

/// The values of all metrics at one moment.
struct Figures {
    app: Arc<App>,
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
        for (class, count) in self.app.status_counts.by_class() {
            let label = [("status", class)];
            ConstCounter::new(count).encode(answers.encode_family(&label)?)?;
        }
        let help = "responses by their status code";
        let mut responses = encoder.encode_descriptor("responses", help, None, counter)?;
        for (code, count) in self.app.status_counts.by_code() {
            let label = [("code", code.to_string())];
            ConstCounter::new(count).encode(responses.encode_family(&label)?)?;
        }
        self.encode_latencies(&mut encoder)?;
        for ProgramMetric { name, help, value } in PROGRAM {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            let value = i64::try_from(value(&self.app)).unwrap_or(i64::MAX);
            ConstGauge::new(value).encode(gauge)?;
        }
        let help = "the version of the program";
        let mut build = encoder.encode_descriptor("build", help, None, MetricType::Gauge)?;
        let label = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(build.encode_family(&label)?)?;
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

impl Figures {
    fn encode_latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = (
            "request_seconds",
            "time from a request's head to its response's head",
        );
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for latency in self.app.latencies.figures() {
            let bounds = BOUNDS.into_iter().chain([f64::MAX]);
            let buckets: Vec<_> = bounds.zip(latency.buckets).collect();
            let requests = latency.buckets.iter().sum();
            let label = [("route", latency.route)];
            let mut histogram = family.encode_family(&label)?;
            histogram.encode_histogram::<NoLabelSet>(latency.seconds, requests, &buckets, None)?;
        }
        Ok(())
    }
}

fn text(app: &Arc<App>) -> Result<String, fmt::Error> {
    let stats = app.cache.manager.stats().into_iter();
    let figures = Figures {
        app: app.clone(),
        regions: stats.map(|region| (region.name, region.stats)).collect(),
    };
    let models = ModelMetrics(app.conversations.figures());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(models));
    let program = registry.sub_registry_with_prefix("greenroom");
    program.register_collector(Box::new(figures));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The sender of a request for the metrics: the administrator, or a monitoring system with the
/// token from the settings.
struct Scraper(Arc<App>);

impl FromRequestParts<Arc<App>> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let is_monitor =
            token(&parts.headers).is_some_and(|token| app.auth.is_metrics_token(token));
        if !is_monitor {
            Admin::from_request_parts(parts, app).await?;
        }
        Ok(Self(app.clone()))
    }
}

/// Returns the metrics of the server, to the administrator and to a monitoring system with the
/// metrics token.
#[utoipa::path(
    get, path = "/metrics", tag = "cache",
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text"),
        Refusals, AdminRefusals
    )
)]
async fn metrics(Scraper(app): Scraper) -> ApiResult {
    let content_type =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = text(&app).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
