//! The values and absences of a region: `quick_cache`, with the times of each value in its key.

use std::{
    borrow::Borrow,
    cell::{Cell, RefCell},
    hash::Hash,
};

use quick_cache::{Lifecycle, Weighter, sync::Cache};

use super::{
    changes::Changes,
    size::{Size, greatest_in},
    timed::{Extra, Query, Slot, Timed, Times, slot, with_entry},
};
use crate::{clock::Nanos, rules::Rules, sync::Arc};

/// A cached absence: the source has no value for the key.
#[derive(Clone, Copy)]
pub(crate) struct Absent {
    /// The create generation of the load that found the absence.
    pub(crate) generation: u64,
    pub(crate) loaded_at: Nanos,
    pub(crate) expires_at: Nanos,
}

pub(crate) struct Store<K, V> {
    values: Values<K, V>,
    absences: Cache<K, Absent>,
    changes: Arc<Changes>,
    /// The weight of the heaviest value that is stored.
    max_weight: u64,
    rules: Rules,
}

type Values<K, V> = Cache<Timed<K>, V, ByTimes, quick_cache::DefaultHashBuilder, Evictions>;

/// Weighs an entry by the weight beside its key.
#[derive(Clone)]
struct ByTimes;

impl<K, V> Weighter<Timed<K>, V> for ByTimes {
    fn weight(&self, timed: &Timed<K>, _: &V) -> u64 {
        u64::from(timed.times.weight)
    }
}

/// The hook of `quick_cache` that is called under the lock of the shard for each value that another
/// one replaces or evicts. It counts the change and collects the entry. The caller drops the
/// entries after it has released its locks.
#[derive(Clone)]
struct Evictions(Arc<Changes>);

impl<K: Hash, V> Lifecycle<Timed<K>, V> for Evictions {
    type RequestState = Evicted<K, V>;

    fn on_evict(&self, evicted: &mut Self::RequestState, timed: Timed<K>, value: V) {
        self.0.count(&timed.key);
        evicted.push((timed, value));
    }
}

/// Entries that a change evicted, replaced or removed. The caller passes them to
/// [`RegionState::finish_removal`](super::state::RegionState::finish_removal) where no lock is
/// held.
pub(crate) type Evicted<K, V> = Vec<(Timed<K>, V)>;

/// The effect of giving a value other times. Dropped where no lock is held.
#[must_use]
pub(crate) struct Retimed<K, V> {
    /// The entries of other keys that were evicted.
    pub(crate) evicted: Evicted<K, V>,
    /// Copies of the value itself.
    #[expect(dead_code, reason = "dropped where no lock is held")]
    replaced: Evicted<K, V>,
}

/// A removed value and whether an absence was removed. Passed to
/// [`RegionState::finish_removal`](super::state::RegionState::finish_removal) where no lock is
/// held.
#[must_use]
pub(crate) struct Removed<K, V> {
    /// The entry, if there was one.
    pub(crate) values: Evicted<K, V>,
    absence: bool,
}

