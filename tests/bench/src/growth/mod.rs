//! Growth: polls by the length of a room and the number of rooms, bytes per entry, and sweeps of a
//! million expired entries.

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
