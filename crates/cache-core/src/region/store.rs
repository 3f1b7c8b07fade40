//! The values and absences of a region: `quick_cache`, with the times of each value in its key.

use std::{
    cell::{Cell, RefCell},
    hash::{Hash, Hasher},
};

use quick_cache::{Equivalent, Lifecycle, Weighter, sync::Cache};

use super::{
    size::{Size, greatest_in},
    stripe::{STRIPES, Striping},
};
use crate::{
    clock::Nanos,
    rules::Rules,
    sync::{AtomicU64, Ordering},
};

/// The time at which a value was loaded, the times until which it may be served, and its weight.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) loaded_at: Nanos,
    pub(crate) expires_at: Nanos,
    /// The time from which a reader starts a refresh, or `expires_at` if that is earlier: a hit
    /// compares with one time only.
    pub(crate) fresh_until: Nanos,
    pub(crate) weight: u32,
}

/// A value and its times.
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) times: Times,
}

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
    /// The number of changes of the keys of each stripe, incremented before and after every insert
    /// and removal. A reader that sampled it before or during a change sees a different number
    /// afterwards; [`Lease`](crate::Lease) relies on this.
    changes: [AtomicU64; STRIPES],
    striping: Striping,
    /// The weight of the heaviest value that is stored.
    max_weight: u64,
    rules: Rules,
}

type Values<K, V> = Cache<Timed<K>, V, ByTimes, quick_cache::DefaultHashBuilder, Evictions>;

/// A key with the times of its value.
///
/// A look-up checks the times where it compares keys, under the lock of the shard that it needs
/// anyway, and clones nothing but a fresh value. Equality and hash are those of the key alone, so a
/// value that replaces another brings its own times.
#[derive(Clone)]
pub(crate) struct Timed<K> {
    pub(crate) key: K,
    pub(crate) times: Times,
}

impl<K: PartialEq> PartialEq for Timed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for Timed<K> {}

impl<K: Hash> Hash for Timed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// A query for a key whose times pass a test.
struct Query<'a, K, P> {
    key: &'a K,
    passes: P,
}

impl<K: Hash, P> Hash for Query<'_, K, P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<K: Eq, P: Fn(&Times) -> bool> Equivalent<Timed<K>> for Query<'_, K, P> {
    #[inline]
    fn equivalent(&self, stored: &Timed<K>) -> bool {
        *self.key == stored.key && (self.passes)(&stored.times)
    }
}

/// Queries a key with any times, and copies the times to `times`.
fn with_times<'a, K>(
    key: &'a K,
    times: &'a Cell<Option<Times>>,
) -> Query<'a, K, impl Fn(&Times) -> bool> {
    let passes = |found: &Times| {
        times.set(Some(*found));
        true
    };
    Query { key, passes }
}

/// Returns a query that finds a key, whatever the times of its value.
fn any<K>(key: &K) -> Query<'_, K, impl Fn(&Times) -> bool> {
    Query {
        key,
        passes: |_: &Times| true,
    }
}

/// Weighs an entry by the weight beside its key.
#[derive(Clone)]
struct ByTimes;

impl<K, V> Weighter<Timed<K>, V> for ByTimes {
    fn weight(&self, timed: &Timed<K>, _: &V) -> u64 {
        u64::from(timed.times.weight)
    }
}

/// The hook of `quick_cache` that collects evicted entries. The caller counts them, and drops them
/// after it has released its locks.
#[derive(Clone)]
struct Evictions;

impl<K, V> Lifecycle<Timed<K>, V> for Evictions {
    type RequestState = Evicted<K, V>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: Timed<K>, value: V) {
        evicted.push((key, value));
    }
}

/// The entries that a change evicted or replaced. The caller drops them where no lock is held.
pub(crate) type Evicted<K, V> = Vec<(Timed<K>, V)>;

/// A removed value and whether an absence was removed. Dropped where no lock is held.
pub(crate) struct Removed<K, V> {
    value: Option<(Timed<K>, V)>,
    absence: bool,
}

impl<K, V> Removed<K, V> {
    /// Returns `true` if anything was removed.
    pub(crate) fn any(&self) -> bool {
        self.value.is_some() || self.absence
    }

