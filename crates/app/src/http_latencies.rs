//! Histograms of the time that requests take, by route, method and status.

use std::{
    array,
    collections::HashMap,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{Method, StatusCode};
use quick_cache::DefaultHashBuilder;

/// The upper bounds of the buckets, in seconds. Those from 5 ms on are the ones that
/// OpenTelemetry's conventions advise. A hit takes some ten microseconds, so smaller ones are
/// before them.
pub(crate) const BOUNDS: [f64; 19] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75,
    1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The methods of the interface. The last one stands for all others.
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "DELETE", "_OTHER"];
/// The statuses of the interface. The last one stands for all others.
const STATUSES: [u16; 16] = [
    200, 304, 307, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 503, 0,
];

/// A histogram for each route, method and status, and the requests that are being handled.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// The hash function is a fast one, because every request is recorded.
    routes: HashMap<String, RouteHistograms, DefaultHashBuilder>,
    active: [AtomicI64; METHODS.len()],
}

/// A request that is being handled. It is counted until this is dropped.
pub(crate) struct ActiveRequest<'a>(&'a AtomicI64);

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        // Relaxed: the number is shown, and orders nothing.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The histograms of a route. Each is allocated with its first request.
#[derive(Debug)]
struct RouteHistograms([[OnceLock<Box<Histogram>>; STATUSES.len()]; METHODS.len()]);

/// The number of requests in each bucket, and the sum of their times.
#[derive(Debug)]
struct Histogram {
    /// One counter more than bounds: the last one counts what is above all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

/// The figures of one route, method and status.
pub(crate) struct Latency<'a> {
    pub(crate) route: &'a str,
    pub(crate) method: &'static str,
    /// 0 stands for a status that the interface does not use.
    pub(crate) status: u16,
    /// The number of requests in each bucket, not cumulated.
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    pub(crate) seconds: f64,
}

impl Default for RouteHistograms {
    fn default() -> Self {
        Self(array::from_fn(|_| array::from_fn(|_| OnceLock::new())))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: array::from_fn(|_| AtomicU64::new(0)),
            nanos: AtomicU64::new(0),
        }
    }
}

impl Latencies {
    pub(crate) fn new(routes: impl IntoIterator<Item = String>) -> Self {
        let histograms = |route| (route, RouteHistograms::default());
        Self {
            routes: routes.into_iter().map(histograms).collect(),
            active: Default::default(),
        }
    }

    /// Counts a request that is being handled.
    pub(crate) fn begin(&self, method: &Method) -> ActiveRequest<'_> {
        let active = &self.active[index(&METHODS, method.as_str())];
        active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(active)
    }

    /// Returns the number of requests that are being handled, by method.
    pub(crate) fn active(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let counts = self.active.iter();
        METHODS
            .into_iter()
            .zip(counts.map(|count| count.load(Ordering::Relaxed)))
    }

    /// Adds the time of one request. Ignores a route that is not known.
    pub(crate) fn record(&self, route: &str, method: &Method, status: StatusCode, time: Duration) {
        let Some(RouteHistograms(histograms)) = self.routes.get(route) else {
            return;
        };
        let of_method = &histograms[index(&METHODS, method.as_str())];
        let histogram = of_method[index(&STATUSES, status.as_u16())].get_or_init(Box::default);
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        // Relaxed: the counters are independent, and no other memory is published through them.
        histogram.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        histogram.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Returns the figures of the routes that have been requested.
    pub(crate) fn figures(&self) -> impl Iterator<Item = Latency<'_>> {
        self.routes
            .iter()
            .flat_map(|(route, RouteHistograms(histograms))| {
                let histograms = METHODS.into_iter().zip(histograms);
                histograms.flat_map(move |(method, histograms)| {
                    let histograms = STATUSES.into_iter().zip(histograms);
                    histograms.filter_map(move |(status, histogram)| {
                        let (buckets, seconds) = histogram.get()?.read();
                        Some(Latency {
                            route,
                            method,
                            status,
                            buckets,
                            seconds,
                        })
                    })
                })
            })
    }
}

/// Returns the place of a value in a list, or the last place.
fn index<T: PartialEq>(list: &[T], value: T) -> usize {
    let found = list.iter().position(|known| *known == value);
    found.unwrap_or(list.len() - 1)
}

impl Histogram {
    fn read(&self) -> ([u64; BOUNDS.len() + 1], f64) {
        // Relaxed: the figures may miss requests that are being counted.
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let seconds = Duration::from_nanos(load(&self.nanos)).as_secs_f64();
        (self.buckets.each_ref().map(load), seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_below_it() {
        let latencies = Latencies::new(["/rooms".to_owned(), "/agents".to_owned()]);
        for millis in [0, 1, 2, 20_000] {
            let time = Duration::from_millis(millis);
            latencies.record("/rooms", &Method::GET, StatusCode::OK, time);
        }
        latencies.record("/unknown", &Method::GET, StatusCode::OK, Duration::ZERO);
        let figures: Vec<_> = latencies.figures().collect();
        let [latency] = &figures[..] else {
            panic!("one route was requested");
        };
        assert_eq!(
            (latency.route, latency.method, latency.status),
            ("/rooms", "GET", 200)
        );
        let counts = |bucket: usize| latency.buckets[bucket];
        assert_eq!([0, 3, 4, BOUNDS.len()].map(counts), [1, 1, 1, 1]);
        assert!((latency.seconds - 20.003).abs() < 1e-9);
    }

    #[test]
    fn methods_and_statuses_are_apart_and_unknown_ones_are_together() {
        let latencies = Latencies::new(["/rooms".to_owned()]);
        let record = |method, status| latencies.record("/rooms", &method, status, Duration::ZERO);
        record(Method::POST, StatusCode::OK);
        record(Method::POST, StatusCode::CONFLICT);
        record(Method::HEAD, StatusCode::IM_A_TEAPOT);
        record(Method::TRACE, StatusCode::GONE);
        let figures = latencies.figures();
        let counts = figures.map(|latency| (latency.method, latency.status, latency.buckets[0]));
        let counts: Vec<_> = counts.collect();
        assert_eq!(
            counts,
            [("POST", 200, 1), ("POST", 409, 1), ("_OTHER", 0, 2)]
        );
    }
}
