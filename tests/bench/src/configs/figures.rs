//! The measured figures of the benchmark `configs`.

use super::process_start::StartTimes;
use crate::counter::Count;

/// The number of answers. Each of them reads one persona.
pub(super) const ANSWERS: usize = 30_000;
/// The numbers of answers after which an agent's file is edited by hand.
pub(super) const EDITS: [usize; 3] = [7_500, 15_000, 22_500];

/// All measured figures of the benchmark `configs`.
pub(super) struct Figures {
    /// The microseconds per cached read, one figure for each round.
    pub(super) cached_micros: Vec<f64>,
    pub(super) bypassing_micros: Vec<f64>,
    pub(super) uncached_answers: Count,
    pub(super) cached_answers: Count,
    pub(super) cached_answers_seconds: f64,
    /// The size of an agent's files, in bytes.
    pub(super) persona_bytes: u64,
    pub(super) start: StartTimes,
}
