//! Operations on all keys of a region, with the types of the region erased: cleanup, invalidation
//! by printed key, and switching off.

use std::{fmt, future::poll_fn, task::Poll};

use futures_util::future::{BoxFuture, FutureExt};

#[cfg(feature = "internals")]
use super::validate::Inconsistency;
use super::{
    inspect::Entries,
    policy::{Key, Policy},
    removal::Removal,
    state::RegionState,
};
use crate::{clock::Nanos, stats::Stats, sync::Arc};

/// How many entries a cleanup removes before it yields, so that it does not hold up other tasks of
/// its thread.
const CHUNK: usize = 1_024;

/// A region with its types erased.
pub(crate) trait AnyRegion: Send + Sync {
    fn name(&self) -> &'static str;

    fn policy(&self) -> Policy;

    fn stats(&self) -> Stats;

    /// Returns `false` while the region is switched off.
    fn is_enabled(&self) -> bool;

    /// Returns the number of loads in progress, and the age of the oldest.
    fn loading(&self) -> (usize, Option<Nanos>);

    /// Removes expired entries and returns how many there were.
    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, usize>;

    /// Invalidates the keys whose printed form passes the test. Returns how many entries it
    /// removed.
    fn invalidate(&self, test: &(dyn Fn(&str) -> bool + Sync)) -> usize;

    /// Invalidates all keys. Returns how many entries it removed.
    fn clear(&self) -> usize;

    /// Invalidates the entries that carry a tag. Returns how many there were.
    fn invalidate_tag(&self, tag: &Arc<str>) -> usize;

    /// Invalidates one key, printed without the region's name. Returns `true` if it was in memory.
    fn invalidate_key(&self, key: &str) -> bool;

    /// Returns at most `most` of the entries whose printed key contains `text`.
    fn entries(&self, text: &str, most: usize) -> Entries;

    /// Switches the region on or off, and empties it.
    fn set_enabled(&self, enabled: bool);

    /// Raises the serving time to at least `until`.
    fn extend_serving(&self, until: Nanos);

    /// Invalidates everything, and notifies all listeners.
    fn begin_anew(&self);

    /// Returns the first inconsistency, if there is one.
    #[cfg(feature = "internals")]
    fn validate(&self) -> Result<(), Inconsistency>;

    /// Returns `true` if no write is open and no load is in progress.
    #[cfg(feature = "internals")]
    fn is_quiet(&self) -> bool;
}

impl<K: Key, V: Clone + Send + Sync + 'static> AnyRegion for RegionState<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn policy(&self) -> Policy {
        self.policy.clone()
    }

    fn stats(&self) -> Stats {
        RegionState::stats(self)
    }

    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, usize> {
        async move { RegionState::cleanup(&self).await }.boxed()
    }

    fn invalidate(&self, test: &(dyn Fn(&str) -> bool + Sync)) -> usize {
        if self.printing.is_none() {
            // Its keys print as nothing, so that a pattern reaches either all of them or none.
            let name = format!("{}:", self.name);
            return if test(&name) { self.clear() } else { 0 };
        }
        let mut printed = String::new();
        self.invalidate_where(|key| {
            use fmt::Write;
            printed.clear();
            write!(printed, "{}:{}", self.name, self.printed(key)).is_ok() && test(&printed)
        })
    }

    fn clear(&self) -> usize {
        self.invalidate_where(|_| true)
    }

    fn invalidate_tag(&self, tag: &Arc<str>) -> usize {
        RegionState::invalidate_tag(self, tag)
    }

    fn invalidate_key(&self, key: &str) -> bool {
        let key = self.printing.as_ref().and_then(|keys| keys.parse(key));
        key.is_some_and(|key| self.remove(&key))
    }

    fn is_enabled(&self) -> bool {
        RegionState::is_enabled(self)
    }

    fn loading(&self) -> (usize, Option<Nanos>) {
        self.loading.now(&self.clock)
    }

    fn entries(&self, text: &str, most: usize) -> Entries {
        RegionState::entries(self, text, most)
    }

    fn set_enabled(&self, enabled: bool) {
        // Emptied while the region is off: a load that ends later sees that under its stripe's lock
        // and is not stored, so that nothing old is left when the region is on again.
        self.serving.switch(false);
        self.clear();
        if enabled {
            self.serving.switch(true);
        }
    }

    fn extend_serving(&self, until: Nanos) {
        self.serving.extend(until);
    }

    fn begin_anew(&self) {
        // Absences that were found before are neither stored nor served any more.
        self.begin_create();
        self.end_create();
        self.clear();
        self.listeners.notify_all();
    }

    #[cfg(feature = "internals")]
    fn validate(&self) -> Result<(), Inconsistency> {
        RegionState::validate(self)
    }

    #[cfg(feature = "internals")]
    fn is_quiet(&self) -> bool {
        RegionState::is_quiet(self)
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Invalidates the keys that pass the test. Returns how many entries it removed.
    pub(super) fn invalidate_where(&self, mut passes: impl FnMut(&K) -> bool) -> usize {
        // Loads first: none of them may store a value after it was removed. Stripe by stripe.
        for stripe in &self.stripes {
            let mut unregistered = Vec::new();
            let mut stripe = stripe.lock();
            for (key, progress) in &mut stripe.keys {
                if passes(key) && self.rules().bulk_reaches(progress) {
                    let load = progress.invalidate();
                    self.rules().unregistered_by_bulk(progress, load.clone());
                    // Dropped after the lock: its loader is user code.
                    unregistered.extend(load);
                }
            }
            stripe.forget_all_idle();
        }
        let removed = self.remove_where(passes, Removal::Invalidated);
        tracing::debug!(target: "cache", region = self.name, removed, "invalidation");
        removed
    }

    async fn cleanup(&self) -> usize {
        let now = self.clock.now();
        let mut removed = 0;
        let mut checked = 0_usize;
        for key in self.store.keys(|entry| self.is_removable(entry, now)) {
            // Checked again when it is removed: it may have been loaded anew.
            let entry = self
                .store
                .remove_value_if(&key, |entry| self.is_removable(entry, now));
            removed += entry.len();
            self.finish_removal(entry, Removal::Expired);
            checked += 1;
            if checked.is_multiple_of(CHUNK) {
                yield_now().await;
            }
        }
        for (key, absent) in self.store.absences() {
            if now >= absent.expires_at
                && self
                    .store
                    .remove_absent_if(&key, |absent| now >= absent.expires_at)
            {
                removed += 1;
            }
        }
        self.counters.evicted_by_expiry.add(removed);
        if removed > 0 {
            tracing::debug!(target: "cache", region = self.name, entries = removed, "expiry");
        }
        removed
    }

    /// Removes the values and absences whose key passes the test, and counts them as invalidated.
    pub(crate) fn remove_where(&self, mut test: impl FnMut(&K) -> bool, reason: Removal) -> usize {
        let mut removed = 0;
        for key in self.store.keys(|_| true) {
            if test(&key) {
                let entry = self.store.remove(&key).values;
                removed += entry.len();
                self.finish_removal(entry, reason);
            }
        }
        for (key, _) in self.store.absences() {
            removed += usize::from(test(&key) && self.store.remove_absent_if(&key, |_| true));
        }
        self.counters.invalidations.add(removed);
        removed
    }
}

/// Yields to other tasks once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
