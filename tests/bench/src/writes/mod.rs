//! Writes: the time that the write guard adds, and the effect of a frequently written key on reads
//! of other keys.

mod guard;
mod neighbors;
mod new_room;

use crate::{
    error::BenchError,
    report::section::Section,
    run_mode::{RunMode, start_runtime},
};

/// Measures the time of the write guard, then the reads of other keys.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let runtime = start_runtime();
    let mut section = Section::default();
    runtime.block_on(guard::measure(mode, &mut section));
    runtime.block_on(neighbors::measure(mode, &mut section));
    Ok(section)
}