impl<K, V> Removed<K, V> {
    /// Returns `true` if anything was removed.
    pub(crate) fn any(&self) -> bool {
        !self.values.is_empty() || self.absence
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Store<K, V> {
    /// Returns an empty store.
    pub(crate) fn new(size: &Size, rules: Rules) -> Self {
        let changes = Arc::new(Changes::new(rules.clone()));
        let values = Cache::with_options(
            size.options(),
            ByTimes,
            quick_cache::DefaultHashBuilder::default(),
            Evictions(changes.clone()),
        );
        let absences = Size {
            capacity: size.absences as u64,
            max_weight: 1,
            items: size.absences,
            absences: 0,
        };
        Self {
            max_weight: size.max_weight.min(greatest_in(values.shard_capacity())),
            values,
            absences: Cache::with_options(
                absences.options(),
                quick_cache::UnitWeighter,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            changes,
            rules,
        }
    }

    /// Returns the counts of the changes of keys.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Completes a change after its lock was released.
    fn finish_change(&self, evicted: &Evicted<K, V>) {
        for (timed, _) in evicted {
            self.changes.count_late(&timed.key);
        }
    }

    /// Returns `true` if a value of this weight is never stored.
    pub(crate) fn is_too_heavy(&self, weight: u32) -> bool {
        u64::from(weight) > self.max_weight
    }

    /// Returns the weight of the heaviest value that is stored.
    pub(crate) fn max_weight(&self) -> u64 {
        self.max_weight
    }

    /// Returns the time until which the value is fresh. Does not count as a use.
    pub(crate) fn fresh_until(&self, key: &K) -> Option<Nanos> {
        self.copied(key, |found| found.times.fresh_until)
    }

    /// Returns the value if it is fresh at `now`, and the time of its load.
    #[inline]
    pub(crate) fn fresh<Q: Hash + Eq + ?Sized>(&self, key: &Q, now: Nanos) -> Option<(V, Nanos)>
    where
        K: Borrow<Q>,
    {
        let loaded_at = Cell::new(0);
        let passes = |found: &Timed<K>| {
            loaded_at.set(found.times.loaded_at);
            now < found.times.fresh_until
        };
        let value = self.values.get(&Query { key, passes })?;
        Some((value, loaded_at.get()))
    }

    /// Returns the value if it is fresh at `now`, and its times. Counts as a use.
    pub(crate) fn fresh_with_times<Q: Hash + Eq + ?Sized>(
        &self,
        key: &Q,
        now: Nanos,
    ) -> Option<(V, Times)>
    where
        K: Borrow<Q>,
    {
        let times = Cell::new(None);
        let passes = |found: &Timed<K>| {
            times.set(Some(found.times));
            now < found.times.fresh_until
        };
        let value = self.values.get(&Query { key, passes })?;
        Some((value, times.get()?))
    }

    /// Returns the value, fresh or not. Counts as a use, for the eviction policy.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Slot<V>>
    where
        K: Borrow<Q>,
    {
        let copied = RefCell::default();
        let value = self.values.get(&with_entry(key, &copied))?;
        slot(value, copied)
    }

    /// Returns the value, fresh or not. Does not count as a use.
    pub(crate) fn peek<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Slot<V>>
    where
        K: Borrow<Q>,
    {
        let copied = RefCell::default();
        let value = self.values.peek(&with_entry(key, &copied))?;
        slot(value, copied)
    }

    /// Returns the key that equals `key`, for a caller that has only a borrowed form of it.
    pub(crate) fn stored_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<K>
    where
        K: Borrow<Q>,
    {
        self.copied(key, |found| found.key.clone())
    }

    /// Returns the extra part of the entry of a key, if it has one.
    pub(super) fn extra(&self, key: &K) -> Option<Arc<Extra>> {
        self.copied(key, |found| found.extra.clone()).flatten()
    }

    /// Returns what `copy` takes from the entry of a key, without cloning its value.
    pub(super) fn copied<Q: Hash + Eq + ?Sized, T>(
        &self,
        key: &Q,
        copy: impl Fn(&Timed<K>) -> T,
    ) -> Option<T>
    where
        K: Borrow<Q>,
    {
        let copied = RefCell::new(None);
        let passes = |found: &Timed<K>| {
            copied.replace(Some(copy(found)));
            true
        };
        self.values.contains_key(&Query { key, passes });
        copied.into_inner()
    }

    pub(crate) fn absent<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Absent>
    where
        K: Borrow<Q>,
    {
        self.absences.get(key)
    }

    /// Stores a value. It replaces an absence of the key.
    pub(crate) fn put(
        &self,
        key: K,
        value: V,
        times: Times,
        extra: Option<Arc<Extra>>,
    ) -> Evicted<K, V> {
        self.absences.remove(&key);
        self.insert(Timed { key, times, extra }, value)
    }

    fn insert(&self, timed: Timed<K>, value: V) -> Evicted<K, V> {
        let mut evicted = Vec::new();
        self.values
            .insert_with_lifecycle(timed, value, &mut evicted);
        self.finish_change(&evicted);
        evicted
    }

    /// Gives the value of a key other times. Does nothing if the key has no value: a bulk removal,
    /// which takes no lock of the caller's, must not be undone. Returns the entries that were
    /// evicted for it.
    fn retime(&self, key: &K, slot: Slot<V>, times: Times) -> Retimed<K, V> {
        let mut evicted = Vec::new();
        let entry = Timed {
            key: key.clone(),
            times,
            extra: slot.extra,
        };
        let gone = self
            .values
            .replace_with_lifecycle(entry, slot.value, true, &mut evicted)
            .err();
        self.finish_change(&evicted);
        let gone = self
            .rules
            .stays_removed(gone, |(entry, value)| self.insert(entry, value));
        let (mut replaced, evicted): (Vec<_>, Vec<_>) = evicted
            .into_iter()
            .partition(|(timed, _)| timed.key == *key);
        replaced.extend(gone);
        Retimed { evicted, replaced }
    }

    /// Postpones the next refresh of a value to `refresh_at`.
    pub(crate) fn postpone_refresh(&self, key: &K, refresh_at: Nanos) -> Option<Retimed<K, V>> {
        let slot = self.peek(key)?;
        let times = Times {
            fresh_until: refresh_at.min(slot.times.expires_at),
            ..slot.times
        };
        Some(self.retime(key, slot, times))
    }

    /// Gives a value that changed in place its new weight.
    pub(crate) fn reweigh(&self, key: &K, slot: Slot<V>, weight: u32) -> Option<Retimed<K, V>> {
        if slot.times.weight == weight {
            return None;
        }
        let times = Times {
            weight,
            ..slot.times
        };
        Some(self.retime(key, slot, times))
    }

    /// Stores an absence. It replaces the value of the key, which is returned.
    pub(crate) fn put_absent(&self, key: K, absent: Absent) -> Evicted<K, V> {
        let old = self.remove_value_if(&key, |_| true);
        self.absences.insert(key, absent);
        old
    }

    /// Removes the value and the absence of a key.
    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Removed<K, V>
    where
        K: Borrow<Q>,
    {
        Removed {
            values: self.remove_value_if(key, |_| true),
            absence: self.absences.remove(key).is_some(),
        }
    }

    /// Removes a value if its entry passes the test. Returns it if there was one.
    pub(crate) fn remove_value_if<Q: Hash + Eq + ?Sized>(
        &self,
        key: &Q,
        passes: impl Fn(&Timed<K>) -> bool,
    ) -> Evicted<K, V>
    where
        K: Borrow<Q>,
    {
        // Counted within the query, which runs under the lock of the shard.
        let passes = |found: &Timed<K>| {
            let is_removed = passes(found);
            if is_removed {
                self.changes.count(key);
            }
            is_removed
        };
        let removed = self.values.remove(&Query { key, passes });
        let removed = removed.into_iter().collect();
        self.finish_change(&removed);
        removed
    }

    /// Removes an absence if it passes the test. Returns `true` if one was removed.
    pub(crate) fn remove_absent_if(&self, key: &K, test: impl FnOnce(&Absent) -> bool) -> bool {
        self.absences.remove_if(key, test).is_some()
    }

    /// Returns the keys of all values with their times, without cloning a value. One that is stored
    /// or removed meanwhile may be missed.
    pub(crate) fn timed(&self) -> Vec<(K, Times)> {
        let timed = RefCell::new(Vec::new());
        self.values.retain(|found, _| {
            timed.borrow_mut().push((found.key.clone(), found.times));
            true
        });
        timed.into_inner()
    }

    /// Returns the keys of all values whose entries pass, without cloning a value. One that is
    /// stored or removed meanwhile may be missed.
    pub(crate) fn keys(&self, passes: impl Fn(&Timed<K>) -> bool) -> Vec<K> {
        let keys = RefCell::new(Vec::new());
        // The only way to see all entries that clones no value.
        self.values.retain(|timed, _| {
            if passes(timed) {
                keys.borrow_mut().push(timed.key.clone());
            }
            true
        });
        keys.into_inner()
    }

    /// Iterates over all absences. No lock is held between two of them, so one that is stored or
    /// removed meanwhile may be missed.
    pub(crate) fn absences(&self) -> impl Iterator<Item = (K, Absent)> + Send + '_
    where
        K: Send + Sync,
    {
        self.absences.iter()
    }

    /// Returns the number of entries, including absences.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.absences.len()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.values.weight()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::OnceLock, thread};

    use quick_cache::OptionsBuilder;

    use super::*;
    use crate::rules::tests::rules;

    /// Returns the greatest size in bytes that the crate's front page states.
    fn bound<K, V>(entries: usize) -> usize {
        entries * (2 * (size_of::<K>() + size_of::<V>()) + 160) + 64 * 1024
    }

    #[test]
    fn the_heaviest_value_of_each_capacity_is_kept() {
        for capacity in (0..2_000).chain([12_345, 1 << 20, (1 << 20) + 1]) {
            let size = Size {
                capacity,
                max_weight: capacity / 16,
                items: 1_000,
                absences: 0,
            };
            let store = Store::<u64, ()>::new(&size, rules());
            let weight = u32::try_from(store.max_weight).unwrap();
            if weight > 0 {
                let times = Times { weight, ..FRESH };
                let _ = store.put(7, (), times, None);
                assert!(store.peek(&7).is_some(), "weight {weight} of {capacity}");
            }
        }
    }

    const FRESH: Times = Times {
        loaded_at: 0,
        expires_at: 1,
        fresh_until: 1,
        weight: 1,
    };

    #[test]
    fn a_full_region_takes_no_more_memory_than_the_formula_says() {
        for entries in [1_000, 50_000] {
            let size = Size {
                capacity: entries as u64,
                max_weight: 1,
                items: entries,
                absences: 0,
            };
            let store = Store::<u64, Arc<u64>>::new(&size, rules());
            for key in 0..4 * entries as u64 {
                let _ = store.put(key, Arc::new(key), FRESH, None);
            }
            let (used, bound) = (
                store.values.memory_used().total(),
                bound::<u64, Arc<u64>>(entries),
            );
            assert!(store.values.len() <= entries);
            assert!(
                used <= bound,
                "{entries} entries take {used} bytes, more than {bound}"
            );
            assert!(
                used * 4 > bound,
                "{entries} entries take {used} bytes: the formula overestimates fourfold"
            );
        }
    }

    /// The hook of a cache whose shard it finds locked.
    #[derive(Clone, Default)]
    struct Watch(Arc<OnceLock<Watched>>);

    type Watched =
        Cache<u64, u64, quick_cache::UnitWeighter, quick_cache::DefaultHashBuilder, Watch>;

    impl Watch {
        /// Returns `true` if another thread finds the only shard locked.
        fn is_locked(&self) -> bool {
            let cache = self.0.get().unwrap();
            thread::scope(|scope| scope.spawn(|| cache.try_get(&0).is_err()).join().unwrap())
        }
    }

    impl Lifecycle<u64, u64> for Watch {
        type RequestState = Vec<(u64, bool)>;

        fn on_evict(&self, evicted: &mut Self::RequestState, key: u64, _: u64) {
            evicted.push((key, self.is_locked()));
        }
    }

    /// A query that tells whether the shard is locked when keys are compared.
    struct WatchedQuery<'a>(u64, &'a Watch, &'a Cell<bool>);

    impl Hash for WatchedQuery<'_> {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl quick_cache::Equivalent<u64> for WatchedQuery<'_> {
        fn equivalent(&self, key: &u64) -> bool {
            self.2.set(self.1.is_locked());
            self.0 == *key
        }
    }

    /// Leases and glances rely on it, and `quick_cache` does not document it.
    #[test]
    fn quick_cache_calls_hooks_and_queries_of_a_change_under_the_lock_of_the_shard() {
        let watch = Watch::default();
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(2)
            .weight_capacity(2)
            .build()
            .unwrap();
        let cache = Cache::with_options(
            options,
            quick_cache::UnitWeighter,
            quick_cache::DefaultHashBuilder::default(),
            watch.clone(),
        );
        assert!(watch.0.set(cache).is_ok());
        assert!(!watch.is_locked());
        let cache = watch.0.get().unwrap();
        let mut evicted = Vec::new();
        cache.insert_with_lifecycle(1, 10, &mut evicted);
        assert_eq!(evicted, [], "nothing was replaced");
        cache.insert_with_lifecycle(1, 11, &mut evicted);
        assert_eq!(evicted, [(1, true)], "an insert replaced the value");
        assert!(
            cache
                .replace_with_lifecycle(1, 12, true, &mut evicted)
                .is_ok()
        );
        assert_eq!(evicted, [(1, true); 2], "a change of times replaced it");
        evicted.clear();
        (2..10).for_each(|key| cache.insert_with_lifecycle(key, key, &mut evicted));
        assert!(evicted.len() >= 6 && evicted.iter().all(|(_, is_locked)| *is_locked));
        let kept = cache.iter().next().unwrap().0;
        let is_locked = Cell::new(false);
        assert!(
            cache
                .remove(&WatchedQuery(kept, &watch, &is_locked))
                .is_some()
        );
        assert!(is_locked.get(), "a removal compares keys under the lock");
    }
}
