//! The figures of the whole server at one moment, and the job that computes them each second.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use cache_core::RegionStats;
use domain::RoomId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    bounds::WaitKind,
    conversation::{ANSWER_BOUNDS, Drafts, ModelCounts},
    http_latencies::BOUNDS,
    operate::{ByHand, HISTORY_STEP, HistoryFigures, now},
    process,
    state::App,
};

/// The interval of the figures.
const INTERVAL: Duration = Duration::from_secs(1);
/// The most rooms that are listed with their composing agents.
const MOST_ROOMS: usize = 200;

/// The figures of now, with the history of the last hour.
#[derive(Serialize, ToSchema)]
pub(crate) struct Overview {
    #[serde(flatten)]
    figures: Figures,
    history: HistoryFigures,
}

/// The figures of the server at one moment. Counters count since the start.
#[derive(Serialize, ToSchema)]
pub(crate) struct Figures {
    version: &'static str,
    started_at: String,
    at: String,
    store_is_healthy: bool,
    /// The number of agents' files that cannot be used; null while it is not known.
    file_problems: Option<usize>,
    http: HttpFigures,
    regions: Vec<RegionFigures>,
    conversations: ConversationFigures,
    models: Vec<ModelFigures>,
    process: ProcessFigures,
}

#[derive(Serialize, ToSchema)]
struct HttpFigures {
    /// Responses by the class of their status, such as `2xx`.
    responses: BTreeMap<&'static str, u64>,
    /// Requests by their time, without those that wait for a message.
    times: Histogram,
    connections: usize,
    most_connections: usize,
    event_streams: usize,
    waiting_polls: usize,
}

/// Counts by upper bound. There is one count more than bounds: the last one is above all of them.
#[derive(Serialize, ToSchema)]
struct Histogram {
    /// In seconds.
    bounds: Vec<f64>,
    counts: Vec<u64>,
}

#[derive(Serialize, ToSchema)]
struct RegionFigures {
    name: &'static str,
    /// A description of the cached values.
    data: &'static str,
    is_enabled: bool,
    /// When and by whom the region was switched off by hand; null if it was not.
    #[schema(required)]
    off_by_hand: Option<ByHand>,
    ttl_seconds: f64,
    /// The most entries, or their greatest weight in all.
    capacity: u64,
    /// The unit of the capacity and the weight: `entries` or `bytes`.
    unit: &'static str,
    /// The number of loads in progress.
    loading: usize,
    /// The age of the oldest load in progress; null if there is none.
    #[schema(required)]
    oldest_load_seconds: Option<f64>,
    /// The statistics by name, as in `/cache/stats`.
    stats: BTreeMap<&'static str, u64>,
}

#[derive(Serialize, ToSchema)]
struct ConversationFigures {
    /// The number of rooms whose agents are answering.
    running: usize,
    composing: usize,
    waiting: usize,
    /// At most 200 of the rooms in which agents compose.
    rooms: Vec<RoomFigures>,
}

#[derive(Serialize, ToSchema)]
struct RoomFigures {
    room_id: i64,
    agents: Vec<ComposingFigures>,
}

#[derive(Serialize, ToSchema)]
struct ComposingFigures {
    id: i64,
    name: String,
    /// The length of the text so far, with thoughts, in bytes.
    bytes: usize,
    /// `true` while the agent waits for its place.
    is_waiting: bool,
}

#[derive(Serialize, ToSchema)]
struct ModelFigures {
    model: String,
    asks: u64,
    failures: u64,
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    /// The price of the tokens by currency. Empty if the settings have no price for the model.
    cost: BTreeMap<String, f64>,
    first_token: Histogram,
    duration: Histogram,
}

#[derive(Serialize, ToSchema)]
struct ProcessFigures {
    /// Resident memory; 0 if it is not known.
    memory_bytes: u64,
    /// Open file descriptors; 0 if their number is not known.
    open_descriptors: u64,
}

/// Returns the figures of now, with the history of the last hour.
pub(crate) fn overview(app: &App) -> Overview {
    Overview {
        figures: Figures::of(app),
        history: app.operate.history_figures(),
    }
}

