//! Reads that miss: they join a load, start one, or bypass the cache.

use std::collections::HashMap;

use super::{
    bypass,
    flight::Flight,
    load::{Load, Part},
    loader::{LoadError, LoadResult, Loaded, Loader},
    policy::Key,
    read::{Age, Read, Source},
    state::{Found, RegionState},
};
use crate::{
    clock::nanos,
    protocol::progress::{Ask, AskBypass},
    sync::Arc,
};

/// The next step of a reader.
pub(crate) enum Next<K, V> {
    /// Return what was found. The reader counts the hit.
    Return(Read<V>),
    /// Wait for a load. The miss is counted.
    Wait(Arc<Flight<K, V>>, Source),
}

/// The decision for a reader that missed, made under the lock of its stripe.
enum Decision<K, V> {
    Found(Found<V>),
    Join(Arc<Flight<K, V>>),
    /// The load is registered; the reader starts it.
    Start(Part<K, V>),
    Bypass,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Begins a read of one key.
    pub(crate) fn read(self: &Arc<Self>, key: &K, loader: Loader<K, V>) -> Next<K, V> {
        match self.find(key) {
            Some(found) => self.serve(key, found, loader),
            None => self.load(key, loader),
        }
    }

    /// Begins a read of one key after the caller has looked up its value and found none.
    pub(crate) fn read_after_miss(self: &Arc<Self>, key: &K, loader: Loader<K, V>) -> Next<K, V> {
        // The caller's look-up sees values only.
        match self.find_absence(key) {
            Some(read) => Next::Return(read),
            None => self.load(key, loader),
        }
    }

    fn serve(self: &Arc<Self>, key: &K, found: Found<V>, loader: Loader<K, V>) -> Next<K, V> {
        if found.refresh_due {
            self.refresh(key, loader);
        }
        Next::Return(found.read)
    }

    fn load(self: &Arc<Self>, key: &K, loader: Loader<K, V>) -> Next<K, V> {
        let (flight, source) = match self.decide(key) {
            Decision::Found(found) => return self.serve(key, found, loader),
            Decision::Join(flight) => {
                let flight = self.rules().share_failure(key, flight, loader);
                (flight, Source::Joined)
            }
            Decision::Start(part) => {
                let flight = part.flight.clone();
                let mut load = Load::new(self.clone(), loader);
                load.push(part);
                load.spawn();
                (flight, Source::Loaded)
            }
            Decision::Bypass => (self.bypass(key, loader), Source::DuringWrite),
        };
        self.count_miss(key);
        Next::Wait(flight, source)
    }

