//! What stands behind a region: its stripes of what is in progress, its values, its counters.

use std::{
    hash::{BuildHasher, Hash},
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use crate::{
    bells::Bells,
    clock::{Clock, Nanos, nanos},
    creates::Creates,
    flight::{Flight, Loaded},
    progress::Progress,
    region::{Age, Key, Policy, Read, Source},
    shared::{Fault, Faults, Shared},
    stats::{Counters, Stats},
    store::{Absent, Evicted, Store, Times},
    sync::{Arc, AtomicU64, HashBuilder, HashMap, Mutex, MutexGuard, Ordering, plain},
};

/// Stripes of the in-progress map: enough that 256 writes rarely meet.
const STRIPES: usize = if cfg!(shuttle) { 2 } else { 64 };

pub(crate) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;

/// Values that take in what is written while their load runs. Called under the stripe's lock.
pub(crate) trait Fills<V>: Send + Sync {
    /// What collects during the load that begins; `standing` is the value in memory, if there is one.
    fn begin(&self, standing: Option<&V>) -> V;
    /// Pours what was loaded into it. Whether it may be stored.
    fn end(&self, filling: &V, loaded: V, faults: Faults) -> bool;
}

/// What a region has besides its policy.
pub(crate) struct Ways<K, V> {
    pub(crate) weigher: Option<(Weigher<K, V>, u32)>,
    pub(crate) fills: Option<Box<dyn Fills<V>>>,
}

pub(crate) struct StripeState<K, V> {
    pub(crate) keys: HashMap<K, Progress<Arc<Flight<K, V>>>>,
    pub(crate) region_open: u32,
}

pub(crate) struct Inner<K, V> {
    pub(crate) name: &'static str,
    pub(crate) store: Store<K, V>,
    pub(crate) stripes: Vec<Mutex<StripeState<K, V>>>,
    pub(crate) creates: AtomicU64,
    pub(crate) policy: Policy,
    /// Nothing, or the end of time, at which nothing is fresh.
    pub(crate) switched_off: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) shared: Arc<Shared>,
    /// The same as the shared one, where a hit has it at hand.
    pub(crate) clock: Clock,
    pub(crate) bells: Bells<K>,
    weigher: Option<Weigher<K, V>>,
    fills: Option<Box<dyn Fills<V>>>,
    hasher: HashBuilder,
}

impl<K: Eq + Hash, V: Clone> StripeState<K, V> {
    /// Forgets a key in which nothing is in progress.
    pub(crate) fn forget_idle(&mut self, key: &K)
    where
        K: Clone,
    {
        if self.keys.get(key).is_some_and(Progress::is_idle) {
            self.keys.remove(key);
        }
    }

    /// What collects during the load that stands.
    pub(crate) fn filling(&self, key: &K) -> Option<&V> {
        self.keys.get(key)?.load()?.filling.as_ref()
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Inner<K, V> {
    pub(crate) fn new(
        name: &'static str,
        policy: Policy,
        ways: Ways<K, V>,
        shared: Arc<Shared>,
    ) -> Self {
        let (weigher, typical) = ways.weigher.map_or((None, 1), |(weigher, typical)| {
            (Some(weigher), typical.max(1))
        });
        let items = usize::try_from(policy.capacity / u64::from(typical)).unwrap_or(usize::MAX);
        let stripe = || {
            Mutex::new(StripeState {
                keys: HashMap::default(),
                region_open: 0,
            })
        };
        Self {
            name,
            store: Store::new(policy.capacity, items, policy.absences, shared.faults),
            stripes: (0..STRIPES).map(|_| stripe()).collect(),
            creates: AtomicU64::new(0),
            policy,
            switched_off: AtomicU64::new(0),
            clock: shared.runtime.clock.clone(),
            counters: Counters::default(),
            shared,
            bells: Bells::default(),
            weigher,
            fills: ways.fills,
            hasher: HashBuilder::default(),
        }
    }

    /// Which stripe is a key's.
    pub(crate) fn place(&self, key: &K) -> usize {
        usize::try_from(self.hasher.hash_one(key) % STRIPES as u64)
            .expect("the remainder of a small number")
    }

    pub(crate) fn stripe(&self, key: &K) -> MutexGuard<'_, StripeState<K, V>> {
        self.stripes[self.place(key)].lock()
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.switched_off.load(Ordering::Relaxed) == 0
    }

    /// Whether its values change in place, which the store does not see.
    pub(crate) fn changes_in_place(&self) -> bool {
        self.fills.is_some()
    }

    /// The fresh value or the known absence, and whether a refresh is due.
    pub(crate) fn find(&self, key: &K) -> Option<(Read<V>, bool)> {
        let now = self.clock.now();
        let age = |at: Nanos| Age(now.saturating_sub(at));
        if let Some(slot) = self.store.get(key) {
            let read = Read {
                value: Some(slot.value),
                source: Source::Hit,
                age: age(slot.times.at),
            };
            return (now < slot.times.until).then_some((read, now >= slot.times.fresh_until));
        }
        let absent = self.store.absent(key)?;
        let known = now < absent.until && self.knows_absence(absent.generation);
        known.then_some((
            Read {
                value: None,
                source: Source::Hit,
                age: age(absent.at),
            },
            false,
        ))
    }

    pub(crate) fn creates(&self) -> Creates {
        Creates(self.creates.load(Ordering::SeqCst))
    }

    /// A create begins or ends.
    pub(crate) fn count_create(&self, step: impl Fn(Creates) -> Creates) {
        if self.shared.faults.is(Fault::UncountedCreates) {
            return;
        }
        let counted = self
            .creates
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |creates| {
                Some(step(Creates(creates)).0)
            });
        debug_assert!(counted.is_ok(), "each step gives a word");
    }

