//! Times, shares and intervals.

use std::{fs, time::Duration};

use domain::RoomId;
use serde::{Deserialize, Serialize};

/// A median, and the 95 % interval that its rounds give it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How far from it the median may lie in another run, in its own unit: nothing for what is counted.
    #[serde(default)]
    pub drift: f64,
}

/// The same binary on the same machine gave medians that were some percent apart from one run to the next, more than the
/// interval of either.
const DRIFT: f64 = 0.05;
/// So much the two times of a saving may lie elsewhere together, as a share of what is left.
const DRIFT_OF_REST: f64 = 0.3;

impl Estimate {
    /// The median of rounds, and its interval by their order.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in a short list"
    )]
    pub fn of(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let reach = 1.96 * count.sqrt() / 2.0;
        let place = |at: f64| sorted[(at.max(0.0) as usize).min(sorted.len() - 1)];
        let median = sorted[sorted.len() / 2];
        Self {
            median,
            low: place((count / 2.0 - reach).floor()),
            high: place((count / 2.0 + reach).ceil()),
            drift: DRIFT * median.abs(),
        }
    }

    /// A figure that is counted, the same in each run.
    pub fn exact(value: f64) -> Self {
        Self {
            median: value,
            low: value,
            high: value,
            drift: 0.0,
        }
    }
}

/// Events in so many operations.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// What was counted.
    pub events: usize,
    /// While so many were run.
    pub of: usize,
}

/// By how many percent an operation has fewer events `with` than `without`; once more or less by chance is no change.
pub fn saved(with: Rate, without: Rate) -> Estimate {
    let (with, without) = (
        number(with.events),
        number(without.events) * number(with.of) / number(without.of),
    );
    let chance = 2.0 * with.sqrt() + 1.0;
    Estimate {
        median: fewer(with, without),
        low: fewer(with + chance, without),
        high: fewer((with - chance).max(0.0), without),
        drift: 0.0,
    }
}

/// By how many percent the median of `with` is less than that of `without`.
pub fn shorter(with: &[f64], without: &[f64]) -> Estimate {
    let (with, without) = (Estimate::of(with), Estimate::of(without));
    let median = fewer(with.median, without.median);
    Estimate {
        median,
        low: fewer(with.high, without.low),
        high: fewer(with.low, without.high),
        drift: DRIFT_OF_REST * (100.0 - median),
    }
}

/// The ratio of two figures measured in turn, round by round.
pub fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

/// The value below which `percent` of the values lie.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list"
)]
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().saturating_sub(1)) as f64 * percent / 100.0;
    sorted
        .get(place.round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A count as a number to compute with.
#[expect(clippy::cast_precision_loss, reason = "counts of one run")]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// By how many percent `with` is less than `without`.
pub fn fewer(with: f64, without: f64) -> f64 {
    100.0 * (1.0 - with / without)
}

/// How long the threads of this process have run, those that have ended among them.
pub fn own_cpu() -> Duration {
    let ran = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        ran.tv_sec.unsigned_abs(),
        u32::try_from(ran.tv_nsec).expect("less than a second"),
    )
}

/// How long the living threads of a process have run.
pub fn cpu(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("Linux tells");
    let ran = |task: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(ran).sum())
}

/// Keys from 1 to `keys` by Zipf's law with exponent 0.99, the same in each run.
pub fn zipf(keys: usize, reads: usize) -> Vec<RoomId> {
    let mut sums = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += 1.0 / number(rank).powf(0.99);
        sums.push(sum);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are a float's")]
        let share = (state >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        RoomId(i64::try_from(sums.partition_point(|reached| *reached < share)).expect("few") + 1)
    };
    (0..reads).map(|_| draw()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_holds_it_and_narrows_with_more_rounds() {
        let rounds = |count: usize| {
            (0..count)
                .map(|at| number(at) / number(count))
                .collect::<Vec<_>>()
        };
        let [few, many] = [20, 2_000].map(|count| Estimate::of(&rounds(count)));
        for found in [few, many] {
            assert!(
                found.low < found.median && found.median < found.high,
                "{found:?}"
            );
        }
        assert!(many.high - many.low < few.high - few.low);
    }

    #[test]
    fn percentiles_are_by_rank() {
        let values: Vec<_> = (0..=100).rev().map(f64::from).collect();
        for percent in [0.0, 50.0, 99.0, 100.0] {
            assert!(
                (percentile(&values, percent) - percent).abs() < 0.5,
                "{percent}"
            );
        }
    }

    #[test]
    fn savings_are_by_operation_and_chance_is_no_saving() {
        let rate = |events, of| Rate { events, of };
        let found = saved(rate(2, 2_000), rate(100, 1_000));
        assert!((found.median - 99.0).abs() < 1e-9, "{found:?}");
        assert!(found.low < 98.0 && found.high > 99.5, "{found:?}");
        assert!(saved(rate(100, 1_000), rate(100, 1_000)).low < 0.0);
    }

    #[test]
    fn few_keys_get_most_reads() {
        let reads = zipf(1_000, 10_000);
        assert!(reads.iter().all(|key| (1..=1_000).contains(&key.0)));
        let first = reads.iter().filter(|key| key.0 <= 100).count();
        assert!(
            first > 6_000,
            "{first} of 10,000 reads are of a tenth of the keys"
        );
    }
}