    /// Begins a read of many keys. Those that are missing share one load. No refresh is started.
    pub(crate) fn read_many(self: &Arc<Self>, keys: &[K], loader: Loader<K, V>) -> Vec<Next<K, V>> {
        // It takes each part at once: if user code panics at a later key, the parts end.
        let mut load = Load::new(self.clone(), loader);
        // The load of this batch has not been polled yet: a key that is named twice may wait for
        // it.
        let mut started = HashMap::new();
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(found) = self.find(key) {
                all.push(Next::Return(found.read));
                continue;
            }
            if let Some((flight, source)) = started.get(key) {
                self.count_miss(key);
                all.push(Next::Wait(Arc::clone(flight), *source));
                continue;
            }
            let (part, source) = match self.decide(key) {
                Decision::Found(found) => {
                    all.push(Next::Return(found.read));
                    continue;
                }
                Decision::Join(flight) => {
                    self.count_miss(key);
                    all.push(Next::Wait(flight, Source::Joined));
                    continue;
                }
                Decision::Start(part) => (part, Source::Loaded),
                Decision::Bypass => (Part::bypassing(key.clone()), Source::DuringWrite),
            };
            let flight = part.flight.clone();
            load.push(part);
            self.count_miss(key);
            started.insert(key, (flight.clone(), source));
            all.push(Next::Wait(flight, source));
        }
        load.spawn();
        all
    }

    /// Decides for a reader that missed, under the lock of its stripe.
    fn decide(&self, key: &K) -> Decision<K, V> {
        let mut stripe = self.stripe(key);
        // The second look-up: a value may have been stored after the first one, before the lock.
        if let Some(found) = self.rules().second_look(self.find(key)) {
            return Decision::Found(found);
        }
        let creates = self.creates();
        let region_open = stripe.is_covered(key) || creates.is_open();
        let progress = stripe.keys.entry(key.clone()).or_default();
        // A flight that landed is still registered if user code panicked where it ended.
        let joinable = |flight: &Arc<Flight<K, V>>| {
            creates.allows_join(flight.generation) && !flight.has_landed()
        };
        match self
            .rules()
            .none_in_window(progress.ask(region_open, joinable))
        {
            Ask::Join(flight) => {
                self.counters.joins.one();
                Decision::Join(flight)
            }
            Ask::Start => {
                // Before it is registered: if cloning the key panics, no reader may wait for it.
                let part_key = key.clone();
                let flight = self.register(key, creates.generation(), progress);
                Decision::Start(Part::load(part_key, flight))
            }
            Ask::Bypass => {
                stripe.forget_idle(key);
                Decision::Bypass
            }
        }
    }

    /// Returns a load that bypasses the cache: the queued one, or a new one that is queued.
    pub(super) fn bypass(self: &Arc<Self>, key: &K, loader: Loader<K, V>) -> Arc<Flight<K, V>> {
        // Before the queue counts as running: if cloning the key panics, no reader may wait for it.
        let queue_key = key.clone();
        let mut stripe = self.stripe(key);
        let progress = stripe.keys.entry(key.clone()).or_default();
        let ask = progress.ask_bypass();
        if let AskBypass::Join(flight) = ask {
            self.rules().share_queued(&flight, loader);
            return flight;
        }
        let flight = Flight::queued(loader);
        progress.queue_bypass(flight.clone());
        drop(stripe);
        if matches!(ask, AskBypass::Run) {
            self.context.spawn(bypass::run(self.clone(), queue_key));
        }
        flight
    }

    /// Starts one load that bypasses the cache for many keys. Returns their flights in the order of
    /// `keys`.
    pub(super) fn bypass_many(
        self: &Arc<Self>,
        keys: &[K],
        loader: Loader<K, V>,
    ) -> Vec<Arc<Flight<K, V>>> {
        let mut load = Load::new(self.clone(), loader);
        let mut started = HashMap::new();
        let mut flights = Vec::with_capacity(keys.len());
        for key in keys {
            // A key that is named twice is loaded once.
            let flight = started.entry(key).or_insert_with(|| {
                let part = Part::bypassing(key.clone());
                let flight = part.flight.clone();
                load.push(part);
                flight
            });
            flights.push(flight.clone());
        }
        load.spawn();
        flights
    }

    /// Starts a load in the background, unless a write is open or a load is registered. The value
    /// stays readable.
    fn refresh(self: &Arc<Self>, key: &K, loader: Loader<K, V>) {
        let part_key = key.clone();
        let flight = {
            let mut stripe = self.stripe(key);
            let creates = self.creates();
            let region_open = stripe.is_covered(key) || creates.is_open();
            let progress = stripe.keys.entry(key.clone()).or_default();
            if progress.is_open(region_open) || progress.load().is_some() {
                stripe.forget_idle(key);
                return;
            }
            self.register(key, creates.generation(), progress)
        };
        let mut load = Load::refresh(self.clone(), loader);
        load.push(Part::refresh(part_key, flight));
        load.spawn();
    }

    /// Returns a loaded value as the result of a read.
    pub(super) fn read_of(&self, loaded: Loaded<V>, source: Source) -> Read<V> {
        Read {
            value: loaded.value,
            source,
            age: Age::between(loaded.at, self.clock.now()),
        }
    }

    /// Returns the result of a load to a reader. If the load failed and the region is fail-safe,
    /// the expired value is returned instead, if it is still in memory.
    pub(crate) fn answer(
        &self,
        key: &K,
        result: LoadResult<V>,
        source: Source,
    ) -> Result<Read<V>, LoadError> {
        let error = match result {
            Ok(loaded) => return Ok(self.read_of(loaded, source)),
            Err(error) => error,
        };
        let now = self.clock.now();
        // A write removes expired values, too, so this one is as new as the last write.
        if let (Some(stale_for), Some(slot)) = (self.policy.fail_safe, self.store.get(key))
            && now < slot.times.expires_at.saturating_add(nanos(stale_for))
        {
            self.counters.stale_served.one();
            return Ok(Read {
                value: Some(slot.value),
                source: Source::Stale,
                age: Age::between(slot.times.loaded_at, now),
            });
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use crate::{
        Clock, Manager, Policy, Region, Runtime, Unknown,
        region::{loader, stripe::WideWindow},
        sync::{Arc, AtomicUsize, Ordering},
    };

    /// A reader may have found the value just before the region is written.
    #[test]
    fn no_refresh_starts_while_the_region_is_written() {
        let spawned = Arc::new(AtomicUsize::new(0));
        let counted = spawned.clone();
        let count = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        let manager = Manager::new(Runtime::new(Clock::manual().0, count), Unknown::Never);
        let policy = Policy::new(Duration::from_mins(1), 10);
        let numbers: Region<u64, u64> = manager.region("numbers", policy);
        let refresh = || {
            let load = || async { Ok::<_, Infallible>(Some(7)) };
            numbers.state.refresh(&7, loader::one(7, load));
            spawned.load(Ordering::SeqCst)
        };
        let window = WideWindow::whole();
        numbers.state.stripe(&7).open_wide(&window);
        assert_eq!(refresh(), 0);
        numbers.state.stripe(&7).close_wide(&window);
        assert_eq!(refresh(), 1);
    }
}
