//! Loads: tasks under a permit and a timeout, whose flights land whatever happens to the task.

use std::{
    collections::HashMap,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::{Instrument as _, field::Empty};

use super::{
    entry::{Entry, Terms},
    flight::Flight,
    install::Row,
    limits::{LoadLimits, Permit},
    loader::{LoadFailure, Loaded, LoadedRows, Loader, Rows},
    policy::Key,
    state::{RegionId, RegionState},
    stripe::Stripe,
};
use crate::{clock::Nanos, context::Ended, nesting, protocol::progress::Progress, sync::Arc};

/// One key of a load.
pub(crate) struct Part<K, V> {
    key: K,
    pub(crate) flight: Arc<Flight<K, V>>,
    kind: Kind,
}

/// The use that a load makes of the result of one key.
#[derive(Clone, Copy)]
enum Kind {
    /// The load is registered, and its result is stored.
    Load,
    /// The load is registered. If it fails, the value in memory stays.
    Refresh,
    /// The load bypasses the cache, because a write was open when it began or because the caller
    /// asked for it. Its result is not stored.
    Bypass,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Part<K, V> {
    pub(crate) fn load(key: K, flight: Arc<Flight<K, V>>) -> Self {
        let kind = Kind::Load;
        Self { key, flight, kind }
    }

    pub(crate) fn refresh(key: K, flight: Arc<Flight<K, V>>) -> Self {
        let kind = Kind::Refresh;
        Self { key, flight, kind }
    }

    pub(crate) fn bypassing(key: K) -> Self {
        Self {
            key,
            flight: Flight::unregistered(),
            kind: Kind::Bypass,
        }
    }

    /// Returns `true` if a reader waits for the flight, to which its load and the in-progress map
    /// refer, too.
    fn is_awaited(&self, stripe: &Stripe<K, V>) -> bool {
        let is_registered = stripe
            .keys
            .get(&self.key)
            .and_then(Progress::load)
            .is_some_and(|load| Arc::ptr_eq(load, &self.flight));
        Arc::strong_count(&self.flight) > 1 + usize::from(is_registered)
    }

    /// Ends the flight. If user code panics meanwhile, its readers get an error.
    pub(super) fn end(self, region: &RegionState<K, V>, result: Result<Row<V>, LoadFailure>) {
        let ended = catch_unwind(AssertUnwindSafe(|| match self.kind {
            Kind::Load => {
                region.end_load(&self.key, &self.flight, result);
            }
            Kind::Refresh => region.end_refresh(&self.key, &self.flight, result),
            Kind::Bypass => {
                let loaded = region.unstored(&self.key, result.map(|row| row.loaded));
                self.flight.land(loaded);
            }
        }));
        if ended.is_err() {
            // First, because what follows may panic again.
            self.flight.land(Err(LoadFailure::Panicked));
            drop(catch_unwind(AssertUnwindSafe(|| {
                region.stripe(&self.key).unregister(&self.key, &self.flight)
            })));
        }
    }
}

/// One run of a loader, for one or many keys.
pub(crate) struct Load<K: Key, V: Clone + Send + Sync + 'static> {
    region: Arc<RegionState<K, V>>,
    parts: Vec<Part<K, V>>,
    loader: Option<Loader<K, V>>,
    limits: LoadLimits,
    /// The marks of the reader that waits for it.
    marks: Vec<u64>,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Load<K, V> {
    /// Returns a load that is yet to get its parts. From then on they end, whatever happens.
    pub(crate) fn new(
        region: Arc<RegionState<K, V>>,
        loader: Loader<K, V>,
        limits: LoadLimits,
    ) -> Self {
        Self {
            region,
            parts: Vec::new(),
            loader: Some(loader),
            limits,
            marks: nesting::marks(),
        }
    }

    pub(crate) fn extend(&mut self, part: Option<Part<K, V>>) {
        self.parts.extend(part);
    }

    /// Adds keys that bypass the cache, and returns their flights.
    pub(super) fn bypass(&mut self, keys: Vec<K>) -> Vec<Arc<Flight<K, V>>> {
        let mut started = HashMap::new();
        let mut flight_of = |key: K| {
            // A key that is named twice is loaded once.
            let flight = started.entry(key.clone()).or_insert_with(|| {
                let part = Part::bypassing(key);
                let flight = part.flight.clone();
                self.parts.push(part);
                flight
            });
            flight.clone()
        };
        keys.into_iter().map(&mut flight_of).collect()
    }

    /// Returns the loader of a load without parts, or else the load.
    pub(super) fn into_loader(mut self) -> Result<Loader<K, V>, Self> {
        if self.parts.is_empty()
            && let Some(loader) = self.loader.take()
        {
            return Ok(loader);
        }
        Err(self)
    }

    /// Spawns the task of the load, if it has parts. A load that only refreshes values runs in the
    /// background, as no reader waits for it.
    pub(crate) fn spawn(mut self) {
        if self.parts.is_empty() {
            return;
        }
        let is_refresh = |part: &&Part<K, V>| matches!(part.kind, Kind::Refresh);
        let refreshes = self.parts.iter().filter(is_refresh).count();
        let region = self.region.clone();
        for _ in 0..refreshes {
            region.counters.refreshes.one();
        }
        if refreshes == self.parts.len() {
            self.limits.permit = Permit::Granted;
            self.marks = Vec::new();
            region.context.spawn_apart(self.run());
        } else {
            region.context.spawn(self.run());
        }
    }

    /// Loads, and ends every part.
    async fn run(mut self) {
        let Some(loader) = self.loader.take() else {
            return;
        };
        let keys: Vec<K> = self.parts.iter().map(|part| part.key.clone()).collect();
        let is_awaited = {
            let (region, parts) = (&self.region, &self.parts);
            || {
                // If no part has a reader, they are given up one by one, unless one is joined
                // meanwhile.
                parts.iter().any(|part| region.is_awaited(part))
                    || !parts.iter().all(|part| region.give_up(part))
            }
        };
        let marks = std::mem::take(&mut self.marks);
        let result = run(&self.region, loader, keys, self.limits, marks, is_awaited).await;
        let (at, mut rows) = match result.map(|(at, rows)| (at, by_key(rows))) {
            Ok((at, Some(rows))) => (at, rows),
            Ok((_, None)) => return self.fail(&LoadFailure::Panicked),
            Err(error) => return self.fail(&error),
        };
        // One by one: if a part panics, the destructor still finds the others.
        while let Some(part) = self.parts.pop() {
            let entry = catch_unwind(AssertUnwindSafe(|| rows.remove(&part.key)));
            let result = entry.map_or(Err(LoadFailure::Panicked), |entry| Ok(Row::of(entry, at)));
            part.end(&self.region, result);
        }
    }

    fn fail(&mut self, error: &LoadFailure) {
        while let Some(part) = self.parts.pop() {
            part.end(&self.region, Err(error.clone()));
        }
    }
}

/// Returns the rows by key; `None` if `Hash` or `Eq` of a key panics.
pub(super) fn by_key<K: Eq + Hash, V>(rows: Vec<(K, V)>) -> Option<HashMap<K, V>> {
    catch_unwind(AssertUnwindSafe(|| rows.into_iter().collect())).ok()
}

impl<V> Row<V> {
    /// Returns the row of an entry that was read from the source, or of its absence.
    pub(super) fn of(entry: Option<Entry<V>>, at: Nanos) -> Self {
        let (value, terms) = match entry {
            Some(Entry { value, terms }) => (Some(value), terms),
            None => (None, Terms::default()),
        };
        let loaded = Loaded { value, at };
        Self { loaded, terms }
    }
}

/// A task that is dropped unfinished fails its parts, so that no reader waits forever.
impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Load<K, V> {
    fn drop(&mut self) {
        self.fail(&LoadFailure::GivenUp);
    }
}

/// Runs a loader under the load timeout, which includes the wait for a permit. Returns the rows and
/// the time at which the loader began: their age.
///
/// A load that had to wait is given up if `is_awaited` returns `false` by then. `outer_marks` are
/// those of the code that it is nested in.
pub(super) async fn run<K: Key, V: Clone + Send + Sync + 'static>(
    region: &RegionState<K, V>,
    loader: Loader<K, V>,
    keys: Vec<K>,
    limits: LoadLimits,
    outer_marks: Vec<u64>,
    is_awaited: impl FnOnce() -> bool + Send,
) -> LoadedRows<K, V> {
    let context = &region.context;
    let (marks, key_count) = (region.marks(&keys), number(keys.len()));
    let work = async move {
        let _admission = match limits.permit {
            Permit::Needed => {
                let admission = region.gate().admit().await;
                let admission = admission.map_err(|_| LoadFailure::Overloaded)?;
                if admission.has_waited && !is_awaited() {
                    return Err(LoadFailure::GivenUp);
                }
                Some(admission)
            }
            Permit::Granted => None,
        };
        region.counters.loads.one();
        // Before the loader runs: its value may be as old as this.
        let at = region.clock.now();
        let _load = region.loading.begin(at);
        let rows: Rows<K, V> = region
            .gate()
            .within(marks, async { loader(keys).await })
            .await;
        rows.map(|rows| (at, rows))
    };
    let work = nesting::within(outer_marks, work);
    let timeout = limits.timeout.or(region.policy.load_timeout);
    let timeout = timeout.unwrap_or(context.limits.load_timeout);
    let span = tracing::info_span!(
        target: "cache",
        "load",
        otel.name = format_args!("load {}", region.name),
        region = region.name,
        keys = key_count,
        outcome = Empty,
        otel.status_code = Empty,
    );
    let rows = match context
        .bounded(work, timeout)
        .instrument(span.clone())
        .await
    {
        Ended::With(rows) => rows,
        Ended::TimedOut => Err(LoadFailure::TimedOut),
        Ended::Panicked => Err(LoadFailure::Panicked),
    };
    let count = rows.as_ref().map(|(_, rows)| rows.len());
    span.record("outcome", count.map_or_else(LoadFailure::name, |_| "ok"));
    if count.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    region.count_load(count);
    rows
}

/// Returns a count as exporters of spans take numbers.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Returns the mark of a load of `key` in [`nesting`].
fn mark<K: Key, V: Clone + Send + Sync + 'static>(
    id: RegionId,
    region: &RegionState<K, V>,
    key: &K,
) -> u64 {
    region.striping.mark((id, key))
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Counts the result of a load: its number of rows, or its failure.
    pub(super) fn count_load(&self, rows: Result<usize, &LoadFailure>) {
        match rows {
            Ok(rows) => tracing::debug!(target: "cache", region = self.name, rows, "load"),
            // No reader waits for it.
            Err(LoadFailure::GivenUp) => {}
            Err(error) => {
                self.counters.load_failures.one();
                tracing::debug!(target: "cache", region = self.name, %error, "load failed");
            }
        }
    }

    /// Returns the marks of a load of `keys` in [`nesting`].
    pub(super) fn marks(&self, keys: &[K]) -> Vec<u64> {
        keys.iter().map(|key| mark(self.id, self, key)).collect()
    }

    /// Returns the mark of an upsert of `key` in [`nesting`].
    pub(crate) fn upsert_mark(&self, key: &K) -> u64 {
        self.striping.mark((self.id, key, "upsert"))
    }

    /// Returns `true` if the running code is part of a load of `key`.
    pub(crate) fn is_within_load(&self, key: &K) -> bool {
        nesting::is_within(mark(self.id, self, key))
    }

    /// Returns `true` if a reader waits for a part of a load.
    fn is_awaited(&self, part: &Part<K, V>) -> bool {
        part.is_awaited(&self.stripe(&part.key))
    }

    /// Unregisters a part of a load for which no reader waits. Returns `false` if one does.
    fn give_up(&self, part: &Part<K, V>) -> bool {
        // Under one lock, so that no reader joins in between.
        let mut stripe = self.stripe(&part.key);
        let is_awaited = part.is_awaited(&stripe);
        if !is_awaited {
            stripe.unregister(&part.key, &part.flight);
        }
        !is_awaited
    }
}
