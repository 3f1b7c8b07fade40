//! Storing values: how a load ends, how long its value lives, and what it evicts.

use super::{
    entry::Terms,
    flight::{Began, Flight},
    loader::{LoadFailure, Loaded},
    policy::Key,
    removal::Removal,
    state::RegionState,
    store::{Absent, Evicted, Removed, Retimed},
    stripe::Striping,
    timed::{Extra, Times},
};
use crate::{
    clock::{Nanos, nanos},
    sync::{Arc, plain},
};

/// The effect of storing a value. Passed to [`RegionState::count_put`] where no lock is held, which
/// drops what it removed.
#[must_use]
pub(crate) enum Put<K, V> {
    /// The value is in memory. The entries were evicted or replaced by it.
    Stored { key: K, evicted: Evicted<K, V> },
    /// The value is not stored. An older value of its key is removed.
    Refused { reason: Refusal, old: Removed<K, V> },
}

/// The reason why a value is not stored.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// It is heavier than the policy allows.
    TooHeavy(u32),
    /// One of its tags was invalidated after it was read from the source.
    Tag,
    /// Its TTL is zero.
    Ttl,
}

/// The circumstances in which a value is stored.
pub(crate) struct Storing {
    pub(crate) weight: u32,
    /// The time at which the value was read from the source, or a time before.
    pub(crate) loaded_at: Nanos,
    pub(crate) terms: Terms,
    /// The number of invalidations of tags at that time.
    pub(crate) tags_since: u64,
}

/// The result of a load for one key, with the TTL and the tags of the value.
pub(crate) struct Row<V> {
    pub(crate) loaded: Loaded<V>,
    pub(crate) terms: Terms,
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

    /// Stores a value. The caller holds the lock of the stripe, and passes the result to
    /// [`RegionState::count_put`] after it.
    pub(crate) fn put(&self, key: K, value: V, storing: Storing) -> Put<K, V> {
        let Storing {
            weight,
            loaded_at,
            terms,
            tags_since,
        } = storing;
        let ttl = terms.ttl.unwrap_or(self.policy.ttl);
        let refused = |reason| {
            let old = self.store.remove(&key);
            Put::Refused { reason, old }
        };
        if self.store.is_too_heavy(weight) {
            return refused(Refusal::TooHeavy(weight));
        }
        if ttl.is_zero() && terms.ttl.is_some() {
            return refused(Refusal::Ttl);
        }
        let Some(admitted) = self.tags.admit(&key, &terms.tags, tags_since, self.rules()) else {
            return refused(Refusal::Tag);
        };
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
        let fresh_until = match self.idle {
            Some(_) => 0,
            None => refresh_at.min(expires_at),
        };
        let times = Times {
            loaded_at,
            expires_at,
            fresh_until,
            weight,
        };
        let extra = self.extra(refresh_at, &terms);
        let evicted = self.store.put(key.clone(), value, times, extra);
        admitted.keep();
        Put::Stored { key, evicted }
    }

    /// Returns the parts of an entry that only some regions need; `None` in others.
    fn extra(&self, refresh_at: Nanos, terms: &Terms) -> Option<Arc<Extra>> {
        let is_needed =
            self.idle.is_some() || self.policy.fail_safe.is_some() || !terms.tags.is_empty();
        is_needed.then(|| Arc::new(Extra::new(refresh_at, self.clock.now(), terms.tags.clone())))
    }

    /// Counts the entries that a stored value evicted, or the value that was refused. Returns
    /// `true` if it was stored.
    pub(crate) fn count_put(&self, put: Put<K, V>) -> bool {
        match put {
            Put::Stored { key, evicted } => {
                let (replaced, evicted) =
                    evicted.into_iter().partition(|(timed, _)| timed.key == key);
                self.finish_removal(replaced, Removal::Replaced);
                self.count_evicted(evicted);
                true
            }
            Put::Refused { reason, old } => {
                match reason {
                    Refusal::TooHeavy(weight) => self.count_heavy(weight),
                    Refusal::Tag => self.counters.refused_stores.one(),
                    Refusal::Ttl => {}
                }
                self.finish_removal(old.values, Removal::Replaced);
                false
            }
        }
    }

