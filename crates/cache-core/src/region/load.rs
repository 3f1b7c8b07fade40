//! Loads: tasks under a permit and a timeout, whose flights land whatever happens to the task.

use std::{
    collections::HashMap,
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    flight::Flight,
    loader::{LoadError, LoadResult, Loaded, Loader, Rows},
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
    fn end(self, region: &RegionState<K, V>, result: LoadResult<V>) {
        let ended = catch_unwind(AssertUnwindSafe(|| match self.kind {
            Kind::Load => region.end_load(&self.key, &self.flight, result),
            Kind::Refresh => region.end_refresh(&self.key, &self.flight, result),
            Kind::Bypass => self.flight.land(result),
        }));
        if ended.is_err() {
            // First, because what follows may panic again.
            self.flight.land(Err(LoadError::Panicked));
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
    permit: Permit,
    /// The marks of the reader that waits for it.
    marks: Vec<u64>,
}

/// The permit that a load needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// It waits for one.
    Needed,
    /// None: a refresh has no reader that waits, and must not be late.
    Granted,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Load<K, V> {
    /// Returns a load that is yet to get its parts. From then on they end, whatever happens.
    pub(crate) fn new(region: Arc<RegionState<K, V>>, loader: Loader<K, V>) -> Self {
        Self {
            region,
            parts: Vec::new(),
            loader: Some(loader),
            permit: Permit::Needed,
            marks: nesting::marks(),
        }
    }

    /// Returns a load that runs in the background.
    pub(crate) fn refresh(region: Arc<RegionState<K, V>>, loader: Loader<K, V>) -> Self {
        let mut load = Self::new(region, loader);
        load.permit = Permit::Granted;
        // The reader that starts it does not wait for it.
        load.marks = Vec::new();
        load
    }

    pub(crate) fn push(&mut self, part: Part<K, V>) {
        self.parts.push(part);
    }

    /// Spawns the task of the load, if it has parts.
    pub(crate) fn spawn(self) {
        if !self.parts.is_empty() {
            let context = self.region.context.clone();
            context.spawn(self.run());
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
        let result = run(&self.region, loader, keys, self.permit, marks, is_awaited).await;
        let (at, mut rows) = match result.map(|(at, rows)| (at, by_key(rows))) {
            Ok((at, Some(rows))) => (at, rows),
            Ok((_, None)) => return self.fail(&LoadError::Panicked),
            Err(error) => return self.fail(&error),
        };
        // One by one: if a part panics, the destructor still finds the others.
        while let Some(part) = self.parts.pop() {
            let value = catch_unwind(AssertUnwindSafe(|| rows.remove(&part.key)));
            let result = match value {
                Ok(value) => Ok(Loaded { value, at }),
                Err(_) => Err(LoadError::Panicked),
            };
            part.end(&self.region, result);
        }
    }

    fn fail(&mut self, error: &LoadError) {
        while let Some(part) = self.parts.pop() {
            part.end(&self.region, Err(error.clone()));
        }
    }
}

/// Returns the rows by key; `None` if `Hash` or `Eq` of a key panics.
fn by_key<K: Eq + Hash, V>(rows: Vec<(K, V)>) -> Option<HashMap<K, V>> {
    catch_unwind(AssertUnwindSafe(|| rows.into_iter().collect())).ok()
}

/// A task that is dropped unfinished fails its parts, so that no reader waits forever.
impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Load<K, V> {
    fn drop(&mut self) {
        self.fail(&LoadError::GivenUp);
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
    permit: Permit,
    outer_marks: Vec<u64>,
    is_awaited: impl FnOnce() -> bool + Send,
) -> Result<(Nanos, Vec<(K, V)>), LoadError> {
    let context = &region.context;
    let marks = keys
        .iter()
        .map(|key| mark(region.id, region, key))
        .collect();
    let work = async move {
        let _admission = match permit {
            Permit::Needed => {
                let admission = context.loads.admit().await;
                let admission = admission.map_err(|_| LoadError::Overloaded)?;
                if admission.has_waited && !is_awaited() {
                    return Err(LoadError::GivenUp);
                }
                Some(admission)
            }
            Permit::Granted => None,
        };
        region.counters.loads.one();
        // Before the loader runs: its value may be as old as this.
        let at = region.clock.now();
        let rows: Rows<K, V> = context
            .loads
            .within(marks, async { loader(keys).await })
            .await;
        rows.map(|rows| (at, rows))
    };
    let work = nesting::within(outer_marks, work);
    let rows = match context.bounded(work, context.limits.load_timeout).await {
        Ended::With(rows) => rows,
        Ended::TimedOut => Err(LoadError::TimedOut),
        Ended::Panicked => Err(LoadError::Panicked),
    };
    match &rows {
        Ok((_, rows)) => {
            tracing::debug!(target: "cache", region = region.name, rows = rows.len(), "load");
        }
        // No reader waits for it.
        Err(LoadError::GivenUp) => {}
        Err(error) => {
            region.counters.load_failures.one();
            tracing::debug!(target: "cache", region = region.name, %error, "load failed");
        }
    }
    rows
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
