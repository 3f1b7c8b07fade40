//! The queue of a region's batches that bypass the cache: one runs, and one more collects keys.
//!
//! Each reader has a loader for any keys of the region, so the loader of one serves the keys of
//! all who wait. A batch is open to further readers until it begins to run. A batch within a batch
//! does not queue, because it would wait for itself.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    batch_queue::Batch,
    flight::Flight,
    install::Row,
    limits::LoadLimits,
    load,
    loader::{LoadFailure, LoadedRows, Loader},
    policy::Key,
    state::RegionState,
};
use crate::{nesting, sync::Arc};

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the flights of loads that bypass the cache, in the order of `keys`.
    ///
    /// The flight of a key that the running code loads never lands, so callers return an error
    /// instead of waiting for it.
    pub(super) fn bypass_many(
        self: &Arc<Self>,
        keys: &[K],
        loader: Loader<K, V>,
    ) -> Vec<Arc<Flight<K, V>>> {
        let mut own = keys.iter().map(|key| self.is_within_load(key));
        if own.all(|is_own| is_own) {
            return keys.iter().map(|_| Flight::unregistered()).collect();
        }
        // The queue waits for the batch that this read is part of, so the read must not.
        if nesting::is_within(self.batch_mark()) {
            return self.bypass_apart(keys, loader);
        }
        let mut queue = self.bypass_batches.0.lock();
        let batch = queue.next.get_or_insert_with(|| Batch::new(loader));
        let flights = self.extend(batch, keys);
        let was_running = mem::replace(&mut queue.is_running, true);
        drop(queue);
        if !was_running {
            self.context.spawn_apart(run(self.clone()));
        }
        flights
    }

    /// Runs a batch beside the queue.
    fn bypass_apart(self: &Arc<Self>, keys: &[K], loader: Loader<K, V>) -> Vec<Arc<Flight<K, V>>> {
        let mut batch = Batch::new(loader);
        let flights = self.extend(&mut batch, keys);
        let region = self.clone();
        let running = RunningBatch::new(batch);
        self.context
            .spawn(async move { running.load(&region).await });
        flights
    }

    /// Adds keys to a batch, except those that the running code loads.
    fn extend(&self, batch: &mut Batch<K, V>, keys: &[K]) -> Vec<Arc<Flight<K, V>>> {
        let flight = |key: &K| {
            if self.is_within_load(key) {
                return Flight::unregistered();
            }
            let flight = batch.flights.entry(key.clone());
            flight.or_insert_with(Flight::unregistered).clone()
        };
        keys.iter().map(flight).collect()
    }

    /// Returns the mark of a batch in [`nesting`].
    fn batch_mark(&self) -> u64 {
        self.striping.mark((self.id, "batch"))
    }
}

/// Runs the batches of a region, one at a time, until none is left.
fn run<K: Key, V: Clone + Send + Sync + 'static>(
    region: Arc<RegionState<K, V>>,
) -> impl Future<Output = ()> + Send {
    // Created before the first poll: dropping the task unpolled must fail the readers, too.
    let mut task = BatchTask {
        region,
        ended: false,
    };
    async move { task.run().await }
}

/// The task that runs the batches. If it is dropped, it fails their readers.
struct BatchTask<K: Key, V: Clone + Send + Sync + 'static> {
    region: Arc<RegionState<K, V>>,
    ended: bool,
}

impl<K: Key, V: Clone + Send + Sync + 'static> BatchTask<K, V> {
    async fn run(&mut self) {
        while let Some(batch) = self.next() {
            batch.load(&self.region).await;
        }
    }

    /// Takes the next batch, which no reader joins from now on.
    fn next(&mut self) -> Option<RunningBatch<K, V>> {
        let mut queue = self.region.bypass_batches.0.lock();
        let next = queue.next.take();
        queue.is_running = next.is_some();
        self.ended = next.is_none();
        next.map(RunningBatch::new)
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Drop for BatchTask<K, V> {
    fn drop(&mut self) {
        while !self.ended {
            drop(self.next());
        }
    }
}

/// A batch that loads. If it is dropped, it fails its readers.
struct RunningBatch<K: Key, V: Clone + Send + Sync + 'static> {
    flights: Flights<K, V>,
    loader: Loader<K, V>,
    marks: Vec<u64>,
}

/// The keys of a batch, with their flights.
struct Flights<K: Key, V: Clone + Send + Sync + 'static>(Vec<(K, Arc<Flight<K, V>>)>);

impl<K: Key, V: Clone + Send + Sync + 'static> RunningBatch<K, V> {
    fn new(batch: Batch<K, V>) -> Self {
        Self {
            flights: Flights(batch.flights.into_iter().collect()),
            loader: batch.loader,
            marks: batch.marks,
        }
    }

    async fn load(self, region: &RegionState<K, V>) {
        let Self {
            mut flights,
            loader,
            mut marks,
        } = self;
        region.counters.past_loads.one();
        marks.push(region.batch_mark());
        let keys = flights.0.iter().map(|(key, _)| key.clone()).collect();
        // Besides this task, only readers have a flight.
        let has_reader = |flight: &Arc<_>| Arc::strong_count(flight) > 1;
        let is_awaited = || flights.0.iter().any(|(_, flight)| has_reader(flight));
        let limits = LoadLimits::USUAL;
        let result = load::run(region, loader, keys, limits, marks, is_awaited).await;
        flights.land(region, result);
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// Ends all flights.
    fn land(&mut self, region: &RegionState<K, V>, result: LoadedRows<K, V>) {
        let (at, mut rows) = match result.map(|(at, rows)| (at, load::by_key(rows))) {
            Ok((at, Some(rows))) => (at, rows),
            Ok((_, None)) => return self.fail(&LoadFailure::Panicked),
            Err(failure) => return self.fail(&failure),
        };
        // One by one: if code of a key panics, the destructor still finds the others.
        while let Some((key, flight)) = self.0.pop() {
            let entry = catch_unwind(AssertUnwindSafe(|| rows.remove(&key)));
            flight.land(match entry {
                Ok(entry) => region.unstored(&key, Ok(Row::of(entry, at).loaded)),
                Err(_) => Err(LoadFailure::Panicked),
            });
        }
    }

    fn fail(&mut self, failure: &LoadFailure) {
        while let Some((_, flight)) = self.0.pop() {
            flight.land(Err(failure.clone()));
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Flights<K, V> {
    fn drop(&mut self) {
        self.fail(&LoadFailure::GivenUp);
    }
}
