//! Storing values: how a load ends, how long its value lives, and what it evicts.

use std::time::Duration;

use super::{
    flight::Flight,
    loader::{LoadResult, Loaded},
    policy::Key,
    state::RegionState,
    store::{Absent, Evicted, Removed, Times},
    stripe::Striping,
};
use crate::{
    clock::{Nanos, nanos},
    sync::{Arc, plain},
};

/// A failed refresh is not tried again before this part of the TTL has passed, so that a source
/// which is down is asked ten times per TTL and key, and not at each read.
const REFRESH_RETRY: u64 = 10;

/// The effect of storing a value. Passed to [`RegionState::count_put`] where no lock is held, which
/// drops what it removed.
pub(crate) enum Put<K, V> {
    /// The value is in memory. The entries were evicted or replaced by it.
    Stored { key: K, evicted: Evicted<K, V> },
    /// The value is heavier than the policy allows. An older value of its key is removed.
    TooHeavy {
        weight: u32,
        #[expect(dead_code, reason = "dropped where no lock is held")]
        old: Removed<K, V>,
    },
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the time at which a value expires. The clock may lag, so this time is earlier by the
    /// lag, and no value outlives its TTL.
    fn expiry(&self, loaded_at: Nanos, ttl: Nanos) -> Nanos {
        loaded_at.saturating_add(ttl.saturating_sub(self.clock.lag()))
    }

    /// Returns the weight of an entry. It calls user code, so no lock should be held.
    pub(crate) fn weigh(&self, key: &K, value: &V) -> u32 {
        // At least 1: an entry without weight would never be evicted.
        self.weigher
            .as_ref()
            .map_or(1, |weigh| weigh(key, value).max(1))
    }

    /// Stores a value of this weight. The caller holds the lock of the stripe, and passes the
    /// result to [`RegionState::count_put`] after it.
    pub(crate) fn put(
        &self,
        key: K,
        value: V,
        weight: u32,
        loaded_at: Nanos,
        ttl: Duration,
    ) -> Put<K, V> {
        if self.store.is_too_heavy(weight) {
            let old = self.store.remove(&key);
            return Put::TooHeavy { weight, old };
        }
        let full = nanos(ttl);
        let ttl = if self.policy.jitter > 0.0 {
            full - share(
                full,
                self.policy.jitter * random_share(&self.striping, loaded_at),
            )
        } else {
            full
        };
        let expires_at = self.expiry(loaded_at, ttl);
        let refresh_at = match self.policy.refresh_after {
            Some(after) => loaded_at.saturating_add(share(ttl, after)),
            None => expires_at,
        };
        let evicted = self.store.put(
            key.clone(),
            value,
            Times {
                loaded_at,
                expires_at,
                fresh_until: refresh_at.min(expires_at),
                weight,
            },
        );
        Put::Stored { key, evicted }
    }

    /// Counts the entries that a stored value evicted, or the value that was refused. Returns
    /// `true` if it was stored.
    pub(crate) fn count_put(&self, put: Put<K, V>) -> bool {
        match put {
            Put::Stored { key, evicted } => {
                self.count_evicted(&key, &evicted);
                true
            }
            Put::TooHeavy { weight, .. } => {
                self.count_heavy(weight);
                false
            }
        }
    }

    /// Counts a value that was refused because of its weight.
    pub(crate) fn count_heavy(&self, weight: u32) {
        self.counters.too_heavy.one();
        if self.heavy_values.should_log(self.clock.now()) {
            tracing::warn!(
                target: "cache",
                region = self.name,
                weight,
                max_weight = self.store.max_weight(),
                "a value is too heavy to be cached; raise `max_weight` or the capacity"
            );
        }
    }

    /// Counts evicted entries. An older value of the stored key was replaced, not evicted.
    pub(crate) fn count_evicted(&self, key: &K, evicted: &Evicted<K, V>) {
        let entries = evicted
            .iter()
            .filter(|(timed, _)| timed.key != *key)
            .count();
        if entries > 0 {
            self.counters.evicted_by_capacity.add(entries);
            tracing::debug!(target: "cache", region = self.name, entries, "eviction");
        }
    }