    /// Returns `true` if a value was removed.
    pub(crate) fn any_value(&self) -> bool {
        self.value.is_some()
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Store<K, V> {
    /// Returns an empty store.
    pub(crate) fn new(size: &Size, striping: Striping, rules: Rules) -> Self {
        let values = Cache::with_options(
            size.options(),
            ByTimes,
            quick_cache::DefaultHashBuilder::default(),
            Evictions,
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
            changes: [const { AtomicU64::new(0) }; STRIPES],
            striping,
            rules,
        }
    }

    /// Returns the number of changes in a stripe so far.
    pub(crate) fn changes(&self, stripe: usize) -> u64 {
        // SeqCst, like the increments: a lease compares two samples with look-ups between them, and
        // none of these may be reordered.
        self.changes[stripe].load(Ordering::SeqCst)
    }

    fn change<T>(&self, key: &K, change: impl FnOnce(&Values<K, V>) -> T) -> T {
        let changes = &self.changes[self.striping.index(key)];
        // Before the change and after it: a sample taken while the value is replaced must equal
        // neither one taken before nor one taken afterwards.
        changes.fetch_add(self.rules.per_change(), Ordering::SeqCst);
        let result = change(&self.values);
        changes.fetch_add(self.rules.per_change(), Ordering::SeqCst);
        result
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
        self.peek(key).map(|slot| slot.times.fresh_until)
    }

    /// Returns the value if it is fresh at `now`, and the time of its load.
    #[inline]
    pub(crate) fn fresh(&self, key: &K, now: Nanos) -> Option<(V, Nanos)> {
        let loaded_at = Cell::new(0);
        let passes = |times: &Times| {
            loaded_at.set(times.loaded_at);
            now < times.fresh_until
        };
        let value = self.values.get(&Query { key, passes })?;
        Some((value, loaded_at.get()))
    }

    /// Returns the value, fresh or not. Counts as a use, for the eviction policy.
    pub(crate) fn get(&self, key: &K) -> Option<Slot<V>> {
        let times = Cell::new(None);
        let value = self.values.get(&with_times(key, &times))?;
        times.get().map(|times| Slot { value, times })
    }

    /// Returns the value, fresh or not. Does not count as a use.
    pub(crate) fn peek(&self, key: &K) -> Option<Slot<V>> {
        let times = Cell::new(None);
        let value = self.values.peek(&with_times(key, &times))?;
        times.get().map(|times| Slot { value, times })
    }

    pub(crate) fn absent(&self, key: &K) -> Option<Absent> {
        self.absences.get(key)
    }

    /// Stores a value. It replaces an absence of the key.
    pub(crate) fn put(&self, key: K, value: V, times: Times) -> Evicted<K, V> {
        self.absences.remove(&key);
        self.insert(key, value, times)
    }

    fn insert(&self, key: K, value: V, times: Times) -> Evicted<K, V> {
        let mut evicted = Vec::new();
        self.change(&key.clone(), |values| {
            values.insert_with_lifecycle(Timed { key, times }, value, &mut evicted);
        });
        evicted
    }

    /// Gives the value of a key other times. Does nothing if the key has no value: a bulk removal,
    /// which takes no lock of the caller's, must not be undone.
    fn retime(&self, key: &K, slot: Slot<V>, times: Times) -> Evicted<K, V> {
        let mut evicted = Vec::new();
        let entry = Timed {
            key: key.clone(),
            times,
        };
        let gone = self.change(key, |values| {
            values
                .replace_with_lifecycle(entry, slot.value, true, &mut evicted)
                .err()
        });
        let gone = self.rules.stays_removed(gone, |(entry, value)| {
            self.insert(entry.key, value, entry.times)
        });
        evicted.extend(gone);
        evicted
    }

    /// Postpones the next refresh of a value to `refresh_at`.
    pub(crate) fn postpone_refresh(&self, key: &K, refresh_at: Nanos) -> Evicted<K, V> {
        let Some(slot) = self.peek(key) else {
            return Vec::new();
        };
        let times = Times {
            fresh_until: refresh_at.min(slot.times.expires_at),
            ..slot.times
        };
        self.retime(key, slot, times)
    }

    /// Gives a value that changed in place its new weight.
    pub(crate) fn reweigh(&self, key: &K, slot: Slot<V>, weight: u32) -> Evicted<K, V> {
        if slot.times.weight == weight {
            return Vec::new();
        }
        let times = Times {
            weight,
            ..slot.times
        };
        self.retime(key, slot, times)
    }

    /// Stores an absence. It replaces the value of the key, which is returned.
    pub(crate) fn put_absent(&self, key: K, absent: Absent) -> Option<(Timed<K>, V)> {
        let old = self.change(&key, |values| values.remove(&any(&key)));
        self.absences.insert(key, absent);
        old
    }

    /// Removes the value and the absence of a key.
    pub(crate) fn remove(&self, key: &K) -> Removed<K, V> {
        Removed {
            value: self.change(key, |values| values.remove(&any(key))),
            absence: self.absences.remove(key).is_some(),
        }
    }

    /// Removes a value if its times pass the test. Returns `true` if a value was removed.
    pub(crate) fn remove_value_if(&self, key: &K, passes: impl Fn(&Times) -> bool) -> bool {
        self.change(key, |values| values.remove(&Query { key, passes }))
            .is_some()
    }

    /// Removes an absence if it passes the test. Returns `true` if one was removed.
    pub(crate) fn remove_absent_if(&self, key: &K, test: impl FnOnce(&Absent) -> bool) -> bool {
        self.absences.remove_if(key, test).is_some()
    }

    /// Returns the keys of all values whose times pass, without cloning a value. One that is stored
    /// or removed meanwhile may be missed.
    pub(crate) fn keys(&self, passes: impl Fn(&Times) -> bool) -> Vec<K> {
        let keys = RefCell::new(Vec::new());
        // The only way to see all entries that clones no value.
        self.values.retain(|timed, _| {
            if passes(&timed.times) {
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
    use std::sync::Arc;

    use super::*;

    fn rules() -> Rules {
        #[cfg(feature = "faults")]
        return Rules::without(
            crate::Fault::None,
            crate::Runtime::new(crate::Clock::manual().0, drop),
        );
        #[cfg(not(feature = "faults"))]
        Rules
    }

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
            let store = Store::<u64, ()>::new(&size, Striping::default(), rules());
            let weight = u32::try_from(store.max_weight).unwrap();
            if weight > 0 {
                let times = Times { weight, ..FRESH };
                store.put(7, (), times);
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
            let store = Store::<u64, Arc<u64>>::new(&size, Striping::default(), rules());
            for key in 0..4 * entries as u64 {
                store.put(key, Arc::new(key), FRESH);
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
}
