//! What one guard holds in one region: windows over keys, or the end of a log that it appends to.

use std::any::Any;

use crate::{
    clock::Nanos,
    creates::Creates,
    log::Fold,
    progress::Progress,
    region::{Key, Region},
    shared::Fault,
    sync::Arc,
    tail::{Tail, TailRegion},
};

/// The keys of one guard in one region.
pub(crate) trait Scope: Any + Send + Sync {
    fn open(&mut self);
    fn close(&mut self, end: End);
    fn mark_unknown(&mut self);
    fn as_any(&mut self) -> &mut dyn Any;
}

/// What is known of a write whose windows close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Committed, and what it stores is named.
    Committed,
    /// It was not applied.
    NotApplied,
    /// Settled, or committed without word of what it wrote.
    Untold,
}

pub(crate) struct RegionScope<K, V> {
    region: Region<K, V>,
    pub(crate) keys: Vec<K>,
    puts: Vec<(K, V)>,
    at: Nanos,
    pub(crate) all: bool,
    pub(crate) creating: bool,
    unknown: bool,
}

/// A log that a write appends to.
pub(crate) struct TailScope<K, C: Fold> {
    region: TailRegion<K, C>,
    key: K,
    entry: Option<(u64, C::Entry)>,
    /// Open when the outcome is unknown.
    window: Option<RegionScope<K, Arc<Tail<C>>>>,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionScope<K, V> {
    pub(crate) fn new(region: Region<K, V>) -> Self {
        Self {
            region,
            keys: Vec::new(),
            puts: Vec::new(),
            at: 0,
            all: false,
            creating: false,
            unknown: false,
        }
    }

    pub(crate) fn is_of(&self, region: &Region<K, V>) -> bool {
        Arc::ptr_eq(&self.region.0, &region.0)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.puts.push((key, value));
    }

    /// What this counts as in the statistic of windows.
    fn windows(&self) -> usize {
        self.keys.len() + usize::from(self.all)
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Scope for RegionScope<K, V> {
    fn open(&mut self) {
        let inner = &*self.region.0;
        let late = inner.shared.faults.is(Fault::LateInvalidation);
        self.at = inner.clock.now();
        if self.creating {
            inner.count_create(Creates::begin);
        }
        if self.all {
            for stripe in &inner.stripes {
                let mut stripe = stripe.lock();
                stripe.region_open += 1;
                stripe
                    .keys
                    .values_mut()
                    .for_each(|progress| inner.overtake(progress, Progress::bulk));
                stripe.keys.retain(|_, progress| !progress.is_idle());
            }
            inner.remove_where(|_| true);
        }
        let mut removed = 0;
        for key in &self.keys {
            let mut stripe = inner.stripe(key);
            let region_open = stripe.region_open > 0;
            let progress = stripe.keys.entry(key.clone()).or_default();
            inner.overtake(progress, |progress| progress.open(region_open));
            let gone = if late {
                (None, false)
            } else {
                inner.store.remove(key)
            };
            drop(stripe);
            removed += usize::from(gone.0.is_some() || gone.1);
        }
        inner.counters.open_windows.add(self.windows());
        inner.counters.invalidations.add(removed);
        tracing::debug!(target: "cache", region = inner.name, windows = self.windows(), removed, "invalidation");
    }

    fn close(&mut self, end: End) {
        let inner = &*self.region.0;
        let late = inner.shared.faults.is(Fault::LateInvalidation);
        for key in self.keys.drain(..) {
            let value = self
                .puts
                .iter()
                .position(|(of, _)| *of == key)
                .map(|at| self.puts.swap_remove(at).1);
            let mut stripe = inner.stripe(&key);
            let region_open = stripe.region_open > 0;
            let alone = stripe
                .keys
                .get_mut(&key)
                .is_some_and(|progress| progress.close(region_open));
            inner.counters.contended_closes.add(usize::from(!alone));
            let alone = alone || inner.shared.faults.is(Fault::ContendedStore);
            stripe.forget_idle(&key);
            let gone = late.then(|| inner.store.remove(&key));
            let stored = match value {
                Some(value) if end == End::Committed && alone && inner.is_enabled() => {
                    Some(inner.put(key.clone(), value, self.at, inner.policy.ttl))
                }
                Some(_) | None => None,
            };
            drop(stripe);
            drop(gone);
            if let Some(stored) = stored {
                inner.count_evicted(stored);
            }
            inner.counters.open_windows.less(1);
            inner
                .counters
                .unknown_windows
                .less(usize::from(self.unknown));
            inner.bells.ring(&key);
        }
        if self.all {
            for stripe in &inner.stripes {
                stripe.lock().region_open -= 1;
            }
            inner.counters.open_windows.less(1);
            inner
                .counters
                .unknown_windows
                .less(usize::from(self.unknown));
            inner.bells.ring_all();
        }
        if self.creating {
            inner.count_create(Creates::end);
        }
    }

    fn mark_unknown(&mut self) {
        self.unknown = true;
        self.region.0.counters.unknown_windows.add(self.windows());
        tracing::debug!(target: "cache", region = self.region.0.name, windows = self.windows(), "unknown windows");
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<K: Key, C: Fold> TailScope<K, C> {
    pub(crate) fn new(region: TailRegion<K, C>, key: K) -> Self {
        Self {
            region,
            key,
            entry: None,
            window: None,
        }
    }

    pub(crate) fn is_of(&self, region: &TailRegion<K, C>) -> bool {
        Arc::ptr_eq(&self.region.0.0, &region.0.0)
    }

    pub(crate) fn append(&mut self, place: u64, entry: C::Entry) {
        self.entry = Some((place, entry));
    }

    fn open_window(&mut self) -> &mut RegionScope<K, Arc<Tail<C>>> {
        let window = self.window.insert(RegionScope::new(self.region.0.clone()));
        window.keys.push(self.key.clone());
        window.open();
        window
    }
}

impl<K: Key, C: Fold> Scope for TailScope<K, C> {
    fn open(&mut self) {}

    fn close(&mut self, end: End) {
        match (end, self.entry.take()) {
            (End::Committed, Some((place, entry))) => self.region.append(&self.key, place, &entry),
            // Something may have been appended that nobody can name: the copy goes.
            (End::Untold, _) if self.window.is_none() => {
                self.open_window();
            }
            (End::Committed, None) | (End::NotApplied | End::Untold, _) => {}
        }
        if let Some(mut window) = self.window.take() {
            window.close(End::Untold);
        }
    }

    fn mark_unknown(&mut self) {
        self.open_window().mark_unknown();
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
