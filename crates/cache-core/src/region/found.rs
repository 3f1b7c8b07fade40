//! The look-up of a key: its value or absence in memory, if that may be served.

use std::{borrow::Borrow, hash::Hash};

use super::{
    policy::Key,
    read::{Age, Read, Source},
    state::RegionState,
    timed::{Extra, Slot, Timed, Times},
};
use crate::clock::{Nanos, nanos};

/// A value or an absence in memory that may be served.
pub(crate) struct Found<V> {
    pub(crate) read: Read<V>,
    /// `true` if the value is old enough to be refreshed in the background.
    pub(crate) refresh_due: bool,
}

impl<V> Found<V> {
    fn of(slot: Slot<V>, source: Source, now: Nanos) -> Self {
        Self {
            read: Read {
                value: Some(slot.value),
                source,
                age: Age::between(slot.times.loaded_at, now),
            },
            refresh_due: false,
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the value or the absence of a key if it may be served.
    pub(crate) fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Found<V>>
    where
        K: Borrow<Q>,
    {
        let (now, serving) = (self.clock.now(), self.serving.sample());
        let Some(slot) = self.store.get(key) else {
            let read = self.find_absence(key)?;
            return Some(Found {
                read,
                refresh_due: false,
            });
        };
        if now >= serving.of_value(slot.times.loaded_at) {
            return None;
        }
        let ends_at = slot.ends_at(self.idle);
        let extra = slot.extra.as_deref();
        let retry_at = extra.map_or(0, Extra::retry_at);
        if now >= ends_at {
            // Its load has failed lately, so it is not tried again.
            let is_stale = now < retry_at && self.may_serve_stale(ends_at, now);
            return is_stale.then(|| Found::of(slot, Source::Stale, now));
        }
        let mut refresh_at = slot.times.fresh_until;
        if let (Some(_), Some(extra)) = (self.idle, extra) {
            extra.set_used_at(now);
            refresh_at = extra.refresh_at;
        }
        let refresh_due = now >= refresh_at.max(retry_at);
        Some(Found {
            refresh_due,
            ..Found::of(slot, Source::Hit, now)
        })
    }

    /// Returns the time until which the value of a key is served, if it is in memory.
    pub(super) fn ends_at<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Nanos>
    where
        K: Borrow<Q>,
    {
        let serving = self.serving.sample();
        self.store.copied(key, |found| {
            let serving_ends = serving.of_value(found.times.loaded_at);
            found.ends_at(self.idle).min(serving_ends)
        })
    }

    /// Returns the entries that have not expired.
    pub(super) fn live_entries(&self) -> impl Iterator<Item = (K, V)> + use<'_, K, V> {
        let (now, serving) = (self.clock.now(), self.serving.sample());
        let is_served = move |times: &Times| now < serving.of_value(times.loaded_at);
        let is_live = |entry: &Timed<K>| now < entry.ends_at(self.idle) && is_served(&entry.times);
        let keys = self.store.keys(is_live);
        keys.into_iter().filter_map(move |key| {
            let slot = self.store.peek(&key)?;
            let is_live = now < slot.times.expires_at && is_served(&slot.times);
            is_live.then_some((key, slot.value))
        })
    }

    /// Returns `true` if a value is in memory that may be served when a load is slow.
    pub(super) fn has_older(&self, key: &K) -> bool {
        let now = self.clock.now();
        let ends_at = self.ends_at(key);
        ends_at.is_some_and(|ends_at| self.may_serve_stale(ends_at, now))
    }

    /// Returns `true` if a value that expired at `ends_at` may be served because its load failed.
    pub(super) fn may_serve_stale(&self, ends_at: Nanos, now: Nanos) -> bool {
        let fail_safe = self.policy.fail_safe.map(nanos);
        fail_safe.is_some_and(|time| now < ends_at.saturating_add(time))
    }

    /// Returns the absence of a key if it may be served.
    pub(crate) fn find_absence<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Read<V>>
    where
        K: Borrow<Q>,
    {
        let (now, serving) = (self.clock.now(), self.serving.sample());
        let absent = self.store.absent(key)?;
        let may_serve = now < absent.expires_at
            && now < serving.of_value(absent.loaded_at)
            && self.allows_absence(absent.generation);
        may_serve.then(|| Read {
            value: None,
            source: Source::Hit,
            age: Age::between(absent.loaded_at, now),
        })
    }
}
