//! The two kinds of scope: windows over keys of a region, and a log that a write appends to.

use std::any::Any;

use super::window::{Outcome, Scope};
use crate::{
    clock::Nanos,
    protocol::log::Fold,
    region::{policy::Key, state::RegionState},
    sync::Arc,
    tail::copy::Tail,
};

/// The windows of one guard over keys of one region, or over the whole region.
pub(crate) struct RegionScope<K, V> {
    region: Arc<RegionState<K, V>>,
    keys: Vec<K>,
    rows: Vec<(K, V)>,
    /// The time at which the windows opened, from which the TTL of the rows counts.
    opened_at: Nanos,
    whole_region: bool,
    creating: bool,
    unknown: bool,
}

/// The log of one key, to which a write appends one entry.
pub(crate) struct LogScope<K, C: Fold> {
    log: Arc<RegionState<K, Arc<Tail<C>>>>,
    key: K,
    entry: Option<SequencedEntry<C>>,
    /// Opened only if the outcome of the write is unknown.
    window: Option<RegionScope<K, Arc<Tail<C>>>>,
}

struct SequencedEntry<C: Fold> {
    seq: u64,
    entry: C::Entry,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionScope<K, V> {
    pub(crate) fn new(region: Arc<RegionState<K, V>>) -> Self {
        Self {
            region,
            keys: Vec::new(),
            rows: Vec::new(),
            opened_at: 0,
            whole_region: false,
            creating: false,
            unknown: false,
        }
    }

    pub(crate) fn is_of(&self, region: &Arc<RegionState<K, V>>) -> bool {
        Arc::ptr_eq(&self.region, region)
    }

    /// Adds a key. Adding it again has no effect: a write must not contend with itself.
    pub(crate) fn add_key(&mut self, key: K) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    pub(crate) fn add_whole_region(&mut self) {
        self.whole_region = true;
    }

    pub(crate) fn add_create(&mut self) {
        self.creating = true;
    }

    /// Adds a row that the write returned. It is stored when the window closes.
    pub(crate) fn put(&mut self, key: K, row: V) {
        self.rows.push((key, row));
    }

    /// Returns the number of windows, as the statistics count them.
    fn windows(&self) -> usize {
        self.keys.len() + usize::from(self.whole_region)
    }

    fn open_whole_region(&self) {
        let region = &*self.region;
        // Stripe by stripe, and never two at once: no other order of locks is needed.
        for stripe in &region.stripes {
            let mut stripe = stripe.lock();
            stripe.region_open += 1;
            for progress in stripe.keys.values_mut() {
                let load = progress.invalidate();
                region.rules().unregistered(progress, load);
            }
            stripe.forget_all_idle();
        }
        // After all stripes are open: a value stored before then is found and removed here.
        region.remove_where(|_| true);
    }

    /// Opens the window of one key. Returns `true` if it removed a value or an absence.
    fn open_key(&self, key: &K) -> bool {
        let region = &*self.region;
        let mut stripe = region.stripe(key);
        let region_open = stripe.region_open > 0;
        let progress = stripe.keys.entry(key.clone()).or_default();
        let load = progress.open(region_open);
        region.rules().unregistered(progress, load);
        let removed = region.rules().before_write(|| region.store.remove(key));
        drop(stripe);
        // Dropped after the lock is released: dropping a value runs user code.
        removed.is_some_and(|removed| removed.any())
    }

    /// Closes the window of one key. Stores the row that was added for the key if the write
    /// committed, no other write of the key overlapped it, and the region is on.
    fn close_key(&mut self, key: K, outcome: Outcome) {
        let row = self
            .rows
            .iter()
            .position(|(named, _)| *named == key)
            .map(|index| self.rows.swap_remove(index).1);
        let region = &*self.region;
        let mut stripe = region.stripe(&key);
        let region_open = stripe.region_open > 0;
        let alone = stripe
            .keys
            .get_mut(&key)
            .is_some_and(|progress| progress.close(region_open));
        stripe.forget_idle(&key);
        region
            .rules()
            .after_write(|| drop(region.store.remove(&key)));
        let may_store = outcome == Outcome::Committed
            && region.rules().only_alone(alone)
            && region.is_enabled();
        let stored = row
            .filter(|_| may_store)
            .map(|row| region.put(key.clone(), row, self.opened_at, region.policy.ttl));
        drop(stripe);
        if let Some(stored) = stored {
            region.count_evicted(stored);
        }
        region.counters.contended_closes.add(usize::from(!alone));
        self.count_closed();
        region.listeners.notify(&key);
    }

    fn close_whole_region(&self) {
        for stripe in &self.region.stripes {
            stripe.lock().region_open -= 1;
        }
        self.count_closed();
        self.region.listeners.notify_all();
    }

    fn count_closed(&self) {
        let counters = &self.region.counters;
        counters.open_windows.subtract(1);
        counters.unknown_windows.subtract(usize::from(self.unknown));
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Scope for RegionScope<K, V> {
    fn open(&mut self) {
        // Before the write: a row is as old as its commit, which comes later.
        self.opened_at = self.region.clock.now();
        if self.creating {
            self.region.begin_create();
        }
        if self.whole_region {
            self.open_whole_region();
        }
        let removed = self.keys.iter().filter(|key| self.open_key(key)).count();
        let region = &*self.region;
        region.counters.open_windows.add(self.windows());
        region.counters.invalidations.add(removed);
        tracing::debug!(
            target: "cache",
            region = region.name,
            windows = self.windows(),
            removed,
            "invalidation"
        );
    }

    fn close(&mut self, outcome: Outcome) {
        for key in std::mem::take(&mut self.keys) {
            self.close_key(key, outcome);
        }
        if self.whole_region {
            self.close_whole_region();
        }
        if self.creating {
            self.region.end_create();
        }
    }

    fn mark_unknown(&mut self) {
        self.unknown = true;
        let windows = self.windows();
        self.region.counters.unknown_windows.add(windows);
        tracing::debug!(target: "cache", region = self.region.name, windows, "unknown windows");
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl<K: Key, C: Fold> LogScope<K, C> {
    pub(crate) fn new(log: Arc<RegionState<K, Arc<Tail<C>>>>, key: K) -> Self {
        Self {
            log,
            key,
            entry: None,
            window: None,
        }
    }

    pub(crate) fn is_of(&self, log: &Arc<RegionState<K, Arc<Tail<C>>>>) -> bool {
        Arc::ptr_eq(&self.log, log)
    }

    /// Sets the entry that the write committed. It is applied when the scope closes.
    pub(crate) fn append(&mut self, seq: u64, entry: C::Entry) {
        self.entry = Some(SequencedEntry { seq, entry });
    }

    fn open_window(&mut self) -> &mut RegionScope<K, Arc<Tail<C>>> {
        let window = self.window.insert(RegionScope::new(self.log.clone()));
        window.add_key(self.key.clone());
        window.open();
        window
    }
}

impl<K: Key, C: Fold> Scope for LogScope<K, C> {
    /// Opens nothing: an append makes no value stale, so a hot log stays in memory.
    fn open(&mut self) {}

    fn close(&mut self, outcome: Outcome) {
        match (outcome, self.entry.take()) {
            (Outcome::Committed, Some(SequencedEntry { seq, entry })) => {
                self.log.append(&self.key, seq, &entry);
            }
            // The write may have appended an entry without reporting it: a window removes the copy.
            (Outcome::Unspecified, _) if self.window.is_none() => {
                self.open_window();
            }
            (Outcome::Committed, None) | (Outcome::NotApplied | Outcome::Unspecified, _) => {}
        }
        if let Some(mut window) = self.window.take() {
            window.close(Outcome::Unspecified);
        }
    }

    fn mark_unknown(&mut self) {
        self.open_window().mark_unknown();
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