    /// Counts the entries that were evicted when a value was given other times.
    pub(crate) fn count_retimed(&self, retimed: Option<Retimed<K, V>>) {
        if let Some(retimed) = retimed {
            self.count_evicted(retimed.evicted);
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

    /// Counts evicted entries.
    fn count_evicted(&self, evicted: Evicted<K, V>) {
        let entries = evicted.len();
        if entries > 0 {
            self.counters.evicted_by_capacity.add(entries);
            tracing::debug!(target: "cache", region = self.name, entries, "eviction");
            self.finish_removal(evicted, Removal::Evicted);
        }
    }

    /// Ends a registered load of one key: stores its result if it is still registered, and lands
    /// its flight. Returns `true` if the result was stored.
    pub(crate) fn end_load(
        &self,
        key: &K,
        flight: &Arc<Flight<K, V>>,
        result: Result<Row<V>, LoadFailure>,
    ) -> bool {
        match result {
            Ok(mut row) => {
                let stored = self.store_loaded(key, flight, &mut row);
                flight.land(match stored {
                    Some(_) => Ok(row.loaded),
                    None => self.unstored(key, Ok(row.loaded)),
                });
                stored == Some(true)
            }
            Err(failure) => {
                let mut stripe = self.stripe(key);
                if stripe.unregister(key, flight) {
                    self.postpone_load(key);
                }
                drop(stripe);
                flight.land(Err(failure));
                false
            }
        }
    }

    /// Ends a refresh of one key as [`RegionState::end_load`] does. If it failed, the value stays
    /// and the next refresh is postponed.
    pub(crate) fn end_refresh(
        &self,
        key: &K,
        flight: &Arc<Flight<K, V>>,
        result: Result<Row<V>, LoadFailure>,
    ) {
        let failure = match result {
            Ok(row) => {
                self.end_load(key, flight, Ok(row));
                return;
            }
            Err(failure) => failure,
        };
        let mut stripe = self.stripe(key);
        // Only if no write has removed the value meanwhile.
        let postponed = stripe.unregister(key, flight).then(|| {
            self.postpone_load(key);
            self.store.postpone_refresh(key, self.retry_at())
        });
        drop(stripe);
        self.count_retimed(postponed.flatten());
        flight.land(Err(failure));
    }

    /// Keeps reads from asking the source again for a while, if an older value can be served. The
    /// caller holds the lock of the stripe.
    fn postpone_load(&self, key: &K) {
        if let Some(extra) = self.store.extra(key) {
            extra.set_retry_at(self.retry_at());
        }
    }

    fn retry_at(&self) -> Nanos {
        let pause = nanos(self.policy.retry_after);
        self.clock.now().saturating_add(pause)
    }

    /// Stores the result of a load. Returns `None` if the load is registered no longer, so that
    /// another value of the key may be in memory. Returns `false` if the value is refused.
    fn store_loaded(&self, key: &K, flight: &Arc<Flight<K, V>>, row: &mut Row<V>) -> Option<bool> {
        let Row { loaded, terms } = row;
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
            let key = self.printed(key);
            tracing::debug!(target: "cache", region = self.name, %key, "refused store");
            return None;
        }
        let Began {
            generation, tags, ..
        } = flight.began;
        match &loaded.value {
            Some(value) => {
                let storing = Storing {
                    weight: match &self.fills {
                        Some(_) => self.weigh(key, value),
                        None => weight,
                    },
                    loaded_at: loaded.at,
                    terms: std::mem::take(terms),
                    tags_since: tags,
                };
                let put = self.put(key.clone(), value.clone(), storing);
                drop(stripe);
                Some(self.count_put(put))
            }
            None if self.allows_absence(generation) => {
                let absent = Absent {
                    generation,
                    loaded_at: loaded.at,
                    expires_at: self.expiry(loaded.at, nanos(self.policy.absence_ttl)),
                };
                let old = self.store.put_absent(key.clone(), absent);
                drop(stripe);
                self.finish_removal(old, Removal::Replaced);
                Some(true)
            }
            None => {
                let removed = self.store.remove(key);
                drop(stripe);
                self.finish_removal(removed.values, Removal::Replaced);
                Some(false)
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
