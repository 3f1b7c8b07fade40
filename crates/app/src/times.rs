//! Histograms of times.

use std::time::Duration;

/// A histogram of times. It has one bucket more than it has bounds: the last one counts the times
/// above all bounds.
#[derive(Clone, Debug)]
pub(crate) struct Times<const BUCKETS: usize> {
    /// The number of times in each bucket, not cumulated.
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) seconds: f64,
}

impl<const BUCKETS: usize> Default for Times<BUCKETS> {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            seconds: 0.0,
        }
    }
}

impl<const BUCKETS: usize> Times<BUCKETS> {
    /// Counts a time in the first bucket whose bound is not below it.
    pub(crate) fn record(&mut self, bounds: &[f64], time: Duration) {
        let seconds = time.as_secs_f64();
        self.buckets[bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.seconds += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_at_a_bound_counts_below_it() {
        let mut times = Times::<4>::default();
        for millis in [100, 101, 300_000, 300_001] {
            times.record(&[0.1, 0.25, 300.0], Duration::from_millis(millis));
        }
        assert_eq!(times.buckets, [1, 1, 1, 1]);
        assert!((times.seconds - 600.202).abs() < 1e-9);
    }
}
