//! Estimates with intervals, savings, CPU times, and random keys.

use std::{fs, time::Duration};

use domain::RoomId;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A median with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Estimate {
    /// The median of the rounds.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The expected difference of the median between two runs, in the unit of the median. Zero for
    /// counts.
    #[serde(default)]
    pub drift: f64,
}

/// The expected difference of a median between two runs, relative to the median. Two runs of one
/// binary on one machine differed by some percent, more than the interval of either run.
const DRIFT: f64 = 0.05;
/// The expected difference between two runs in the percentage of time that the cache saves,
/// relative to the percentage that it does not save. If 90 % are saved, the next run may save 3
/// percentage points more or fewer. The factor is large, because the cached and the uncached time
/// both vary, and the time that remains is short.
const DRIFT_OF_REST: f64 = 0.3;

impl Estimate {
    /// Returns the median of the values in `rounds`, with its 95 % confidence interval. Both are
    /// taken from the sorted values.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the values are positions in a short list"
    )]
    pub fn from_rounds(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len() as f64;
        // The rank of the true median is binomial with n = count and p = 1/2, so its standard
        // deviation is sqrt(count) / 2.
        let reach = 1.96 * count.sqrt() / 2.0;
        let value_at = |rank: f64| sorted[(rank.max(0.0) as usize).min(sorted.len() - 1)];
        let median = sorted[sorted.len() / 2];
        Self {
            median,
            low: value_at((count / 2.0 - reach).floor()),
            high: value_at((count / 2.0 + reach).ceil()),
            drift: DRIFT * median.abs(),
        }
    }

    /// Returns the estimate of a value that is the same in each run.
    pub fn exact(value: f64) -> Self {
        Self {
            median: value,
            low: value,
            high: value,
            drift: 0.0,
        }
    }
}

/// A number of events, and the number of operations during which they occurred.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// The number of counted events.
    pub events: usize,
    /// The number of operations that ran while the events were counted.
    pub operations: usize,
}

/// Returns the percentage of events per operation that the cached run saves. The interval allows
/// for two standard deviations of the cached count and one more event.
pub fn saved_events(cached: Rate, uncached: Rate) -> Estimate {
    let expected = float(uncached.events) * float(cached.operations) / float(uncached.operations);
    let cached = float(cached.events);
    // The standard deviation of a count is about its square root. One more event keeps the interval
    // open if the count is zero.
    let chance = 2.0 * cached.sqrt() + 1.0;
    Estimate {
        median: saved_percent(cached, expected),
        low: saved_percent(cached + chance, expected),
        high: saved_percent((cached - chance).max(0.0), expected),
        drift: 0.0,
    }
}

/// Returns the percentage of the median time that the cached run saves.
pub fn saved_time(cached: &[f64], uncached: &[f64]) -> Estimate {
    let cached = Estimate::from_rounds(cached);
    let uncached = Estimate::from_rounds(uncached);
    let median = saved_percent(cached.median, uncached.median);
    Estimate {
        median,
        low: saved_percent(cached.high, uncached.low),
        high: saved_percent(cached.low, uncached.high),
        drift: DRIFT_OF_REST * (100.0 - median),
    }
}

fn saved_percent(cached: f64, uncached: f64) -> f64 {
    100.0 * (1.0 - cached / uncached)
}

/// Returns the ratios of two series, round by round. Both figures of a round were measured one
/// after the other, so a slow phase of the machine affects both.
pub fn ratios(numerators: &[f64], denominators: &[f64]) -> Vec<f64> {
    numerators
        .iter()
        .zip(denominators)
        .map(|(numerator, denominator)| numerator / denominator)
        .collect()
}

/// Returns the value below which `percent` of the values lie; NaN for an empty list.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is a position in a list"
)]
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len().saturating_sub(1)) as f64 * percent / 100.0;
    sorted
        .get(rank.round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Converts a duration to microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Converts a count to a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float represents the counts of one run exactly"
)]
pub fn float(count: usize) -> f64 {
    count as f64
}

/// Returns the CPU time of this process, including its ended threads.
pub fn own_cpu_time() -> Duration {
    time_of(ClockId::ProcessCPUTime)
}

/// Returns the CPU time of this thread.
pub fn thread_cpu_time() -> Duration {
    time_of(ClockId::ThreadCPUTime)
}

fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).expect("the nanoseconds are less than a second"),
    )
}

/// Returns the CPU time of all running threads of a process. Ended threads are not included.
pub fn cpu_time(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))
        .expect("Linux lists the threads of a running process");
    let thread_nanos = |task: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(thread_nanos).sum())
}

/// Returns `reads` random keys from 1 to `keys`, distributed by Zipf's law with exponent 0.99. The
/// keys are the same in each run.
pub fn zipf(keys: usize, reads: usize) -> Vec<RoomId> {
    let mut sums = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += 1.0 / float(rank).powf(0.99);
        sums.push(sum);
    }
    let mut bits = random_bits();
    let mut draw = || {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a float represents 53 bits exactly"
        )]
        let share = (bits() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        let rank = sums.partition_point(|reached| *reached < share);
        RoomId(i64::try_from(rank).expect("the number of keys is small") + 1)
    };
    (0..reads).map(|_| draw()).collect()
}

/// Returns `reads` random keys from 1 to `keys`, of which each is as likely. The keys are the same
/// in each run.
pub fn uniform(keys: usize, reads: usize) -> Vec<RoomId> {
    let mut bits = random_bits();
    let mut draw = || i64::try_from(bits() % keys as u64).expect("the number of keys is small");
    (0..reads).map(|_| RoomId(draw() + 1)).collect()
}

/// Returns a xorshift generator with a fixed seed.
fn random_bits() -> impl FnMut() -> u64 {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_contains_it_and_narrows_with_more_rounds() {
        let rounds = |length: usize| {
            (0..length)
                .map(|round| float(round) / float(length))
                .collect::<Vec<_>>()
        };
        let [few, many] = [20, 2_000].map(|length| Estimate::from_rounds(&rounds(length)));
        for estimate in [few, many] {
            assert!(
                estimate.low < estimate.median && estimate.median < estimate.high,
                "{estimate:?}"
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
        let rate = |events, operations| Rate { events, operations };
        let saving = saved_events(rate(2, 2_000), rate(100, 1_000));
        assert!((saving.median - 99.0).abs() < 1e-9, "{saving:?}");
        assert!(saving.low < 98.0 && saving.high > 99.5, "{saving:?}");
        assert!(saved_events(rate(100, 1_000), rate(100, 1_000)).low < 0.0);
    }

    #[test]
    fn few_keys_get_most_reads() {
        let reads = zipf(1_000, 10_000);
        assert!(reads.iter().all(|key| (1..=1_000).contains(&key.0)));
        let frequent = reads.iter().filter(|key| key.0 <= 100).count();
        assert!(
            frequent > 6_000,
            "a tenth of the keys must get more than 6,000 of 10,000 reads, got {frequent}"
        );
    }
}
