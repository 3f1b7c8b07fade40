//! Histograms of the time that requests take, by route.

use std::{
    array,
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use quick_cache::DefaultHashBuilder;

/// The upper bounds of the buckets, in seconds. A hit takes some ten microseconds, a write some
/// milliseconds, and a login half a second.
pub(crate) const BOUNDS: [f64; 11] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0,
];

/// A histogram for each route. The hash function is a fast one, because every request is recorded.
#[derive(Debug, Default)]
pub(crate) struct Latencies(HashMap<String, Histogram, DefaultHashBuilder>);

/// The number of requests in each bucket, and the sum of their times.
#[derive(Debug)]
struct Histogram {
    /// One counter more than bounds: the last one counts what is above all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The figures of one route.
pub(crate) struct Latency<'a> {
    pub(crate) route: &'a str,
    /// The number of requests in each bucket, not cumulated.
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    pub(crate) seconds: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
        }
    }
}

impl Latencies {
    pub(crate) fn new(routes: impl IntoIterator<Item = String>) -> Self {
        let histogram = |route| (route, Histogram::default());
        Self(routes.into_iter().map(histogram).collect())
    }

    /// Adds the time of one request. Ignores a route that is not known.
    pub(crate) fn record(&self, route: &str, time: Duration) {
        let Some(histogram) = self.0.get(route) else {
            return;
        };
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        // Relaxed: the counters are independent, and no other memory is published through them.
        histogram.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        histogram.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns the figures of the routes that have been requested.
    pub(crate) fn figures(&self) -> impl Iterator<Item = Latency<'_>> {
        self.0.iter().filter_map(|(route, histogram)| {
            // Relaxed: the figures may miss requests that are being counted.
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let buckets = histogram.buckets.each_ref().map(load);
            let micros = Duration::from_micros(load(&histogram.micros));
            (buckets.iter().sum::<u64>() > 0).then(|| Latency {
                route,
                buckets,
                seconds: micros.as_secs_f64(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_below_it() {
        let latencies = Latencies::new(["/rooms".to_owned(), "/agents".to_owned()]);
        for millis in [0, 1, 2, 20_000] {
            latencies.record("/rooms", Duration::from_millis(millis));
        }
        latencies.record("/unknown", Duration::ZERO);
        let figures: Vec<_> = latencies.figures().collect();
        assert_eq!(figures.len(), 1);
        assert_eq!(figures[0].route, "/rooms");
        assert_eq!(figures[0].buckets, [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert!((figures[0].seconds - 20.003).abs() < 1e-9);
    }
}
