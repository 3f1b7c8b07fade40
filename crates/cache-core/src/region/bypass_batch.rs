//! The queue of a region's batches that bypass the cache: one runs, and one more collects keys.
//!
//! Each reader has a loader for any keys of the region, so the loader of one serves the keys of
//! all who wait. A batch is open to further readers until it begins to run.

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
use crate::{
    nesting,
    sync::{Arc, HashMap},
};

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the flights of loads that bypass the cache, in the order of `keys`.
    pub(super) fn bypass_many(
        self: &Arc<Self>,
        keys: &[K],
        loader: Loader<K, V>,
    ) -> Vec<Arc<Flight<K, V>>> {
        if keys.is_empty() {
            return Vec::new();
        }
        let mut queue = self.bypass_batches.0.lock();
        let batch = queue.next.get_or_insert_with(|| Batch {
            flights: HashMap::default(),
            loader,
            marks: nesting::marks(),
        });
        let flight = |key: &K| {
            let flight = batch.flights.entry(key.clone());
            flight.or_insert_with(Flight::unregistered).clone()
        };
        let flights = keys.iter().map(flight).collect();
        let was_running = mem::replace(&mut queue.is_running, true);
        drop(queue);
        if !was_running {
            self.context.spawn(run(self.clone()));
        }
        flights
    }
}

/// Runs the batches of a region, one at a time, until none is left.
fn run<K: Key, V: Clone + Send + Sync + 'static>(
    region: Arc<RegionState<K, V>>,
) -> impl Future<Output = ()> + Send {
    // Created before the first poll: dropping the task unpolled must fail the readers, too.
    let mut task = BatchTask {
        region,
        flights: Vec::new(),
        ended: false,
    };
    async move { task.run().await }
}

/// The task that runs the batches. If it is dropped, it fails their readers.
struct BatchTask<K: Key, V: Clone + Send + Sync + 'static> {
    region: Arc<RegionState<K, V>>,
    /// The flights of the batch that runs.
    flights: Vec<(K, Arc<Flight<K, V>>)>,
    ended: bool,
}

impl<K: Key, V: Clone + Send + Sync + 'static> BatchTask<K, V> {
    async fn run(&mut self) {
        while let Some((loader, marks)) = self.next() {
            self.region.counters.past_loads.one();
            let keys = self.flights.iter().map(|(key, _)| key.clone()).collect();
            let flights = &self.flights;
            // Besides this task, only readers have a flight.
            let has_reader = |flight: &Arc<_>| Arc::strong_count(flight) > 1;
            let is_awaited = || flights.iter().any(|(_, flight)| has_reader(flight));
            let limits = LoadLimits::USUAL;
            let result = load::run(&self.region, loader, keys, limits, marks, is_awaited).await;
            self.land(result);
        }
    }

    /// Takes the next batch, which no reader joins from now on.
    fn next(&mut self) -> Option<(Loader<K, V>, Vec<u64>)> {
        let mut queue = self.region.bypass_batches.0.lock();
        let next = queue.next.take();
        queue.is_running = next.is_some();
        self.ended = next.is_none();
        let batch = next?;
        self.flights = batch.flights.into_iter().collect();
        Some((batch.loader, batch.marks))
    }

    /// Ends all flights of the batch.
    fn land(&mut self, result: LoadedRows<K, V>) {
        let (at, mut rows) = match result.map(|(at, rows)| (at, load::by_key(rows))) {
            Ok((at, Some(rows))) => (at, rows),
            Ok((_, None)) => return self.fail(&LoadFailure::Panicked),
            Err(failure) => return self.fail(&failure),
        };
        // One by one: if code of a key panics, the destructor still finds the others.
        while let Some((key, flight)) = self.flights.pop() {
            let entry = catch_unwind(AssertUnwindSafe(|| rows.remove(&key)));
            flight.land(match entry {
                Ok(entry) => Ok(Row::of(entry, at).loaded),
                Err(_) => Err(LoadFailure::Panicked),
            });
        }
    }

    fn fail(&mut self, failure: &LoadFailure) {
        while let Some((_, flight)) = self.flights.pop() {
            flight.land(Err(failure.clone()));
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Drop for BatchTask<K, V> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.fail(&LoadFailure::GivenUp);
        while self.next().is_some() {
            self.fail(&LoadFailure::GivenUp);
        }
    }
}
