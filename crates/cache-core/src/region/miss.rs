//! Reads that miss: they join a load, start one, or bypass the cache.

use std::collections::HashMap;

use super::{
    bypass,
    flight::Flight,
    found::Found,
    limits::LoadLimits,
    load::{Load, Part},
    loader::{LoadFailure, LoadResult, Loaded, Loader},
    policy::Key,
    read::{Age, Read, Source},
    state::RegionState,
};
use crate::{
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
pub(super) enum Decision<K, V> {
    Found(Found<V>),
    Join(Arc<Flight<K, V>>),
    /// The load is registered; the reader starts it.
    Start(Part<K, V>),
    Bypass,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Begins a read of one key.
    pub(crate) fn read(
        self: &Arc<Self>,
        key: &K,
        loader: Loader<K, V>,
        limits: LoadLimits,
    ) -> Next<K, V> {
        match self.find(key) {
            Some(found) => self.serve(key, found, loader),
            None => self.load(key, loader, limits),
        }
    }

    /// Begins a read of one key after the caller has looked up its value and found none.
    pub(crate) fn read_after_miss(self: &Arc<Self>, key: &K, loader: Loader<K, V>) -> Next<K, V> {
        // The caller's look-up sees values only.
        match self.find_absence(key) {
            Some(read) => Next::Return(read),
            None => self.load(key, loader, LoadLimits::USUAL),
        }
    }

    fn serve(self: &Arc<Self>, key: &K, found: Found<V>, loader: Loader<K, V>) -> Next<K, V> {
        if found.refresh_due {
            self.refresh(key, loader);
        }
        Next::Return(found.read)
    }

    fn load(self: &Arc<Self>, key: &K, loader: Loader<K, V>, limits: LoadLimits) -> Next<K, V> {
        let (flight, source) = match self.decide(key) {
            Decision::Found(found) => return self.serve(key, found, loader),
            Decision::Join(flight) => {
                let flight = self.rules().share_failure(key, flight, loader);
                (flight, Source::Joined)
            }
            Decision::Start(part) => {
                let flight = part.flight.clone();
                let mut load = Load::new(self.clone(), loader, limits);
                load.extend(Some(part));
                load.spawn();
                (flight, Source::Loaded)
            }
            Decision::Bypass => (self.bypass(key, loader, limits), Source::DuringWrite),
        };
        self.count_miss(Some(key));
        Next::Wait(flight, source)
    }

    /// Begins a read of many keys. Those that are missing share one load, which also refreshes the
    /// values that are due. Keys that a write makes stale share another.
    pub(crate) fn read_many(self: &Arc<Self>, keys: &[K], loader: Loader<K, V>) -> Vec<Next<K, V>> {
        // It takes each part at once: if user code panics at a later key, the parts end.
        let mut load = Load::new(self.clone(), loader, LoadLimits::USUAL);
        // The load of this batch has not been polled yet: a key that is named twice may wait for
        // it.
        let mut started = HashMap::new();
        let mut all = Vec::with_capacity(keys.len());
        let mut bypassing = Vec::new();
        for (position, key) in keys.iter().enumerate() {
            if let Some(found) = self.find(key) {
                if found.refresh_due {
                    load.extend(self.refresh_part(key));
                }
                all.push(Next::Return(found.read));
                continue;
            }
            let next = match started.get(key) {
                Some(flight) => Next::Wait(Arc::clone(flight), Source::Loaded),
                None => match self.decide(key) {
                    Decision::Found(found) => Next::Return(found.read),
                    Decision::Join(flight) => Next::Wait(flight, Source::Joined),
                    Decision::Start(part) => {
                        let flight = part.flight.clone();
                        load.extend(Some(part));
                        started.insert(key, flight.clone());
                        Next::Wait(flight, Source::Loaded)
                    }
                    Decision::Bypass => {
                        bypassing.push(position);
                        // Another flight takes its place below.
                        Next::Wait(Flight::unregistered(), Source::DuringWrite)
                    }
                },
            };
            if let Next::Wait(..) = next {
                self.count_miss(Some(key));
            }
            all.push(next);
        }
        for (position, flight) in self.bypass_with(load, keys, &bypassing) {
            all[position] = Next::Wait(flight, Source::DuringWrite);
        }
        all
    }

    /// Spawns a load, and returns the flights of the keys at `positions`, which bypass the cache.
    /// They are parts of the load, unless it has no other part: then other readers may share them.
    fn bypass_with(
        self: &Arc<Self>,
        load: Load<K, V>,
        keys: &[K],
        positions: &[usize],
    ) -> Vec<(usize, Arc<Flight<K, V>>)> {
        let bypassing: Vec<K> = positions.iter().map(|at| keys[*at].clone()).collect();
        let flights: Vec<_> = match load.into_loader() {
            Ok(loader) => self.bypass_many(&bypassing, loader),
            Err(mut load) => {
                let flights = load.bypass(bypassing);
                load.spawn();
                flights
            }
        };
        positions.iter().copied().zip(flights).collect()
    }

    /// Decides for a reader that missed, under the lock of its stripe.
    pub(super) fn decide(&self, key: &K) -> Decision<K, V> {
        let mut stripe = self.stripe(key);
        // The second look-up: a value may have been stored after the first one, before the lock.
        if let Some(found) = self.rules().second_look(self.find(key)) {
            return Decision::Found(found);
        }
        let creates = self.creates();
        let began = self.begin();
        let region_open = self.is_region_open(&stripe, key);
        let progress = stripe.keys.entry(key.clone()).or_default();
        // A flight that landed is still registered if user code panicked where it ended.
        let joinable = |flight: &Arc<Flight<K, V>>| {
            creates.allows_join(flight.began.generation)
                && self
                    .rules()
                    .only_since_tags(flight.began.tags == began.tags)
                && self.rules().only_current(self.may_join(flight))
                && !flight.began.is_ticket
                && !flight.has_landed()
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
                let flight = self.register(key, began, progress);
                Decision::Start(Part::load(part_key, flight))
            }
            Ask::Bypass => {
                stripe.forget_idle(key);
                Decision::Bypass
            }
        }
    }

    /// Returns `true` if a load may be joined: the changes of other processes are being reported,
    /// or it was registered within the bound. A change elsewhere unregisters it under the lock of
    /// its stripe, which the caller holds.
    fn may_join(&self, flight: &Flight<K, V>) -> bool {
        self.clock.now() < self.serving.sample().of_value(flight.began.at)
    }

    /// Returns a load that bypasses the cache: the queued one, or a new one that is queued.
    pub(super) fn bypass(
        self: &Arc<Self>,
        key: &K,
        loader: Loader<K, V>,
        limits: LoadLimits,
    ) -> Arc<Flight<K, V>> {
        // Before the queue counts as running: if cloning the key panics, no reader may wait for it.
        let queue_key = key.clone();
        let mut stripe = self.stripe(key);
        let progress = stripe.keys.entry(key.clone()).or_default();
        let ask = progress.ask_bypass();
        if let AskBypass::Join(flight) = ask {
            self.rules().share_queued(&flight, loader);
            return flight;
        }
        let flight = Flight::queued(loader, limits);
        progress.queue_bypass(flight.clone());
        drop(stripe);
        if matches!(ask, AskBypass::Run) {
            self.context
                .spawn_apart(bypass::run(self.clone(), queue_key));
        }
        flight
    }

    /// Starts a load in the background, unless a write is open or a load is registered. The value
    /// stays readable.
    fn refresh(self: &Arc<Self>, key: &K, loader: Loader<K, V>) {
        let mut load = Load::new(self.clone(), loader, LoadLimits::USUAL);
        load.extend(self.refresh_part(key));
        load.spawn();
    }

    /// Registers the refresh of a value. Returns `None` while a write is open or a load is
    /// registered.
    fn refresh_part(&self, key: &K) -> Option<Part<K, V>> {
        let part_key = key.clone();
        let mut stripe = self.stripe(key);
        let region_open = self.is_region_open(&stripe, key);
        let progress = stripe.keys.entry(key.clone()).or_default();
        let is_loading = progress.load().is_some_and(|load| !load.began.is_ticket);
        if progress.is_open(region_open) || is_loading {
            stripe.forget_idle(key);
            return None;
        }
        let flight = self.register(key, self.begin(), progress);
        Some(Part::refresh(part_key, flight))
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
    ) -> Result<Read<V>, LoadFailure> {
        let failure = match result {
            Ok(loaded) => return Ok(self.read_of(loaded, source)),
            Err(failure) => failure,
        };
        self.older(key).ok_or(failure)
    }

    /// Returns the value in memory to a reader whose load failed or is slow, if the region is
    /// fail-safe and the value may be served.
    pub(super) fn older(&self, key: &K) -> Option<Read<V>> {
        self.policy.fail_safe?;
        let (now, serving) = (self.clock.now(), self.serving.sample());
        let slot = self.store.get(key)?;
        if now >= serving.of_value(slot.times.loaded_at) {
            return None;
        }
        let ends_at = slot.ends_at(self.idle);
        // A write removes expired values, too, so this one is as new as the last write.
        let source = if now < ends_at {
            Source::Hit
        } else if self.may_serve_stale(ends_at, now) {
            self.counters.stale_served.one();
            Source::Stale
        } else {
            return None;
        };
        Some(Read {
            value: Some(slot.value),
            source,
            age: Age::between(slot.times.loaded_at, now),
        })
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
