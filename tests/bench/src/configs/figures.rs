//! The figures of this benchmark.

use super::process_start::StartTimes;
use crate::counter::Count;

/// The number of answers, each of which reads one persona.
pub(super) const ANSWERS: usize = 30_000;
/// Answers after which one agent is edited by hand.
pub(super) const EDITS: [usize; 3] = [7_500, 15_000, 22_500];

/// All figures of this benchmark.
pub(super) struct Figures {
    /// Microseconds per read, one figure for each round.
    pub(super) cached_micros: Vec<f64>,
    pub(super) bypassing_micros: Vec<f64>,
    pub(super) uncached_answers: Count,
    pub(super) cached_answers: Count,
    pub(super) cached_answers_seconds: f64,
    /// The size of an agent's files, in bytes.
    pub(super) persona_bytes: u64,
    pub(super) start: StartTimes,
}
