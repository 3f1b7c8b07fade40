//! The state of one region: its values, its in-progress map and its counters.
//!
//! A hit reads the store alone and takes no lock of this crate. Everything else happens under the
//! lock of the key's stripe. **Lock order**: stripe, then a shard of the store, then the log of a
//! tail. No stripe is locked while another is, and none across an await.

use tracing::level_filters::LevelFilter;

use super::{
    flight::Flight,
    heavy::HeavyValues,
    listeners::Listeners,
    policy::{Key, Policy},
    read::{Age, Read, Source},
    size::Size,
    store::{Store, Times},
    stripe::{STRIPES, Stripe, Striping},
};
use crate::{
    clock::{Clock, Nanos, nanos},
    context::Context,
    protocol::{creates::Creates, progress::Progress},
    rules::Rules,
    stats::{Counters, Stats},
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering, plain},
};

/// A function that returns the weight of an entry.
pub(crate) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// The function that weighs the entries of a region, and the weight of a typical entry.
pub(crate) struct Weighing<K, V> {
    pub(crate) weigher: Weigher<K, V>,
    /// The weight of a typical entry, from which the number of entries is estimated.
    pub(crate) typical: u32,
}

/// An operation on values that collect appended entries while their load runs. Its methods are
/// called under the lock of a stripe.
pub(crate) trait Fills<V>: Send + Sync {
    /// Returns the value that collects entries during a load. `installed` is the value in memory.
    fn begin(&self, installed: Option<&V>) -> V;

    /// Fills the collecting value with the loaded one. Returns `true` if it may be stored.
    fn end(&self, filling: &V, loaded: V, rules: &Rules) -> bool;
}

/// The parts of a region that depend on its kind.
pub(crate) struct RegionParts<K, V> {
    /// `None`: each entry weighs 1.
    pub(crate) weighing: Option<Weighing<K, V>>,
    /// Present if the values are the ends of logs.
    pub(crate) fills: Option<Box<dyn Fills<V>>>,
}

pub(crate) struct RegionState<K, V> {
    pub(crate) id: RegionId,
    pub(crate) name: &'static str,
    pub(crate) store: Store<K, V>,
    pub(crate) stripes: Vec<Mutex<Stripe<K, V>>>,
    creates: AtomicU64,
    pub(crate) policy: Policy,
    /// 0 while the region is on, and the end of time while it is off: combined with the time by a
    /// bitwise or, it makes every value expired, at the cost of one instruction a hit.
    pub(crate) switched_off: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) context: Arc<Context>,
    /// A copy of the context's clock, which a hit reaches without another pointer.
    pub(crate) clock: Clock,
    pub(crate) listeners: Listeners<K>,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) fills: Option<Box<dyn Fills<V>>>,
    pub(crate) striping: Striping,
    pub(super) heavy_values: HeavyValues,
}

/// Identifies a region within the process, even after it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RegionId(u64);

impl RegionId {
    fn next() -> Self {
        static NEXT: plain::AtomicU64 = plain::AtomicU64::new(0);
        // Relaxed: only the numbers must differ.
        Self(NEXT.fetch_add(1, plain::Ordering::Relaxed))
    }
}

/// A value or an absence in memory that may be served.
pub(crate) struct Found<V> {
    pub(crate) read: Read<V>,
    /// `true` if the value is old enough to be refreshed in the background.
    pub(crate) refresh_due: bool,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    pub(crate) fn new(
        name: &'static str,
        policy: Policy,
        parts: RegionParts<K, V>,
        context: Arc<Context>,
    ) -> Self {
        let (weigher, typical) = match parts.weighing {
            Some(weighing) => (Some(weighing.weigher), weighing.typical.max(1)),
            None => (None, 1),
        };
        let items = usize::try_from(policy.capacity / u64::from(typical)).unwrap_or(usize::MAX);
        let size = Size {
            capacity: policy.capacity,
            max_weight: policy.max_weight,
            items,
            absences: policy.absences,
        };
        let striping = Striping::default();
        Self {
            id: RegionId::next(),
            name,
            store: Store::new(&size, striping.clone(), context.rules.clone()),
            stripes: (0..STRIPES).map(|_| Mutex::new(Stripe::new())).collect(),
            creates: AtomicU64::new(0),
            policy,
            switched_off: AtomicU64::new(0),
            clock: context.runtime.clock.clone(),
            counters: Counters::default(),
            context,
            listeners: Listeners::default(),
            weigher,
            fills: parts.fills,
            striping,
            heavy_values: HeavyValues::default(),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.context.rules
    }

    /// Locks the stripe of a key.
    pub(crate) fn stripe(&self, key: &K) -> MutexGuard<'_, Stripe<K, V>> {
        self.stripes[self.striping.index(key)].lock()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        // Relaxed: switching off empties the region after it stores the flag, and locks every
        // stripe. A later look-up or store sees the flag through these locks.
        self.switched_off.load(Ordering::Relaxed) == 0
    }

