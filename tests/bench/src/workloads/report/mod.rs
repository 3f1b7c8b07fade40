//! The report section of the benchmark `workloads`: tables and ratios of each workload, and one
//! plot.

mod answers;
mod bars;
mod mode_table;
mod personas;
mod polling;

use super::{cache_mode::ByMode, results::ModeResults};
use crate::report::section::Section;

/// Adds the results of one backend to the section.
pub(super) fn add(backend: &str, results: &ByMode<ModeResults>, section: &mut Section) {
    polling::add(backend, results, section);
    answers::add(backend, results, section);
    personas::add(backend, results, section);
    bars::add(backend, results, section);
}
