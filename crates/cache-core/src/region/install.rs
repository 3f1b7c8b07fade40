//! Storing values: how a load ends, how long its value lives, and what it evicts.

use std::{hash::BuildHasher, time::Duration};

use super::{
    flight::Flight,
    loader::{LoadResult, Loaded},
    policy::Key,
    state::RegionState,
    store::{Absent, Evicted, Slot, Times},
};
use crate::{
    clock::{Nanos, nanos},
    sync::{Arc, HashBuilder, plain},
};

/// A failed refresh is not tried again before this part of the TTL has passed, so that a source
/// which is down is asked ten times per TTL and key, and not at each read.
const REFRESH_RETRY: u64 = 10;

/// A value that was stored, and the entries that it evicted or replaced.
pub(crate) struct Stored<K, V> {
    key: K,
    evicted: Evicted<K, V>,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the time at which a value expires. The clock may lag, so this time is earlier by the
    /// lag, and no value outlives its TTL.
    fn expiry(&self, loaded_at: Nanos, ttl: Nanos) -> Nanos {
        loaded_at.saturating_add(ttl.saturating_sub(self.clock.lag()))
    }

    /// Stores a value. The caller holds the lock of the stripe, and passes the result to
    /// [`RegionState::count_evicted`] after it.
    pub(crate) fn put(&self, key: K, value: V, loaded_at: Nanos, ttl: Duration) -> Stored<K, V> {
        // At least 1: an entry without weight would never be evicted.
        let weight = self
            .weigher
            .as_ref()
            .map_or(1, |weigh| weigh(&key, &value).max(1));
        let full = nanos(ttl);
        let ttl = if self.policy.jitter > 0.0 {
            full - share(
                full,
                self.policy.jitter * random_share(&self.hasher, loaded_at),
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
        Stored { key, evicted }
    }

    /// Counts the entries that a stored value evicted. An older value of its own key was replaced,
    /// not evicted.
    pub(crate) fn count_evicted(&self, stored: Stored<K, V>) {
        let Stored { key, evicted } = stored;
        let entries = evicted.iter().filter(|(timed, _)| timed.key != key).count();
        if entries > 0 {
            self.counters.evicted_by_capacity.add(entries);
            tracing::debug!(target: "cache", region = self.name, entries, "eviction");
        }
    }

    /// Stores the value of a tail again, which an append has made heavier or lighter.
    pub(crate) fn reweigh(&self, key: &K, slot: Slot<V>, weight: u32) -> Stored<K, V> {
        Stored {
            key: key.clone(),
            evicted: self.store.reweigh(key, slot, weight),
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
            Stored {
                key: key.clone(),
                evicted: self.store.postpone_refresh(key, refresh_at),
            }
        });
        drop(stripe);
        if let Some(postponed) = postponed {
            self.count_evicted(postponed);
        }
        flight.land(result);
    }

    fn store_loaded(&self, key: &K, flight: &Arc<Flight<K, V>>, loaded: &mut Loaded<V>) {
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
                let stored = self.put(key.clone(), value.clone(), at, self.policy.ttl);
                drop(stripe);
                self.count_evicted(stored);
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
#[expect(clippy::cast_precision_loss, reason = "a random share")]
fn random_share(hasher: &HashBuilder, at: Nanos) -> f64 {
    static CALLS: plain::AtomicU64 = plain::AtomicU64::new(0);
    // Relaxed: only the numbers must differ.
    let call = CALLS.fetch_add(1, plain::Ordering::Relaxed);
    // The 53 bits of an f64's mantissa.
    (hasher.hash_one((call, at)) >> 11) as f64 / (1_u64 << 53) as f64
}