    /// Ends a registered load of one key: stores its result if it is still registered, and lands
    /// its flight.
    pub(crate) fn end_load(&self, key: &K, flight: &Arc<Flight<K, V>>, mut result: LoadResult<V>) {
        match &mut result {
            Ok(loaded) => self.store_loaded(key, flight, loaded),
            Err(_) => {
                self.stripe(key).unregister(key, flight);
            }
        }
        flight.land(result);
    }

    /// Ends a refresh of one key as [`RegionState::end_load`] does. If it failed, the value stays
    /// and the next refresh is postponed.
    pub(crate) fn end_refresh(&self, key: &K, flight: &Arc<Flight<K, V>>, result: LoadResult<V>) {
        if result.is_ok() {
            return self.end_load(key, flight, result);
        }
        let mut stripe = self.stripe(key);
        // Only if no write has removed the value meanwhile.
        let postponed = stripe.unregister(key, flight).then(|| {
            let pause = nanos(self.policy.ttl) / REFRESH_RETRY;
            let refresh_at = self.clock.now().saturating_add(pause);
            self.store.postpone_refresh(key, refresh_at)
        });
        drop(stripe);
        if let Some(evicted) = postponed {
            self.count_evicted(key, &evicted);
        }
        flight.land(result);
    }

    fn store_loaded(&self, key: &K, flight: &Arc<Flight<K, V>>, loaded: &mut Loaded<V>) {
        // Before the lock, because it calls user code. A log is weighed when it is filled.
        let weight = match (&self.fills, &loaded.value) {
            (None, Some(value)) => self.weigh(key, value),
            (Some(_), _) | (None, None) => 0,
        };
        let mut stripe = self.stripe(key);
        let is_complete = self.fill(flight, loaded);
        let is_registered = stripe.unregister(key, flight);
        let current = is_registered && is_complete;
        if !(self.rules().only_registered(flight, current) && self.is_enabled()) {
            drop(stripe);
            self.counters.refused_stores.one();
            tracing::debug!(target: "cache", region = self.name, %key, "refused store");
            return;
        }
        let at = loaded.at;
        match &loaded.value {
            Some(value) => {
                let weight = match &self.fills {
                    Some(_) => self.weigh(key, value),
                    None => weight,
                };
                let put = self.put(key.clone(), value.clone(), weight, at, self.policy.ttl);
                drop(stripe);
                self.count_put(put);
            }
            None if self.allows_absence(flight.generation) => {
                let absent = Absent {
                    generation: flight.generation,
                    loaded_at: at,
                    expires_at: self.expiry(at, nanos(self.policy.absence_ttl)),
                };
                let old = self.store.put_absent(key.clone(), absent);
                drop(stripe);
                drop(old);
            }
            None => {
                let removed = self.store.remove(key);
                drop(stripe);
                drop(removed);
            }
        }
    }

    /// For a log: applies the entries that were collected during the load to the loaded copy, and
    /// stores the result in `loaded`. Returns `true` if `loaded` may be stored in the region, which
    /// is always so for other values. The caller holds the lock of the stripe.
    fn fill(&self, flight: &Arc<Flight<K, V>>, loaded: &mut Loaded<V>) -> bool {
        match (&self.fills, &flight.filling, &mut loaded.value) {
            (Some(fills), Some(filling), Some(value)) => {
                let loaded = std::mem::replace(value, filling.clone());
                fills.end(filling, loaded, self.rules())
            }
            _ => true,
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

/// Returns a number between 0 and 1 that differs from call to call.
fn random_share(striping: &Striping, at: Nanos) -> f64 {
    static CALLS: plain::AtomicU64 = plain::AtomicU64::new(0);
    // Relaxed: only the numbers must differ.
    let call = CALLS.fetch_add(1, plain::Ordering::Relaxed);
    striping.share((call, at))
}
