//! The endpoint of metrics in the text format of Prometheus: the statistics of the cache, and
//! figures of requests and of the process.

use std::{fmt, sync::atomic::Ordering};

use axum::{
    Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::IntoResponse,
    routing::get,
};
use cache_core::RegionStats;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, prometheus_text, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Admin, token},
    error::{ApiError, ApiResult},
    model_metrics::ModelMetrics,
    openapi::{AdminRefusals, Refusals},
    time_metrics::TimeMetrics,
};
use crate::{
    bounds::WaitKind,
    process,
    state::{App, AppHandle},
};

pub(super) fn routes() -> OpenApiRouter<AppHandle> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// A metric with one value for each region.
struct Metric {
    name: &'static str,
    help: &'static str,
    value: fn(&RegionStats) -> u64,
}

macro_rules! metric {
    ($name:literal, $help:literal, $field:ident) => {
        Metric {
            name: $name,
            help: $help,
            value: |region| region.stats.$field,
        }
    };
}

#[rustfmt::skip] // One row a line.
const COUNTERS: [Metric; 15] = [
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
    metric!("contended_closes",    "writes that stored nothing: they overlapped", contended_closes),
];

#[rustfmt::skip] // One row a line.
const GAUGES: [Metric; 9] = [
    metric!("entries",             "entries in memory",                      size),
    metric!("weight",              "weight in the unit of the capacity",     weight),
    metric!("open_windows",        "keys with a write in progress",          open_windows),
    metric!("unknown_windows",     "keys with a write of unknown outcome",   unknown_windows),
    metric!("open_creates",        "writes in progress that may create",     open_creates),
    metric!("unknown_creates",     "creates of unknown outcome",             unknown_creates),
    Metric {
        name: "loading", help: "loads in progress",
        value: |region| count(region.loading),
    },
    Metric {
        name: "capacity", help: "the most entries, or their greatest weight in all",
        value: |region| region.policy.capacity,
    },
    Metric {
        name: "region_enabled", help: "1 if the region is on",
        value: |region| u64::from(region.is_enabled),
    },
];

/// A metric of the whole program.
struct ProgramMetric {
    name: &'static str,
    help: &'static str,
    value: fn(&App) -> u64,
}

#[rustfmt::skip] // One row a line.
const PROGRAM: [ProgramMetric; 9] = [
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
        name: "connections_limit", help: "the most connections",
        value: |app| count(app.limits().connections),
    },
    ProgramMetric {
        name: "store_up", help: "1 if the store answers",
        value: |app| u64::from(app.operate.switches.is_store_healthy()),
    },
    ProgramMetric {
        name: "agent_config_errors", help: "agents' files that cannot be used",
        value: |app| count(app.config_problems.count().unwrap_or(0)),
    },
];

fn count(number: usize) -> u64 {
    number as u64
}

/// The values of all metrics at one moment.
struct Figures {
    app: AppHandle,
    regions: Vec<RegionStats>,
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
        for (name, help, label, counts) in [
            (
                "logins",
                "logins by their outcome",
                "outcome",
                &self.app.logins.by_outcome()[..],
            ),
            (
                "rate_limited",
                "requests refused because of too many by one token or address",
                "by",
                &self.app.auth.limited(),
            ),
            (
                "turns",
                "turns in which an agent was asked, by their outcome",
                "outcome",
                &self.app.conversations.turns(),
            ),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, counter)?;
            for (value, count) in counts {
                let label = [(label, *value)];
                ConstCounter::new(*count).encode(family.encode_family(&label)?)?;
            }
        }
        for ProgramMetric { name, help, value } in PROGRAM {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(signed(value(&self.app))).encode(gauge)?;
        }
        let help = "the version of the program";
        let mut build = encoder.encode_descriptor("build_info", help, None, MetricType::Gauge)?;
        let label = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_i64).encode(build.encode_family(&label)?)?;
        for Metric { name, help, value } in COUNTERS {
            let name = format!("cache_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
            for region in &self.regions {
                let label = [("region", region.name)];
                ConstCounter::new(value(region)).encode(family.encode_family(&label)?)?;
            }
        }
        for Metric { name, help, value } in GAUGES {
            let name = format!("cache_{name}");
            let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Gauge)?;
            for region in &self.regions {
                let label = [("region", region.name)];
                ConstGauge::new(signed(value(region))).encode(family.encode_family(&label)?)?;
            }
        }
        let (name, help) = ("cache_ttl_seconds", "time to live of the region's entries");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for region in &self.regions {
            let label = [("region", region.name)];
            let ttl = region.policy.ttl.as_secs_f64();
            ConstGauge::new(ttl).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

/// The metrics whose names are conventions of other projects: they have no prefix.
#[derive(Debug)]
struct Conventional(Figures);

impl Collector for Conventional {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) = ("process_cpu_seconds", "processor time of the process");
        let cpu = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(process::cpu_seconds()).encode(cpu)?;
        let started = self.0.app.operate.started_seconds();
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "resident memory",
                process::memory_bytes(),
            ),
            (
                "process_open_fds",
                "open file descriptors",
                process::open_descriptors(),
            ),
            (
                "process_max_fds",
                "limit on open file descriptors",
                process::most_descriptors(),
            ),
            (
                "process_start_time_seconds",
                "start in seconds since 1970",
                started,
            ),
        ] {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(signed(value)).encode(gauge)?;
        }
        Ok(())
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn registry(app: &AppHandle) -> Registry {
    let figures = || Figures {
        app: app.clone(),
        regions: app.cache.manager.stats(),
    };
    let models = ModelMetrics(app.conversations.figures());
    let mut registry = Registry::default();
    registry.register_collector(Box::new(models));
    registry.register_collector(Box::new(TimeMetrics(app.clone())));
    registry.register_collector(Box::new(Conventional(figures())));
    let program = registry.sub_registry_with_prefix("greenroom");
    program.register_collector(Box::new(figures()));
    registry
}

/// Returns the routes of an address for monitoring systems: the metrics and the health, without a
/// token.
pub(crate) fn open_routes(app: AppHandle) -> Router {
    Router::new()
        .route(
            "/metrics",
            get(async |State(app): State<_>, headers: HeaderMap| respond(&app, &headers)),
        )
        .route("/health", get(super::health::unguarded))
        .with_state(app)
}

/// The sender of a request for the metrics: the administrator, or a monitoring system with the
/// token from the settings.
struct Scraper(AppHandle);

impl FromRequestParts<AppHandle> for Scraper {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppHandle) -> Result<Self, ApiError> {
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
        (status = 200, body = String, content_type = "text/plain"),
        Refusals, AdminRefusals
    )
)]
async fn metrics(Scraper(app): Scraper, headers: HeaderMap) -> ApiResult {
    respond(&app, &headers)
}

/// Returns the metrics in the format of `OpenMetrics` if the client accepts it, else in the older
/// text format of Prometheus.
fn respond(app: &AppHandle, headers: &HeaderMap) -> ApiResult {
    let accepted = headers.get(header::ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    let is_open = accepted.is_some_and(|types| types.contains("application/openmetrics-text"));
    let (content_type, encode): (_, fn(&mut String, &Registry) -> fmt::Result) = if is_open {
        (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text::encode,
        )
    } else {
        ("text/plain; version=0.0.4", prometheus_text::encode)
    };
    let mut text = String::new();
    encode(&mut text, &registry(app)).map_err(ApiError::internal)?;
    let content_type = HeaderValue::from_static(content_type);
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
