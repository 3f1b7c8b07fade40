//! The time that is added to a request around its handler, measured in this process without
//! sockets. The handler is always the same bare one. The time of tracing is measured on the
//! program's own poll.

use std::{convert::Infallible, sync::Arc, time::Instant};

use app::{Access, App, AppHandle, Caller, Open, RequestService, Settings};
use axum::{Router, body::Body, extract::Request, http::header, response::Response, routing::get};
use cache_core::Runtime;
use domain::{NewRoom, RoomName, UserId};
use futures_util::future::BoxFuture;
use serde_json::json;
use tower::{Service, ServiceExt};
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
const PROGRAM_POLL: usize = 5;

/// Returns the response to a request.
type Respond = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// A service that the benchmark measures.
struct Variant {
    name: &'static str,
    respond: Respond,
    /// The origin that a browser of another site names in its requests.
    origin: Option<&'static str>,
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

/// Returns a function that calls a service, so that all services are called in the same way.
fn respond_by<S>(service: S) -> Respond
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    Arc::new(move |request| {
        let service = service.clone();
        Box::pin(async move {
            let Ok(response) = service.oneshot(request).await;
            response
        })
    })
}

fn variants(app: &Arc<App>, settings: &Settings) -> Vec<Variant> {
    let app = AppHandle::new(app.clone());
    let bare = || Router::new().route(ROUTE, get(async || "[]"));
    let by_address = Router::new()
        .route(ROUTE, get(async |_: Open| "[]"))
        .with_state(app.clone());
    let by_caller = Router::new()
        .route(ROUTE, get(async |_: Access| "[]"))
        .with_state(app.clone());
    let around = respond_by(RequestService::around(bare(), app.clone(), settings));
    let poll = respond_by(RequestService::new(app, settings));
    let baseline = |name, respond| Variant {
        name,
        respond,
        origin: None,
        log: Log::Off,
        baseline: None,
    };
    let added = |name, respond| Variant {
        baseline: Some(BARE_HANDLER),
        ..baseline(name, respond)
    };
    vec![
        baseline("bare handler", respond_by(bare())),
        added("rate limit by address", respond_by(by_address)),
        added(
            "authentication and rate limit by caller",
            respond_by(by_caller),
        ),
        added("the service around the routes", around.clone()),
        Variant {
            origin: Some("https://example.org"),
            ..added("the service, for a browser of another origin", around)
        },
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
            let mut request = axum::http::Request::get(path).header("x-api-key", token);
            if let Some(origin) = self.origin {
                request = request.header(header::ORIGIN, origin);
            }
            let request = request
                .body(Body::empty())
                .expect("path and token are valid in a request");
            let response = (self.respond)(request).await;
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
