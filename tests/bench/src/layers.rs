//! The time that each middleware layer adds to a request, measured in this process without sockets.
//! Each layer wraps the same bare handler. The time of tracing is measured on the program's own
//! poll.

use std::{sync::Arc, time::Instant};

use app::{Access, App, Caller, Layer, Open, Settings};
use axum::{Router, body::Body, http::Request, routing::get};
use cache_core::Runtime;
use domain::{NewRoom, RoomName, UserId};
use serde_json::json;
use tower::ServiceExt;
use tracing_subscriber::EnvFilter;

use crate::{
    error::BenchError,
    measure::{Estimate, float, micros},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar},
};

/// The number of requests of each variant in a round.
const REQUESTS: usize = 5_000;
/// The route that every variant serves.
const ROUTE: &str = "/rooms/{room}/messages/poll";
/// The expected difference of an added time between two builds, in microseconds. Each build places
/// the code at other addresses, which affects its speed.
const DRIFT: f64 = 0.1;

/// The index of the bare handler in the list that [`variants`] returns.
const BARE_HANDLER: usize = 0;
/// The index of the program's poll in the list that [`variants`] returns.
const PROGRAM_POLL: usize = 8;

/// A router that the benchmark measures.
struct Variant {
    name: &'static str,
    router: Router,
    log: Log,
    /// The index of the variant whose time is subtracted to get the added time; `None` if nothing
    /// is subtracted.
    baseline: Option<usize>,
}

/// The log output during a measurement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Off,
    /// The level is `info`. Events are formatted and discarded.
    Info,
}

/// Measures all variants in turn, round by round.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::SetUp)?;
    runtime.block_on(measure(mode))
}

async fn measure(mode: RunMode) -> Result<Section, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::SetUp)?;
    let settings = tests::server::settings(folder.path());
    let app = Arc::new(app::wire(&settings, Runtime::tokio()).await?);
    let token = app.auth.issue(&Caller::admin());
    let room = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").expect("the room's name is valid"),
        max_interactions: None,
    };
    let room = app.cache.repositories.rooms.create(room).await;
    let room = room.expect("the store accepts the room").id;
    let path = format!("/rooms/{room}/messages/poll?since_id=0");
    let variants = variants(&app, &settings);
    let rounds = mode.choose(61, 21);
    let mut times = vec![Vec::new(); variants.len()];
    let progress = progress_bar("rounds", rounds);
    for round in 0..=rounds {
        for (variant, times) in variants.iter().zip(&mut times) {
            let time = variant.micros_per_request(&path, &token).await;
            // The first round is a warm-up.
            if round > 0 {
                times.push(time);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(report(&variants, &times, rounds))
}

fn variants(app: &Arc<App>, settings: &Settings) -> Vec<Variant> {
    let bare = || Router::new().route(ROUTE, get(async || "[]"));
    let by_address = Router::new()
        .route(ROUTE, get(async |_: Open| "[]"))
        .with_state(app.clone());
    let by_caller = Router::new()
        .route(ROUTE, get(async |_: Access| "[]"))
        .with_state(app.clone());
    let [panics, counts, origins] = Layer::ALL.map(|layer| layer.around(bare(), app, settings));
    let all_layers = app::with_layers(bare(), app, settings);
    let poll = app::router(app.clone(), settings);
    let baseline = |name, router| Variant {
        name,
        router,
        log: Log::Off,
        baseline: None,
    };
    let layer = |name, router| Variant {
        baseline: Some(BARE_HANDLER),
        ..baseline(name, router)
    };
    vec![
        baseline("bare handler", bare()),
        layer("rate limit by address", by_address),
        layer("authentication and rate limit by caller", by_caller),
        layer("panic handler", panics),
        layer("metrics, headers and log of refusals", counts),
        layer("CORS", origins),
        layer("all layers", all_layers),
        baseline("empty poll of the program", poll.clone()),
        Variant {
            log: Log::Info,
            baseline: Some(PROGRAM_POLL),
            ..baseline("tracing of the empty poll at log level info", poll)
        },
    ]
}

impl Variant {
    /// Sends the requests of one round. Returns the mean time per request, in microseconds.
    async fn micros_per_request(&self, path: &str, token: &str) -> f64 {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("info"))
            .with_writer(std::io::sink)
            .finish();
        let _guard = (self.log == Log::Info).then(|| tracing::subscriber::set_default(subscriber));
        let start = Instant::now();
        for _ in 0..REQUESTS {
            let request = Request::get(path)
                .header("x-api-key", token)
                .body(Body::empty())
                .expect("path and token are valid in a request");
            let response = self
                .router
                .clone()
                .oneshot(request)
                .await
                .expect("a router cannot fail");
            assert!(response.status().is_success(), "{}", response.status());
        }
        micros(start.elapsed()) / float(REQUESTS)
    }
}

fn report(variants: &[Variant], times: &[Vec<f64>], rounds: usize) -> Section {
    let mut table = Table::new([
        &format!("in process, median of {rounds} rounds of {REQUESTS} requests"),
        "µs per request",
        "added, µs",
        "95 % interval, µs",
    ]);
    let mut section = Section::default();
    let mut raw = Vec::new();
    for (variant, rounds) in variants.iter().zip(times) {
        let median = format!("{:.2}", Estimate::from_rounds(rounds).median);
        raw.push(json!({ "variant": variant.name, "us": rounds }));
        let Some(baseline) = variant.baseline else {
            table.row([variant.name.into(), median, String::new(), String::new()]);
            continue;
        };
        let added: Vec<_> = rounds
            .iter()
            .zip(&times[baseline])
            .map(|(time, baseline)| time - baseline)
            .collect();
        let added = Estimate {
            drift: DRIFT,
            ..Estimate::from_rounds(&added)
        };
        table.row([
            variant.name.into(),
            median,
            format!("{:.2}", added.median),
            format!("{:.2} to {:.2}", added.low, added.high),
        ]);
        section.ratios.push(Ratio::plain(
            format!("time added by {} (µs)", variant.name),
            added,
            Goal::AtMost(3.0),
        ));
    }
    section.tables.push(table);
    section.raw = json!(raw);
    section
}