/// Computes the figures each second while somebody listens, and extends the history.
pub(crate) async fn sample(app: Arc<App>) {
    for second in 0_u64.. {
        if second % HISTORY_STEP.as_secs() == 0 {
            app.operate.extend_history();
        }
        app.operate.send(|| {
            let figures = serde_json::to_vec(&Figures::of(&app));
            figures.expect("figures are JSON").into()
        });
        app.cache.manager.clock().sleep(INTERVAL).await;
    }
}

impl Figures {
    fn of(app: &App) -> Self {
        let stats = app.cache.manager.stats();
        let models = app.conversations.figures().into_iter();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: app.operate.started_at(),
            at: now(),
            store_is_healthy: app.operate.switches.is_store_healthy(),
            file_problems: app.config_problems.count(),
            http: HttpFigures::of(app),
            regions: stats
                .into_iter()
                .map(|region| RegionFigures::of(app, region))
                .collect(),
            conversations: ConversationFigures::of(app),
            models: models
                .map(|(model, counts)| ModelFigures::of(model, counts))
                .collect(),
            process: ProcessFigures {
                memory_bytes: process::memory_bytes(),
                open_descriptors: process::open_descriptors(),
            },
        }
    }
}

impl HttpFigures {
    fn of(app: &App) -> Self {
        let mut counts = vec![0; BOUNDS.len() + 1];
        for latency in app.latencies.figures() {
            for (sum, count) in counts.iter_mut().zip(latency.buckets) {
                *sum += count;
            }
        }
        Self {
            responses: app.status_counts.by_class().into(),
            times: Histogram {
                bounds: BOUNDS.into(),
                counts,
            },
            // Relaxed: the number may miss a connection that is being counted.
            connections: app.connections.load(Ordering::Relaxed),
            most_connections: app.limits().connections,
            event_streams: app.bounds.waits.count(WaitKind::Stream),
            waiting_polls: app.bounds.waits.count(WaitKind::Poll),
        }
    }
}

impl RegionFigures {
    fn of(app: &App, region: RegionStats) -> Self {
        let row = cache_adapter::rows().iter();
        let row = row.into_iter().find(|row| row.region == region.name);
        Self {
            name: region.name,
            data: row.map_or("", |row| row.data),
            unit: row.map_or("entries", |row| row.unit),
            is_enabled: region.is_enabled,
            off_by_hand: app.operate.switches.by_hand(region.name),
            ttl_seconds: region.policy.ttl.as_secs_f64(),
            capacity: region.policy.capacity,
            loading: region.loading,
            oldest_load_seconds: region.oldest_load.map(|age| age.as_secs_f64()),
            stats: region.stats.named().collect(),
        }
    }
}

impl ConversationFigures {
    fn of(app: &App) -> Self {
        let conversations = &app.conversations;
        Self {
            running: conversations.running(),
            composing: conversations.composing(),
            waiting: conversations.waiting(),
            rooms: conversations.drafts().rooms(MOST_ROOMS, RoomFigures::of),
        }
    }
}

impl RoomFigures {
    fn of(room: RoomId, drafts: &Drafts) -> Self {
        let agents = drafts.iter().map(|(agent, draft)| ComposingFigures {
            id: agent.0,
            name: draft.name.clone(),
            bytes: draft.thinking.len() + draft.text.len(),
            is_waiting: draft.is_waiting,
        });
        Self {
            room_id: room.0,
            agents: agents.collect(),
        }
    }
}

impl ModelFigures {
    fn of(model: String, counts: ModelCounts) -> Self {
        let histogram = |buckets: [u64; ANSWER_BOUNDS.len() + 1]| Histogram {
            bounds: ANSWER_BOUNDS.into(),
            counts: buckets.into(),
        };
        Self {
            model,
            asks: counts.asks,
            failures: counts.failures.iter().sum(),
            input_tokens: counts.usage.input,
            output_tokens: counts.usage.output,
            cached_tokens: counts.usage.cached,
            cost: counts.cost,
            first_token: histogram(counts.first_token.buckets),
            duration: histogram(counts.duration.buckets),
        }
    }
}
