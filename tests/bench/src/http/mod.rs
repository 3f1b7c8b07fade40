//! Requests over loopback. The program is compared with a bare axum handler and with axum alone.
//!
//! The bare handler returns the same bytes on the same route, behind the same middleware, including
//! authentication and rate limits. Axum alone has no middleware.

mod child;
mod load;
mod report;
mod sample;
pub mod server;
mod target;

use child::ServerProcess;
use load::{LOADS, Measurement, ROUNDS};

use crate::{
    error::BenchError,
    report::section::Section,
    run_mode::{RunMode, progress_bar},
};

/// Measures all requests in several server processes, one after the other. The memory layout of a
/// process affects its speed and does not change while it runs.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let processes = mode.choose(5, 2);
    let mut measurements: Vec<Measurement> = Vec::new();
    let progress = progress_bar("processes", processes);
    for _ in 0..processes {
        let mut server = ServerProcess::start()?;
        let targets = server.targets()?;
        measurements.resize_with(targets.len() * LOADS.len(), Measurement::default);
        let loads = targets
            .iter()
            .flat_map(|target| LOADS.map(|load| (target, load)));
        for ((target, load), measurement) in loads.zip(&mut measurements) {
            load::measure(server.id(), target, load, measurement);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(report::section(&measurements, processes * ROUNDS))
}
