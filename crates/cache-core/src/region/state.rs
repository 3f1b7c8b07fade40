//! The state of one region: its values, its in-progress map and its counters.
//!
//! A hit reads the store alone and takes no lock of this crate. Everything else happens under the
//! lock of the key's stripe. **Lock order**: stripe, then a shard of the store, then the log of a
//! tail. No stripe is locked while another is, and none across an await.

use std::{borrow::Borrow, hash::Hash};

use tracing::level_filters::LevelFilter;

use super::{
    batch_queue::BatchQueue,
    flight::{Began, Flight},
    heavy::HeavyValues,
    listeners::Listeners,
    policy::{Key, Policy},
    printing::{PrintedKey, Printing},
    read::{Read, Source},
    removal::RemovalListener,
    serving::Serving,
    size::Size,
    store::Store,
    stripe::{STRIPES, Stripe, Striping},
    tags::Tags,
    timed::Timed,
    turns::Turns,
};
use crate::{
    clock::{Clock, Nanos, nanos},
    context::{Context, Gate},
    protocol::{creates::Creates, progress::Progress},
    rules::Rules,
    stats::{Counters, Stats, loading::Loading},
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

/// The parts of a region that depend on its kind, and on what its user asks for.
pub(crate) struct RegionParts<K, V> {
    /// `None`: each entry weighs 1.
    pub(crate) weighing: Option<Weighing<K, V>>,
    /// Present if the values are the ends of logs.
    pub(crate) fills: Option<Box<dyn Fills<V>>>,
    pub(crate) printing: Option<Printing<K>>,
    pub(crate) removal_listener: Option<RemovalListener<K, V>>,
}

impl<K, V> Default for RegionParts<K, V> {
    fn default() -> Self {
        Self {
            weighing: None,
            fills: None,
            printing: None,
            removal_listener: None,
        }
    }
}

pub(crate) struct RegionState<K, V> {
    pub(crate) id: RegionId,
    pub(crate) name: &'static str,
    pub(crate) store: Store<K, V>,
    pub(crate) stripes: Vec<Mutex<Stripe<K, V>>>,
    creates: AtomicU64,
    pub(crate) policy: Policy,
    pub(crate) serving: Serving,
    pub(crate) counters: Counters,
    pub(crate) loading: Loading,
    pub(crate) context: Arc<Context>,
    /// A copy of the context's clock, which a hit reaches without another pointer.
    pub(crate) clock: Clock,
    pub(crate) listeners: Listeners<K>,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) fills: Option<Box<dyn Fills<V>>>,
    pub(super) printing: Option<Printing<K>>,
    pub(super) removal_listener: Option<RemovalListener<K, V>>,
    pub(crate) tags: Tags<K>,
    /// The time to idle, in nanoseconds.
    pub(crate) idle: Option<Nanos>,
    /// The region's own permits for loads.
    own_gate: Option<Gate>,
    pub(super) bypass_batches: BatchQueue<K, V>,
    pub(crate) turns: Turns<K>,
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
        let idle = policy.time_to_idle.map(nanos);
        let own_gate = policy
            .load_permits
            .map(|permits| context.loads.with(permits));
        Self {
            id: RegionId::next(),
            name,
            store: Store::new(&size, context.rules.clone()),
            stripes: (0..STRIPES).map(|_| Mutex::new(Stripe::new())).collect(),
            creates: AtomicU64::new(0),
            policy,
            serving: Serving::new(context.others.as_ref(), context.rules.clone()),
            clock: context.runtime.clock.clone(),
            counters: Counters::default(),
            loading: Loading::default(),
            context,
            listeners: Listeners::default(),
            weigher,
            fills: parts.fills,
            printing: parts.printing,
            removal_listener: parts.removal_listener,
            tags: Tags::default(),
            idle,
            own_gate,
            bypass_batches: BatchQueue::default(),
            turns: Turns::default(),
            striping: Striping::default(),
            heavy_values: HeavyValues::default(),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.context.rules
    }

    /// Returns the gate that admits the loads of the region.
    pub(super) fn gate(&self) -> &Gate {
        self.own_gate.as_ref().unwrap_or(&self.context.loads)
    }

    /// Locks the stripe of a key.
    pub(crate) fn stripe<Q: Hash + ?Sized>(&self, key: &Q) -> MutexGuard<'_, Stripe<K, V>>
    where
        // The keys in the map have the hash of this form only if it is borrowed from them.
        K: Borrow<Q>,
    {
        self.stripes[self.striping.index(key)].lock()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.serving.is_on()
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
        began: Began,
        progress: &mut Progress<Arc<Flight<K, V>>>,
    ) -> Arc<Flight<K, V>> {
        let filling = self.fills.as_ref().map(|fills| {
            let installed = self.store.peek(key).map(|slot| slot.value);
            fills.begin(installed.as_ref())
        });
        let flight = Flight::registered(began, filling);
        progress.register(flight.clone());
        flight
    }

    /// Returns `true` while misses of a key bypass the cache because a write is open that does not
    /// name the key: over a part of the region, over a tag, or one that may create a key.
    pub(super) fn is_region_open(&self, stripe: &Stripe<K, V>, key: &K) -> bool {
        stripe.is_covered(key) || self.creates().is_open() || self.tags.is_open()
    }

    /// Returns the counts by which a load that begins now is judged when it ends.
    pub(super) fn begin(&self) -> Began {
        Began {
            generation: self.creates().generation(),
            tags: self.tags.count(),
            at: self.clock.now(),
            is_ticket: false,
        }
    }

    /// Returns `true` if an entry is past its TTL or its time to idle, and past the time in which
    /// it may be served stale.
    pub(crate) fn is_removable(&self, entry: &Timed<K>, now: Nanos) -> bool {
        let stale_for = self.policy.fail_safe.map_or(0, nanos);
        now >= entry.ends_at(self.idle).saturating_add(stale_for)
    }

    #[inline]
    pub(crate) fn count_hit<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.counters.hits.one();
        // Checked here, so that a hit does not contain the code of the event.
        if LevelFilter::current() >= LevelFilter::DEBUG {
            self.trace_hit(key);
        }
    }

    #[cold]
    #[inline(never)]
    fn trace_hit<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: Borrow<Q>,
    {
        let stored = self.store.stored_key(key);
        let key = PrintedKey {
            key: stored.as_ref(),
            printing: self.printing.as_ref(),
        };
        tracing::debug!(target: "cache", region = self.name, %key, "hit");
    }

    /// Counts a read that found nothing. `key` is unknown if it was looked up by a borrowed form.
    pub(crate) fn count_miss(&self, key: Option<&K>) {
        self.counters.misses.one();
        let key = PrintedKey {
            key,
            printing: self.printing.as_ref(),
        };
        tracing::debug!(target: "cache", region = self.name, %key, "miss");
    }

    /// Counts what a read found in memory: a hit, or an expired value.
    pub(crate) fn count_found(&self, key: &K, read: &Read<V>) {
        match read.source {
            Source::Stale => self.counters.stale_served.one(),
            _ => self.count_hit(key),
        }
    }

    /// Returns a key as events name it.
    pub(super) fn printed<'a>(&'a self, key: &'a K) -> PrintedKey<'a, K> {
        PrintedKey {
            key: Some(key),
            printing: self.printing.as_ref(),
        }
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
