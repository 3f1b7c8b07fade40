//! What each thing adds that a request passes, in this process, without sockets: each around the same bare handler, and
//! the log around the program's own poll.

use std::{sync::Arc, time::Instant};

use app::{Access, Caller, Layer, Open};
use axum::{Router, body::Body, http::Request, routing::get};
use cache_core::Runtime;
use domain::{NewRoom, RoomName, UserId};
use serde_json::json;
use tower::ServiceExt;
use tracing_subscriber::EnvFilter;

use crate::{
    Run,
    measure::{Estimate, micros, number},
    report::{Goal, Part, Ratio, Table},
};

const REQUESTS: usize = 5_000;

/// A way to answer, and whether the program's log listens.
struct Variant {
    name: &'static str,
    router: Router,
    path: String,
    is_logged: bool,
    /// Whose time is taken off.
    without: Option<usize>,
}

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(measure(run))
}

async fn measure(run: Run) -> Result<Part, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let settings = tests::server::settings(folder.path());
    let app = Arc::new(
        app::wire(&settings, Runtime::tokio())
            .await
            .map_err(|error| error.to_string())?,
    );
    let token = app.auth.issue(&Caller::admin());
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").expect("a name"),
        max_interactions: None,
    };
    let room = app
        .cache
        .repositories
        .rooms
        .create(new)
        .await
        .expect("it is stored")
        .id;
    let path = format!("/rooms/{room}/messages/poll?since_id=0");
    let route = "/rooms/{room}/messages/poll";
    let bare = || Router::new().route(route, get(async || "[]"));
    let open = Router::new()
        .route(route, get(async |_: Open| "[]"))
        .with_state(app.clone());
    let access = Router::new()
        .route(route, get(async |_: Access| "[]"))
        .with_state(app.clone());
    let around = |layer: Layer| layer.around(bare(), &app, &settings);
    let ours = app::router(app.clone(), &settings);
    let [body, panics, counts, origins] = Layer::ALL.map(around);
    let all = app::with_layers(bare(), &app, &settings);
    let variant = |name, router: Router, is_logged, without| Variant {
        name,
        router,
        path: path.clone(),
        is_logged,
        without,
    };
    let variants = [
        variant("a bare handler", bare(), false, None),
        variant("limits by address", open, false, Some(0)),
        variant(
            "authentication, and limits by caller",
            access,
            false,
            Some(0),
        ),
        variant("the limit of bodies", body, false, Some(0)),
        variant("the catching of panics", panics, false, Some(0)),
        variant("metrics and the log of refusals", counts, false, Some(0)),
        variant("origins (CORS)", origins, false, Some(0)),
        variant("all four layers", all, false, Some(0)),
        variant("the program's empty poll", ours.clone(), false, None),
        variant(
            "tracing: that poll with the log at info",
            ours,
            true,
            Some(8),
        ),
    ];
    let rounds = run.rounds(61, 21);
    let mut times = vec![Vec::new(); variants.len()];
    let progress = run.progress("rounds", rounds);
    for round in 0..=rounds {
        for (variant, times) in variants.iter().zip(&mut times) {
            let time = variant.time(&token).await;
            // The first round warms up.
            if round > 0 {
                times.push(time);
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(report(&variants, &times, rounds))
}

impl Variant {
    /// Microseconds a request.
    async fn time(&self, token: &str) -> f64 {
        let filter = EnvFilter::new("info");
        let log = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::sink)
            .finish();
        let _logged = self
            .is_logged
            .then(|| tracing::subscriber::set_default(log));
        let began = Instant::now();
        for _ in 0..REQUESTS {
            let request = Request::get(&self.path)
                .header("x-api-key", token)
                .body(Body::empty())
                .expect("it is a request");
            let response = self
                .router
                .clone()
                .oneshot(request)
                .await
                .expect("it is answered");
            assert!(response.status().is_success(), "{}", response.status());
        }
        micros(began.elapsed()) / number(REQUESTS)
    }
}

fn report(variants: &[Variant], times: &[Vec<f64>], rounds: usize) -> Part {
    let mut table = Table::new([
        &format!("in process, median of {rounds} rounds of {REQUESTS}"),
        "µs a request",
        "adds, µs",
        "95 % of that",
    ]);
    let (mut part, mut raw) = (Part::default(), Vec::new());
    for (variant, of) in variants.iter().zip(times) {
        let time = format!("{:.2}", Estimate::of(of).median);
        raw.push(json!({ "what": variant.name, "us": of }));
        let Some(without) = variant.without else {
            table.row([variant.name.into(), time, String::new(), String::new()]);
            continue;
        };
        let added: Vec<_> = of
            .iter()
            .zip(&times[without])
            .map(|(with, without)| with - without)
            .collect();
        // A tenth of a microsecond lies elsewhere with each layout of the program.
        let found = Estimate {
            drift: 0.1,
            ..Estimate::of(&added)
        };
        table.row([
            variant.name.into(),
            time,
            format!("{:.2}", found.median),
            format!("{:.2} to {:.2}", found.low, found.high),
        ]);
        part.ratios.push(Ratio::new(
            format!("µs added by {}", variant.name),
            found,
            Goal::AtMost(3.0),
        ));
    }
    part.tables.push(table);
    part.raw = json!(raw);
    part
}
