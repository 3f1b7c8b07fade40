//! The values and absences of a region: `quick_cache`, with the times of each value in its key.

use std::{
    cell::Cell,
    hash::{Hash, Hasher},
};

use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter, sync::Cache};

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
    /// Incremented after every insert and removal. A reader that sampled it before or during a
    /// change sees a different number afterwards; [`Lease`](crate::Lease) relies on this.
    changes: AtomicU64,
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
    /// Returns an empty store. `capacity` is in the unit of the weigher, and typically holds
    /// `items` entries.
    pub(crate) fn new(capacity: u64, items: usize, absences: usize, rules: Rules) -> Self {
        let options = |weight: u64, items: usize| {
            let mut options = OptionsBuilder::new();
            options
                .weight_capacity(weight)
                .estimated_items_capacity(items);
            if cfg!(shuttle) {
                // One shard takes fewer steps, so that more schedules reach the interesting ones.
                options.shards(1);
            }
            options.build().expect("both capacities are set")
        };
        Self {
            values: Cache::with_options(
                options(capacity.max(1), items.max(1)),
                ByTimes,
                quick_cache::DefaultHashBuilder::default(),
                Evictions,
            ),
            absences: Cache::with_options(
                options(absences as u64, absences),
                quick_cache::UnitWeighter,
                quick_cache::DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            changes: AtomicU64::new(0),
            rules,
        }
    }

    pub(crate) fn changes(&self) -> u64 {
        // SeqCst, like the increment: a lease compares two samples with look-ups between them, and
        // none of these may be reordered.
        self.changes.load(Ordering::SeqCst)
    }

    fn change<T>(&self, change: impl FnOnce(&Values<K, V>) -> T) -> T {
        let changed = change(&self.values);
        // After the change: a sample taken during it must not equal one taken afterwards.
        self.changes
            .fetch_add(self.rules.per_change(), Ordering::SeqCst);
        changed
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
        self.change(|values| {
            values.insert_with_lifecycle(Timed { key, times }, value, &mut evicted);
        });
        evicted
    }

    /// Postpones the next refresh of a value to `refresh_at`.
    pub(crate) fn postpone_refresh(&self, key: &K, refresh_at: Nanos) -> Evicted<K, V> {
        let Some(Slot { value, times }) = self.peek(key) else {
            return Vec::new();
        };
        self.insert(
            key.clone(),
            value,
            Times {
                fresh_until: refresh_at.min(times.expires_at),
                ..times
            },
        )
    }

    /// Stores a value that changed in place again, with its new weight.
    pub(crate) fn reweigh(&self, key: &K, slot: Slot<V>, weight: u32) -> Evicted<K, V> {
        let Slot { value, times } = slot;
        if times.weight == weight {
            Vec::new()
        } else {
            self.insert(key.clone(), value, Times { weight, ..times })
        }
    }

    /// Stores an absence. It replaces the value of the key, which is returned.
    pub(crate) fn put_absent(&self, key: K, absent: Absent) -> Option<(Timed<K>, V)> {
        let old = self.change(|values| values.remove(&any(&key)));
        self.absences.insert(key, absent);
        old
    }

    /// Removes the value and the absence of a key.
    pub(crate) fn remove(&self, key: &K) -> Removed<K, V> {
        Removed {
            value: self.change(|values| values.remove(&any(key))),
            absence: self.absences.remove(key).is_some(),
        }
    }

    /// Removes a value if its times pass the test. Returns `true` if a value was removed.
    pub(crate) fn remove_value_if(&self, key: &K, passes: impl Fn(&Times) -> bool) -> bool {
        self.change(|values| values.remove(&Query { key, passes }))
            .is_some()
    }

    /// Removes an absence if it passes the test. Returns `true` if one was removed.
    pub(crate) fn remove_absent_if(&self, key: &K, test: impl FnOnce(&Absent) -> bool) -> bool {
        self.absences.remove_if(key, test).is_some()
    }

    /// Iterates over all values. No lock is held between two of them, so one that is stored or
    /// removed meanwhile may be missed.
    pub(crate) fn values(&self) -> impl Iterator<Item = Timed<K>> + Send + '_
    where
        K: Send + Sync,
        V: Send + Sync,
    {
        self.values.iter().map(|(timed, _)| timed)
    }

    /// Iterates over all absences, as [`Store::values`] does over values.
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
    fn a_full_region_takes_no_more_memory_than_the_formula_says() {
        for entries in [1_000, 50_000] {
            let store = Store::<u64, Arc<u64>>::new(entries as u64, entries, 0, rules());
            for key in 0..4 * entries as u64 {
                store.put(
                    key,
                    Arc::new(key),
                    Times {
                        loaded_at: 0,
                        expires_at: 1,
                        fresh_until: 1,
                        weight: 1,
                    },
                );
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
