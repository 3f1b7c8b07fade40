//! Histograms of the time that requests take, by route, method and status.

use std::{
    array,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::{Method, StatusCode};

use crate::{
    groups::{Group, PerGroup},
    route_table::RouteIndex,
};

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
#[derive(Debug)]
pub(crate) struct Latencies {
    routes: usize,
    groups: PerGroup<GroupLatencies>,
}

/// The figures of one group of connections.
#[derive(Debug)]
struct GroupLatencies {
    /// The histograms of each route. They are allocated with its first request.
    routes: Box<[OnceLock<Box<RouteHistograms>>]>,
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
pub(crate) struct Latency {
    pub(crate) route: RouteIndex,
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
    /// Creates the histograms of this number of routes.
    pub(crate) fn new(routes: usize) -> Self {
        let groups = PerGroup::new(|| GroupLatencies {
            routes: (0..routes).map(|_| OnceLock::new()).collect(),
            active: Default::default(),
        });
        Self { routes, groups }
    }

    /// Counts a request of a group that is being handled.
    pub(crate) fn begin(&self, group: Group, method: &Method) -> ActiveRequest<'_> {
        let active = &self.groups.of(group).active[index(&METHODS, method.as_str())];
        active.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(active)
    }

    /// Returns the number of requests that are being handled, by method.
    pub(crate) fn active(&self) -> impl Iterator<Item = (&'static str, i64)> {
        METHODS.into_iter().enumerate().map(|(method, name)| {
            let groups = self.groups.all();
            let counts = groups.map(|group| group.active[method].load(Ordering::Relaxed));
            (name, counts.sum())
        })
    }

    /// Adds the time of one request of a group.
    pub(crate) fn record(
        &self,
        group: Group,
        RouteIndex(route): RouteIndex,
        method: &Method,
        status: StatusCode,
        time: Duration,
    ) {
        let RouteHistograms(histograms) =
            &**self.groups.of(group).routes[route].get_or_init(Box::default);
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
    pub(crate) fn figures(&self) -> impl Iterator<Item = Latency> {
        (0..self.routes).flat_map(move |route| {
            (0..METHODS.len()).flat_map(move |method| {
                (0..STATUSES.len()).filter_map(move |status| self.figure(route, method, status))
            })
        })
    }

    /// Returns the sums over all groups, if there was such a request.
    fn figure(&self, route: usize, method: usize, status: usize) -> Option<Latency> {
        let (mut buckets, mut nanos) = ([0_u64; BOUNDS.len() + 1], 0);
        for group in self.groups.all() {
            let histograms = group.routes[route].get().map(|histograms| &histograms.0);
            let histogram = histograms.and_then(|of_route| of_route[method][status].get());
            // Relaxed: the figures may miss requests that are being counted.
            let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            if let Some(histogram) = histogram {
                for (sum, count) in buckets.iter_mut().zip(&histogram.buckets) {
                    *sum += load(count);
                }
                nanos += load(&histogram.nanos);
            }
        }
        buckets.iter().any(|count| *count > 0).then(|| Latency {
            route: RouteIndex(route),
            method: METHODS[method],
            status: STATUSES[status],
            buckets,
            seconds: Duration::from_nanos(nanos).as_secs_f64(),
        })
    }
}

/// Returns the place of a value in a list, or the last place.
fn index<T: PartialEq>(list: &[T], value: T) -> usize {
    let found = list.iter().position(|known| *known == value);
    found.unwrap_or(list.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: RouteIndex = RouteIndex(1);

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_below_it() {
        let latencies = Latencies::new(2);
        let times = [0, 1, 2, 20_000].map(Duration::from_millis);
        for (group, time) in Group::all().zip(times) {
            latencies.record(group, ROOMS, &Method::GET, StatusCode::OK, time);
        }
        let figures: Vec<_> = latencies.figures().collect();
        let [latency] = &figures[..] else {
            panic!("one route was requested");
        };
        assert_eq!(
            (latency.route, latency.method, latency.status),
            (ROOMS, "GET", 200)
        );
        let counts = |bucket: usize| latency.buckets[bucket];
        assert_eq!([0, 3, 4, BOUNDS.len()].map(counts), [1, 1, 1, 1]);
        assert!((latency.seconds - 20.003).abs() < 1e-9);
    }

    #[test]
    fn methods_and_statuses_are_apart_and_unknown_ones_are_together() {
        let (latencies, group) = (Latencies::new(2), Group::default());
        let record =
            |method, status| latencies.record(group, ROOMS, &method, status, Duration::ZERO);
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

    #[test]
    fn requests_of_all_groups_are_active_until_they_end() {
        let latencies = Latencies::new(0);
        let active: Vec<_> = Group::all()
            .map(|group| latencies.begin(group, &Method::GET))
            .collect();
        let counts = || latencies.active().map(|(_, count)| count).sum::<i64>();
        assert_eq!(counts(), i64::try_from(active.len()).unwrap());
        drop(active);
        assert_eq!(counts(), 0);
    }
}
