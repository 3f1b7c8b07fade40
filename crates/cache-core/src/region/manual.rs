//! Storing and removing a value by hand.

use std::{borrow::Borrow, hash::Hash};

use super::{
    Region, entry::Entry, flight::Flight, install::Storing, policy::Key, removal::Removal,
    state::RegionState, store::Removed, stripe::KeyProgress,
};
use crate::sync::Arc;

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Stores a value that the caller knows to be current. Returns `true` if it was stored.
    ///
    /// The value is refused while a write of the key is open, while the region is switched off, and
    /// if it is heavier than [`Policy::max_weight`](crate::Policy::max_weight). A load of the key
    /// that is in progress is not stored any more.
    ///
    /// Do not insert a value that was read earlier: a write may have begun and ended since then.
    /// Let [`Region::get_or_load`] load the value, or take a ticket with [`Region::begin`] before
    /// you read it.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// assert!(names.insert(7, "Ada"));
    /// ```
    pub fn insert(&self, key: K, value: V) -> bool {
        self.state.insert(key, Entry::new(value))
    }

    /// Stores a value as [`Region::insert`] does, with its own TTL and tags. The TTL counts from
    /// now.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let (clock, hand) = Clock::manual();
    /// # let manager = Manager::new(Runtime::new(clock, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// assert!(names.insert_entry(7, Entry::new("Ada").ttl(Duration::from_secs(1))));
    /// hand.advance(Duration::from_secs(1));
    /// assert_eq!(names.get(&7), None);
    /// ```
    pub fn insert_entry(&self, key: K, entry: Entry<V>) -> bool {
        self.state.insert(key, entry)
    }

    /// Invalidates one key by hand, with its absence. A load of the key that is in progress is not
    /// stored any more. Returns `true` if a value or an absence was in memory.
    ///
    /// A write of this process needs no such call, because its [`WriteGuard`](crate::WriteGuard)
    /// invalidates its keys.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// assert!(names.remove(&7));
    /// assert!(!names.remove(&7));
    /// ```
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.state.remove(key)
    }

    /// Invalidates by hand every entry of the region that carries a tag. Returns their number. The
    /// cost grows with that number only. A load that is in progress is not stored any more if its
    /// value turns out to carry the tag.
    ///
    /// [`Manager::invalidate_tag`](crate::Manager::invalidate_tag) does it in all regions.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert_entry(7, Entry::new("Ada").tag("engineers"));
    /// names.insert(8, "Grace");
    /// assert_eq!(names.remove_tagged("engineers"), 1);
    /// assert_eq!((names.get(&7), names.get(&8)), (None, Some("Grace")));
    /// ```
    pub fn remove_tagged(&self, tag: impl Into<Arc<str>>) -> usize {
        self.state.invalidate_tag(&tag.into())
    }

    /// Invalidates by hand every key for which `covers` returns `true`, as [`Region::remove`] does
    /// for one. Returns the number of entries that were in memory.
    ///
    /// It visits every entry of the region. `covers` is called under a lock: it must not wait, and
    /// it must not call the cache.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// names.insert(8, "Grace");
    /// assert_eq!(names.remove_where(|key| key % 2 == 1), 1);
    /// assert_eq!((names.get(&7), names.get(&8)), (None, Some("Grace")));
    /// ```
    pub fn remove_where(&self, covers: impl Fn(&K) -> bool) -> usize {
        self.state.invalidate_where(covers)
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    fn insert(&self, key: K, entry: Entry<V>) -> bool {
        let Entry { value, terms } = entry;
        // Before the lock is taken: the caller states that the value is current at this time, and
        // the weigher is user code.
        let storing = Storing {
            loaded_at: self.clock.now(),
            tags_since: self.tags.count(),
            weight: self.weigh(&key, &value),
            terms,
        };
        let mut stripe = self.stripe(&key);
        let mut is_open = stripe.is_covered(&key);
        if let Some(progress) = stripe.keys.get_mut(&key) {
            is_open = progress.is_open(is_open);
            if !is_open {
                progress.invalidate();
            }
        }
        stripe.forget_idle(&key);
        if is_open || !self.is_enabled() {
            self.counters.refused_stores.one();
            return false;
        }
        let put = self.put(key, value, storing);
        drop(stripe);
        self.count_put(put)
    }

    pub(super) fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let removed = self.take_out(key, |progress| {
            let load = progress.invalidate();
            self.rules().unregistered(progress, load.clone());
            load
        });
        let any = removed.any();
        self.counters.invalidations.add(usize::from(any));
        self.finish_removal(removed.values, Removal::Invalidated);
        any
    }

    /// Removes what is in memory for a key, after `unregister` has changed what is in progress for
    /// it and returned the load that is registered no longer.
    pub(super) fn take_out<Q: Hash + Eq + ?Sized>(
        &self,
        key: &Q,
        unregister: impl FnOnce(&mut KeyProgress<K, V>) -> Option<Arc<Flight<K, V>>>,
    ) -> Removed<K, V>
    where
        K: Borrow<Q>,
    {
        let mut stripe = self.stripe(key);
        let load = stripe.keys.get_mut(key).and_then(unregister);
        stripe.forget_idle(key);
        let removed = self.store.remove(key);
        drop(stripe);
        // After the lock: its loader is user code.
        drop(load);
        removed
    }

    /// Invalidates the entries that carry a tag. Returns how many there were.
    pub(super) fn invalidate_tag(&self, tag: &Arc<str>) -> usize {
        let removed = self.remove_tagged(self.tags.invalidate(tag), tag, Removal::Invalidated);
        self.counters.invalidations.add(removed);
        removed
    }

    /// Removes the values of `keys` that carry a tag. Returns how many did.
    pub(crate) fn remove_tagged(&self, keys: Vec<K>, tag: &Arc<str>, reason: Removal) -> usize {
        let mut count = 0;
        for key in keys {
            // Under the lock of the stripe: an entry that was admitted before the tag was
            // invalidated is in the store when the lock is free.
            let stripe = self.stripe(&key);
            let removed = self
                .store
                .remove_value_if(&key, |entry| entry.tags().contains(tag));
            drop(stripe);
            count += removed.len();
            self.finish_removal(removed, reason);
        }
        count
    }
}
