//! Growth with the amount of data: the time of polls by the length of a room and by the number of
//! rooms, the bytes per entry, and the sweep of a million expired entries.

mod entries;
mod polls;
mod sweeps;

use crate::{
    error::BenchError,
    report::section::Section,
    run_mode::{RunMode, start_runtime},
};

/// Measures polls, entries and sweeps.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let mut section = Section::default();
    start_runtime().block_on(polls::measure(mode, &mut section));
    entries::measure(&mut section)?;
    sweeps::measure(mode, &mut section);
    Ok(section)
}