    /// Returns `true` if values change in place. The store does not count such changes.
    pub(crate) fn changes_in_place(&self) -> bool {
        self.fills.is_some()
    }

    /// Returns the value or the absence of a key if it may be served.
    pub(crate) fn find(&self, key: &K) -> Option<Found<V>> {
        let now = self.clock.now();
        let Some(slot) = self.store.get(key) else {
            let read = self.find_absence(key)?;
            return Some(Found {
                read,
                refresh_due: false,
            });
        };
        (now < slot.times.expires_at).then(|| Found {
            read: Read {
                value: Some(slot.value),
                source: Source::Hit,
                age: Age::between(slot.times.loaded_at, now),
            },
            refresh_due: now >= slot.times.fresh_until,
        })
    }

    /// Returns the absence of a key if it may be served.
    pub(crate) fn find_absence(&self, key: &K) -> Option<Read<V>> {
        let now = self.clock.now();
        let absent = self.store.absent(key)?;
        let may_serve = now < absent.expires_at && self.allows_absence(absent.generation);
        may_serve.then(|| Read {
            value: None,
            source: Source::Hit,
            age: Age::between(absent.loaded_at, now),
        })
    }

    pub(crate) fn creates(&self) -> Creates {
        // SeqCst, like its updates: a create must be visible to every load that begins after it.
        Creates(self.creates.load(Ordering::SeqCst))
    }

    /// Counts a create that begins.
    pub(crate) fn begin_create(&self) {
        self.count_create(Creates::begin);
    }

    /// Counts a create whose outcome is known.
    pub(crate) fn end_create(&self) {
        self.count_create(Creates::end);
    }

    fn count_create(&self, step: impl Fn(Creates) -> Creates) {
        let rules = self.rules();
        // SeqCst, as in `creates`, with which it pairs.
        // Fails only if the closure returns `None`, which it does not.
        let _ = self
            .creates
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |creates| {
                rules.counted(|| step(Creates(creates)).0)
            });
    }

    /// Returns `true` if an absence found by a load of this generation may be stored or served.
    pub(super) fn allows_absence(&self, generation: u64) -> bool {
        let allowed = self.creates().allows_absence(generation);
        self.rules().only_of_generation(allowed)
    }

    /// Registers a new load. The caller holds the lock of the stripe that contains `progress`.
    pub(crate) fn register(
        &self,
        key: &K,
        generation: u64,
        progress: &mut Progress<Arc<Flight<K, V>>>,
    ) -> Arc<Flight<K, V>> {
        let filling = self.fills.as_ref().map(|fills| {
            let installed = self.store.peek(key).map(|slot| slot.value);
            fills.begin(installed.as_ref())
        });
        let flight = Flight::registered(generation, filling);
        progress.register(flight.clone());
        flight
    }

    /// Returns `true` if a value is past its TTL and past the time in which it may be served stale.
    pub(crate) fn is_removable(&self, times: &Times, now: Nanos) -> bool {
        let stale_for = self.policy.fail_safe.map_or(0, nanos);
        now >= times.expires_at.saturating_add(stale_for)
    }

    #[inline]
    pub(crate) fn count_hit(&self, key: &K) {
        self.counters.hits.one();
        // Checked here, so that a hit does not contain the code of the event.
        if LevelFilter::current() >= LevelFilter::DEBUG {
            self.trace_hit(key);
        }
    }

    #[cold]
    #[inline(never)]
    fn trace_hit(&self, key: &K) {
        tracing::debug!(target: "cache", region = self.name, %key, "hit");
    }

    pub(crate) fn count_miss(&self, key: &K) {
        self.counters.misses.one();
        tracing::debug!(target: "cache", region = self.name, %key, "miss");
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters
            .stats(self.store.len() as u64, self.store.weight())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use crate::{Clock, Manager, Policy, Region, Runtime, Unknown, region::stripe::STRIPES};

    #[test]
    fn keys_are_spread_over_the_stripes() {
        let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
        let policy = Policy::new(Duration::from_mins(1), 10);
        let numbers: Region<u64, u64> = manager.region("numbers", policy);
        let stripes: HashSet<usize> = (0..100 * STRIPES as u64)
            .map(|key| numbers.state.striping.index(&key))
            .collect();
        assert_eq!(stripes.len(), STRIPES);
    }
}
