//! The load: browsers that repeat a request. It is measured in rounds against the three servers.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::target::{BROWSERS, Browser, Target};
use crate::{
    connection::Connection,
    measure::{cpu_time, float, micros},
};

/// The number of requests that one server receives in a round.
pub(super) const REQUESTS: usize = 4_800;
/// The number of rounds per server process. Each order of the three servers occurs twice.
pub(super) const ROUNDS: usize = 12;
/// The number of client threads that send requests.
const CLIENTS: usize = 2;

/// The number of requests that a client sends before it waits for their responses.
///
/// With one request, the server is woken for each request, and waking it takes most of the measured
/// time. With several requests, the server always has work.
#[derive(Clone, Copy)]
pub(super) struct Load {
    name: &'static str,
    connections_per_client: usize,
}

/// The loads under which each target is measured.
pub(super) const LOADS: [Load; 2] = [
    Load {
        name: "one at a time",
        connections_per_client: 1,
    },
    Load {
        name: "sixteen at once",
        connections_per_client: BROWSERS / CLIENTS,
    },
];

/// The figures of one server.
#[derive(Default)]
pub(super) struct ServerFigures {
    /// The CPU time per request in microseconds, one figure for each round.
    pub(super) cpu_micros: Vec<f64>,
    /// Requests per second, one figure for each round.
    pub(super) requests_per_second: Vec<f64>,
    /// The duration of each request in microseconds, for all rounds together.
    pub(super) latencies: Vec<f64>,
}

/// The figures of one target under one load.
#[derive(Default)]
pub(super) struct Measurement {
    pub(super) name: String,
    /// `true` if more than one request is in progress for each client.
    pub(super) is_concurrent: bool,
    pub(super) response_bytes: usize,
    pub(super) greenroom: ServerFigures,
    pub(super) bare: ServerFigures,
    pub(super) axum: ServerFigures,
}

/// One of the three servers that are compared.
#[derive(Clone, Copy)]
enum Contestant {
    Greenroom,
    Bare,
    Axum,
}

const CONTESTANTS: [Contestant; 3] = [Contestant::Greenroom, Contestant::Bare, Contestant::Axum];

impl Contestant {
    fn address(self, target: &Target) -> SocketAddr {
        match self {
            Self::Greenroom => target.greenroom,
            Self::Bare => target.bare,
            Self::Axum => target.axum,
        }
    }

    fn figures(self, measurement: &mut Measurement) -> &mut ServerFigures {
        match self {
            Self::Greenroom => &mut measurement.greenroom,
            Self::Bare => &mut measurement.bare,
            Self::Axum => &mut measurement.axum,
        }
    }
}

/// Measures a target under a load, and adds the figures to those of earlier server processes.
pub(super) fn measure(process: u32, target: &Target, load: Load, measurement: &mut Measurement) {
    measurement.name = format!("{}, {}", target.name, load.name);
    measurement.is_concurrent = load.connections_per_client > 1;
    measurement.response_bytes = check_responses(target);
    let run_round = |contestant: Contestant, figures: &mut ServerFigures| {
        round(process, contestant.address(target), target, load, figures);
    };
    for contestant in CONTESTANTS {
        run_round(contestant, &mut ServerFigures::default());
    }
    for number in 0..ROUNDS {
        // All six orders occur, so that a slow phase of the machine affects all servers equally.
        let mut order = CONTESTANTS;
        order.rotate_left(number % 3);
        if number / 3 % 2 == 1 {
            order.reverse();
        }
        for contestant in order {
            run_round(contestant, contestant.figures(measurement));
        }
    }
}

/// Checks that the three servers return the same bytes to each browser. Returns the length of a
/// response body in bytes.
fn check_responses(target: &Target) -> usize {
    let mut length = 0;
    for Browser { path, token } in &target.browsers {
        let [greenroom, bare, axum] = CONTESTANTS.map(|contestant| {
            Connection::open(contestant.address(target), token)
                .get(path)
                .body
        });
        assert!(
            greenroom == bare && greenroom == axum,
            "all servers must return the same bytes for {path}"
        );
        length = greenroom.len();
    }
    length
}

/// Sends the requests of one round to one server, and adds the measurements to `figures`.
fn round(
    process: u32,
    address: SocketAddr,
    target: &Target,
    load: Load,
    figures: &mut ServerFigures,
) {
    let (cpu_before, start) = (cpu_time(process), Instant::now());
    let latencies: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let clients: Vec<_> = target
            .browsers
            .chunks(target.browsers.len() / CLIENTS)
            .map(|browsers| {
                scope.spawn(move || run_client(address, &browsers[..load.connections_per_client]))
            })
            .collect();
        clients
            .into_iter()
            .map(|thread| thread.join().expect("a client does not panic"))
            .collect()
    });
    let elapsed = start.elapsed();
    let cpu = cpu_time(process).saturating_sub(cpu_before);
    let requests = float(REQUESTS);
    figures.cpu_micros.push(micros(cpu) / requests);
    // At least a nanosecond, so that the divisor is not zero.
    let seconds = elapsed.max(Duration::from_nanos(1)).as_secs_f64();
    figures.requests_per_second.push(requests / seconds);
    figures.latencies.extend(latencies.into_iter().flatten());
}

/// Sends the requests of one client. Returns the duration of each request, in microseconds.
fn run_client(address: SocketAddr, browsers: &[Browser]) -> Vec<f64> {
    let mut connections: Vec<_> = browsers
        .iter()
        .map(|browser| (Connection::open(address, &browser.token), &browser.path))
        .collect();
    let mut latencies = Vec::with_capacity(REQUESTS / CLIENTS);
    while latencies.len() < REQUESTS / CLIENTS {
        let start = Instant::now();
        for (connection, path) in &mut connections {
            connection.send(path);
        }
        for (connection, _) in &mut connections {
            connection.receive();
            latencies.push(micros(start.elapsed()));
        }
    }
    latencies
}
