//! Where values stand: `quick_cache`, with the time each was read and the time it expires beside it.

use std::{
    cell::Cell,
    hash::{Hash, Hasher},
};

use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter, sync::Cache};

use crate::{
    clock::Nanos,
    shared::{Fault, Faults},
    sync::{AtomicU64, Ordering},
};

/// When a value was read, and how long it may be served.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) at: Nanos,
    pub(crate) until: Nanos,
    /// From when on a reader starts a refresh, at the latest its end: so that a hit compares once.
    pub(crate) fresh_until: Nanos,
    pub(crate) weight: u32,
}

/// A value and its times.
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) times: Times,
}

/// That a key has no value, known since a load of this create-generation.
#[derive(Clone, Copy)]
pub(crate) struct Absent {
    pub(crate) generation: u64,
    pub(crate) at: Nanos,
    pub(crate) until: Nanos,
}

pub(crate) struct Store<K, V> {
    values: Values<K, V>,
    absences: Cache<K, Absent>,
    /// Rises after each change of the values, in the step that makes it: who took the number before a value was put or taken
    /// out, or while it was, does not find it again.
    changes: AtomicU64,
    faults: Faults,
}

type Values<K, V> = Cache<Timed<K>, V, ByTimes, quick_cache::DefaultHashBuilder, Evictions>;

/// A key with the times of its value: a look-up sees them where it compares keys, under the lock that it needs anyway, and
/// takes nothing out but the value. Equal by the key alone; what is put over it brings its own times.
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

/// Looks for a key whose times pass.
struct Wanted<'a, K, P> {
    key: &'a K,
    passes: P,
}

impl<K: Hash, P> Hash for Wanted<'_, K, P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<K: Eq, P: Fn(&Times) -> bool> Equivalent<Timed<K>> for Wanted<'_, K, P> {
    #[inline]
    fn equivalent(&self, stored: &Timed<K>) -> bool {
        *self.key == stored.key && (self.passes)(&stored.times)
    }
}

/// Whatever its times, which are noted.
fn noting<'a, K>(
    key: &'a K,
    times: &'a Cell<Option<Times>>,
) -> Wanted<'a, K, impl Fn(&Times) -> bool> {
    let passes = |found: &Times| {
        times.set(Some(*found));
        true
    };
    Wanted { key, passes }
}

/// Whatever its times.
fn any<K>(key: &K) -> Wanted<'_, K, impl Fn(&Times) -> bool> {
    Wanted {
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

/// Counts what capacity pushes out, and keeps it so that it is dropped after the locks.
#[derive(Clone)]
struct Evictions;

impl<K, V> Lifecycle<Timed<K>, V> for Evictions {
    type RequestState = Evicted<K, V>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: Timed<K>, value: V) {
        evicted.push((key, value));
    }
}

/// What a change pushed out; drop it where no lock is held.
pub(crate) type Evicted<K, V> = Vec<(Timed<K>, V)>;

impl<K: Clone + Eq + Hash, V: Clone> Store<K, V> {
    /// `capacity` in the weigher's unit, of `items` entries as a rule.
    pub(crate) fn new(capacity: u64, items: usize, absences: usize, faults: Faults) -> Self {
        let options = |weight: u64, items: usize| {
            let mut options = OptionsBuilder::new();
            options
                .weight_capacity(weight)
                .estimated_items_capacity(items);
            if cfg!(shuttle) {
                // Fewer steps, so that more schedules come to what matters.
                options.shards(1);
            }
            options.build().expect("both capacities are given")
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
            faults,
        }
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn changing<T>(&self, change: impl FnOnce(&Values<K, V>) -> T) -> T {
        let changed = change(&self.values);
        if !self.faults.is(Fault::ChangesUncounted) {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        changed
    }

    /// Until when the value is fresh, without counting as a use.
    pub(crate) fn fresh_until(&self, key: &K) -> Option<Nanos> {
        self.peek(key).map(|slot| slot.times.fresh_until)
    }

    /// The value if it is fresh at `now`, and when it was read.
    #[inline]
    pub(crate) fn fresh(&self, key: &K, now: Nanos) -> Option<(V, Nanos)> {
        let at = Cell::new(0);
        let passes = |times: &Times| {
            at.set(times.at);
            now < times.fresh_until
        };
        let value = self.values.get(&Wanted { key, passes })?;
        Some((value, at.get()))
    }

    pub(crate) fn get(&self, key: &K) -> Option<Slot<V>> {
        let times = Cell::new(None);
        let value = self.values.get(&noting(key, &times))?;
        times.get().map(|times| Slot { value, times })
    }

    /// The same without counting as a use.
    pub(crate) fn peek(&self, key: &K) -> Option<Slot<V>> {
        let times = Cell::new(None);
        let value = self.values.peek(&noting(key, &times))?;
        times.get().map(|times| Slot { value, times })
    }

    pub(crate) fn absent(&self, key: &K) -> Option<Absent> {
        self.absences.get(key)
    }

    pub(crate) fn put(&self, key: K, value: V, times: Times) -> Evicted<K, V> {
        self.absences.remove(&key);
        self.place(key, value, times)
    }

    fn place(&self, key: K, value: V, times: Times) -> Evicted<K, V> {
        let mut evicted = Vec::new();
        self.changing(|values| {
            values.insert_with_lifecycle(Timed { key, times }, value, &mut evicted);
        });
        evicted
    }

    /// Puts the same value off its next refresh.
    pub(crate) fn put_off(&self, key: &K, refresh_at: Nanos) -> Evicted<K, V> {
        let Some(Slot { value, times }) = self.peek(key) else {
            return Vec::new();
        };
        self.place(
            key.clone(),
            value,
            Times {
                fresh_until: refresh_at.min(times.until),
                ..times
            },
        )
    }

    /// Puts the same value back with another weight.
    pub(crate) fn weigh(&self, key: &K, slot: Slot<V>, weight: u32) -> Evicted<K, V> {
        let Slot { value, times } = slot;
        if times.weight == weight {
            Vec::new()
        } else {
            self.place(key.clone(), value, Times { weight, ..times })
        }
    }

    pub(crate) fn put_absent(&self, key: K, absent: Absent) -> Option<(Timed<K>, V)> {
        let old = self.changing(|values| values.remove(&any(&key)));
        self.absences.insert(key, absent);
        old
    }

    /// Takes out the value and the absence.
    pub(crate) fn remove(&self, key: &K) -> (Option<(Timed<K>, V)>, bool) {
        (
            self.changing(|values| values.remove(&any(key))),
            self.absences.remove(key).is_some(),
        )
    }

    pub(crate) fn remove_value_if(&self, key: &K, passes: impl Fn(&Times) -> bool) -> bool {
        self.changing(|values| values.remove(&Wanted { key, passes }))
            .is_some()
    }

    pub(crate) fn remove_absent_if(&self, key: &K, test: impl FnOnce(&Absent) -> bool) -> bool {
        self.absences.remove_if(key, test).is_some()
    }

    /// All entries, without a lock held for longer than one step; what comes or goes meanwhile may be missed.
    pub(crate) fn values(&self) -> impl Iterator<Item = Timed<K>> + Send + '_
    where
        K: Send + Sync,
        V: Send + Sync,
    {
        self.values.iter().map(|(timed, _)| timed)
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
            let store = Store::<u64, Arc<u64>>::new(entries as u64, entries, 0, Faults::none());
            for key in 0..4 * entries as u64 {
                store.put(
                    key,
                    Arc::new(key),
                    Times {
                        at: 0,
                        until: 1,
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
                "{entries} entries take {used} bytes: the formula is no estimate any more"
            );
        }
    }
}