    /// Whether an absence found by a load of this generation may be stored, or served.
    fn knows_absence(&self, generation: u64) -> bool {
        self.creates().knows(generation) || self.shared.faults.is(Fault::OldAbsence)
    }

    /// A load that is to stand from now on, under the stripe's lock.
    pub(crate) fn flight(&self, key: &K, generation: u64) -> Arc<Flight<K, V>> {
        let filling = self
            .fills
            .as_ref()
            .map(|fills| fills.begin(self.store.peek(key).map(|slot| slot.value).as_ref()));
        Flight::new(generation, None, filling)
    }

    /// A bulk invalidation passes `progress`.
    pub(crate) fn bulk(&self, progress: &mut Progress<Arc<Flight<K, V>>>) {
        if self.shared.faults.is(Fault::BulkLeavesWindows) && progress.is_open(false) {
            return;
        }
        if self.shared.faults.is(Fault::BulkLeavesLoads) {
            if let Some(flight) = progress.bulk() {
                progress.start(flight);
            }
            return;
        }
        self.overtake(progress, Progress::bulk);
    }

    /// Takes a load out of `progress` by `step`; a planted fault leaves it to be joined.
    pub(crate) fn overtake(
        &self,
        progress: &mut Progress<Arc<Flight<K, V>>>,
        step: impl FnOnce(&mut Progress<Arc<Flight<K, V>>>) -> Option<Arc<Flight<K, V>>>,
    ) {
        if let Some(flight) = step(progress)
            && (self.shared.faults.is(Fault::JoinedOlderLoad)
                || self.shared.faults.is(Fault::BlindStore))
        {
            flight.overtaken.store(true, Ordering::SeqCst);
            if self.shared.faults.is(Fault::JoinedOlderLoad) {
                progress.start(flight);
            }
        }
    }

    /// When what was read at `at` ends at the latest, on a clock that may be behind.
    fn until(&self, at: Nanos, ttl: Nanos) -> Nanos {
        at.saturating_add(ttl.saturating_sub(self.clock.lag()))
    }

    /// Stores under the stripe's lock, which the caller holds. Drop what it gives after the lock.
    pub(crate) fn put(&self, key: K, value: V, at: Nanos, ttl: Duration) -> (K, Evicted<K, V>) {
        // What weighs nothing would never be pushed out.
        let weight = self
            .weigher
            .as_ref()
            .map_or(1, |weigh| weigh(&key, &value).max(1));
        let whole = nanos(ttl);
        let shortened = if self.policy.jitter > 0.0 {
            whole - share(whole, self.policy.jitter * random_share(&self.hasher, at))
        } else {
            whole
        };
        let until = self.until(at, shortened);
        let refresh_at = self
            .policy
            .refresh_after
            .map_or(until, |after| at.saturating_add(share(shortened, after)));
        let evicted = self.store.put(
            key.clone(),
            value,
            Times {
                at,
                until,
                fresh_until: refresh_at.min(until),
                weight,
            },
        );
        (key, evicted)
    }

