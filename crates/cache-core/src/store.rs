//! Where values stand: `quick_cache`, with the time each was read and the time it expires beside it.

use std::hash::Hash;

use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync::Cache};

use crate::clock::Nanos;

/// A value and its times.
#[derive(Clone)]
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) at: Nanos,
    pub(crate) until: Nanos,
    /// From when on a reader starts a refresh; never, if it is `Nanos::MAX`.
    pub(crate) refresh_at: Nanos,
    pub(crate) weight: u32,
}

/// That a key has no value, known since a load of this create-generation.
#[derive(Clone, Copy)]
pub(crate) struct Absent {
    pub(crate) generation: u64,
    pub(crate) at: Nanos,
    pub(crate) until: Nanos,
}

pub(crate) struct Store<K, V> {
    values: Cache<K, Slot<V>, BySlot, quick_cache::DefaultHashBuilder, Evictions>,
    absences: Cache<K, Absent>,
}

#[derive(Clone)]
struct BySlot;

impl<K, V> Weighter<K, Slot<V>> for BySlot {
    fn weight(&self, _: &K, slot: &Slot<V>) -> u64 {
        u64::from(slot.weight)
    }
}

/// Counts what capacity pushes out, and keeps it so that it is dropped after the locks.
#[derive(Clone)]
struct Evictions;

impl<K, V> Lifecycle<K, Slot<V>> for Evictions {
    type RequestState = Vec<(K, Slot<V>)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, slot: Slot<V>) {
        evicted.push((key, slot));
    }
}

/// What a change pushed out; drop it where no lock is held.
pub(crate) type Evicted<K, V> = Vec<(K, Slot<V>)>;

impl<K: Clone + Eq + Hash, V: Clone> Store<K, V> {
    /// `capacity` in the weigher's unit, of `items` entries as a rule.
    pub(crate) fn new(capacity: u64, items: usize, absences: usize) -> Self {
        let options = |weight: u64, items: usize| {
            let mut options = OptionsBuilder::new();
            options.weight_capacity(weight).estimated_items_capacity(items);
            if cfg!(shuttle) {
                // Fewer steps, so that more schedules come to what matters.
                options.shards(1);
            }
            options.build().expect("both capacities are given")
        };
        Self {
            values: Cache::with_options(
                options(capacity.max(1), items.max(1)),
                BySlot,
                quick_cache::DefaultHashBuilder::default(),
                Evictions,
            ),
            absences: Cache::with_options(
                options(absences as u64, absences),
                quick_cache::UnitWeighter,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &K) -> Option<Slot<V>> {
        self.values.get(key)
    }

    /// The same without counting as a use.
    pub(crate) fn peek(&self, key: &K) -> Option<Slot<V>> {
        self.values.peek(key)
    }

    pub(crate) fn absent(&self, key: &K) -> Option<Absent> {
        self.absences.get(key)
    }

    pub(crate) fn put(&self, key: K, value: V, (at, until, refresh_at): (Nanos, Nanos, Nanos), weight: u32) -> Evicted<K, V> {
        self.absences.remove(&key);
        let mut evicted = Vec::new();
        self.values.insert_with_lifecycle(key, Slot { value, at, until, refresh_at, weight }, &mut evicted);
        evicted
    }

    /// Puts the same value off its next refresh.
    pub(crate) fn put_off(&self, key: &K, refresh_at: Nanos) -> Evicted<K, V> {
        let mut evicted = Vec::new();
        if let Some(slot) = self.values.peek(key) {
            self.values.insert_with_lifecycle(key.clone(), Slot { refresh_at, ..slot }, &mut evicted);
        }
        evicted
    }

    /// Puts the same value back with another weight.
    pub(crate) fn weigh(&self, key: &K, slot: Slot<V>, weight: u32) -> Evicted<K, V> {
        let mut evicted = Vec::new();
        if slot.weight != weight {
            self.values.insert_with_lifecycle(key.clone(), Slot { weight, ..slot }, &mut evicted);
        }
        evicted
    }

    pub(crate) fn put_absent(&self, key: K, absent: Absent) -> Option<(K, Slot<V>)> {
        let old = self.values.remove(&key);
        self.absences.insert(key, absent);
        old
    }

    /// Takes out the value and the absence.
    pub(crate) fn remove(&self, key: &K) -> (Option<(K, Slot<V>)>, bool) {
        (self.values.remove(key), self.absences.remove(key).is_some())
    }

    pub(crate) fn remove_value_if(&self, key: &K, test: impl FnOnce(&Slot<V>) -> bool) -> bool {
        self.values.remove_if(key, test).is_some()
    }

    pub(crate) fn remove_absent_if(&self, key: &K, test: impl FnOnce(&Absent) -> bool) -> bool {
        self.absences.remove_if(key, test).is_some()
    }

    /// All entries, without a lock held for longer than one step; what comes or goes meanwhile may be missed.
    pub(crate) fn values(&self) -> impl Iterator<Item = (K, Slot<V>)> + Send + '_
    where
        K: Send + Sync,
        V: Send + Sync,
    {
        self.values.iter()
    }

    pub(crate) fn absences(&self) -> impl Iterator<Item = (K, Absent)> + Send + '_
    where
        K: Send + Sync,
    {
        self.absences.iter()
    }

    /// Entries, absences among them.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.absences.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.values.weight()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The front page's formula.
    fn bound<K, V>(entries: usize) -> usize {
        entries * (2 * (size_of::<K>() + size_of::<V>()) + 160) + 64 * 1024
    }

    #[test]
    fn a_full_region_takes_no_more_memory_than_the_formula_says() {
        for entries in [1_000, 50_000] {
            let store = Store::<u64, Arc<u64>>::new(entries as u64, entries, 0);
            for key in 0..4 * entries as u64 {
                store.put(key, Arc::new(key), (0, 1, u64::MAX), 1);
            }
            let (used, bound) = (store.values.memory_used().total(), bound::<u64, Arc<u64>>(entries));
            assert!(store.values.len() <= entries);
            assert!(used <= bound, "{entries} entries take {used} bytes, more than {bound}");
            assert!(used * 4 > bound, "{entries} entries take {used} bytes: the formula is no estimate any more");
        }
    }
}