    /// Counts what was pushed out; the older value of the same key was replaced.
    pub(crate) fn count_evicted(&self, (key, evicted): (K, Evicted<K, V>)) {
        let entries = evicted.iter().filter(|(timed, _)| timed.key != key).count();
        if entries > 0 {
            self.counters.evicted_by_capacity.add(entries);
            tracing::debug!(target: "cache", region = self.name, entries, "eviction");
        }
    }

    /// A load ended for one key: stored only if it still stands there.
    pub(crate) fn end(
        &self,
        key: &K,
        flight: &Arc<Flight<K, V>>,
        mut loaded: Loaded<V>,
        stands: bool,
        refresh: bool,
    ) {
        let (mut kept, mut dropped) = (None, None);
        if stands {
            let mut stripe = self.stripe(key);
            let mut is_whole = true;
            if let (Some(fills), Some(filling), Ok((Some(value), _))) =
                (&self.fills, &flight.filling, &mut loaded)
            {
                is_whole = fills.end(
                    filling,
                    std::mem::replace(value, filling.clone()),
                    self.shared.faults,
                );
            }
            let stood = stripe
                .keys
                .get_mut(key)
                .is_some_and(|progress| progress.end(|other| Arc::ptr_eq(other, flight)));
            stripe.forget_idle(key);
            let blind = self.shared.faults.is(Fault::BlindStore);
            let may_store =
                (blind || stood && is_whole && !flight.is_overtaken()) && self.is_enabled();
            match &loaded {
                Ok(_) if !may_store => {
                    self.counters.refused_stores.one();
                    tracing::debug!(target: "cache", region = self.name, %key, "refused store");
                }
                Ok((Some(value), at)) => {
                    kept = Some(self.put(key.clone(), value.clone(), *at, self.policy.ttl));
                }
                Ok((None, at)) if self.knows_absence(flight.generation) => {
                    let until = self.until(*at, nanos(self.policy.absence_ttl));
                    dropped = self.store.put_absent(
                        key.clone(),
                        Absent {
                            generation: flight.generation,
                            at: *at,
                            until,
                        },
                    );
                }
                Ok((None, _)) => dropped = self.store.remove(key).0,
                Err(_) if refresh && stood => {
                    let again = self.clock.now().saturating_add(nanos(self.policy.ttl) / 10);
                    kept = Some((key.clone(), self.store.put_off(key, again)));
                }
                Err(_) => {}
            }
        }
        drop(dropped);
        if let Some(kept) = kept {
            self.count_evicted(kept);
        }
        flight.land(loaded);
    }

    /// Whether a value is past its TTL and past the bound within which it may be served stale.
    pub(crate) fn is_removable(&self, times: &Times, now: Nanos) -> bool {
        now >= times
            .until
            .saturating_add(self.policy.fail_safe.map_or(0, nanos))
    }

    #[inline]
    pub(crate) fn hit(&self, key: &K) {
        self.counters.hits.one();
        // Asked for first, so that a hit carries nothing of what tells about it.
        if LevelFilter::current() >= LevelFilter::DEBUG {
            self.tell_hit(key);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_hit(&self, key: &K) {
        tracing::debug!(target: "cache", region = self.name, %key, "hit");
    }

    pub(crate) fn miss(&self, key: &K) {
        self.counters.misses.one();
        tracing::debug!(target: "cache", region = self.name, %key, "miss");
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            size: self.store.len() as u64,
            weight: self.store.weight(),
            ..self.counters.read()
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a TTL, to some nanoseconds"
)]
fn share(whole: Nanos, share: f64) -> Nanos {
    ((whole as f64 * share.clamp(0.0, 1.0)) as Nanos).min(whole)
}

/// Between 0 and 1, another at each call.
#[expect(clippy::cast_precision_loss, reason = "a random share")]
fn random_share(hasher: &HashBuilder, at: Nanos) -> f64 {
    static CALLS: plain::AtomicU64 = plain::AtomicU64::new(0);
    let call = CALLS.fetch_add(1, plain::Ordering::Relaxed);
    (hasher.hash_one((call, at)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::STRIPES;
    use crate::{Clock, Manager, Policy, Region, Runtime};

    #[test]
    fn keys_are_spread_over_the_stripes() {
        let manager = Manager::builder(Runtime::new(Clock::manual().0, |_| {})).build();
        let numbers: Region<u64, u64> = manager.region(
            "numbers",
            Policy::new(std::time::Duration::from_mins(1), 10),
        );
        let places: HashSet<usize> = (0..100 * STRIPES as u64)
            .map(|key| numbers.0.place(&key))
            .collect();
        assert_eq!(places.len(), STRIPES);
    }
}
