//! One stripe of the in-progress map.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
};

use super::flight::Flight;
use crate::{
    protocol::progress::Progress,
    sync::{Arc, HashBuilder, HashMap},
};

/// The number of stripes of the in-progress map: with 64, two of the 256 writes that may run at a
/// time seldom hold the same lock. Few under the explorer, so that schedules share stripes.
pub(crate) const STRIPES: usize = if cfg!(shuttle) { 2 } else { 64 };

/// The most keys for which an idle stripe keeps memory: enough for the loads of usual times.
const MOST_IDLE: usize = 64;

/// Distributes keys over the stripes.
#[derive(Default)]
pub(crate) struct Striping(HashBuilder);

impl Striping {
    /// Returns the index of a key's stripe.
    pub(crate) fn index<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        usize::try_from(self.0.hash_one(key) % STRIPES as u64)
            .expect("a remainder of STRIPES fits in a usize")
    }

    /// Returns a number that marks `value`: another value has another mark, but for one in 2^64.
    pub(super) fn mark(&self, value: impl Hash) -> u64 {
        self.0.hash_one(value)
    }

    /// Returns a number between 0 and 1 that depends on `seed` and differs from process to process.
    #[expect(clippy::cast_precision_loss, reason = "a random share")]
    pub(super) fn share(&self, seed: impl Hash) -> f64 {
        // The 53 bits of an f64's mantissa.
        (self.0.hash_one(seed) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The writes and loads in progress for one key.
pub(crate) type KeyProgress<K, V> = Progress<Arc<Flight<K, V>>>;

/// The keys of one stripe for which something is in progress.
pub(crate) struct Stripe<K, V> {
    pub(crate) keys: HashMap<K, KeyProgress<K, V>>,
    /// The open windows of writes over the whole region, or over a part of it; the same in every
    /// stripe, unless one is being opened or closed.
    pub(crate) wide: Vec<WideWindow<K>>,
}

/// Returns `true` for the keys that a write makes stale.
pub(crate) type Covers<K> = Arc<dyn Fn(&K) -> bool + Send + Sync>;

/// A window of one write over many keys. Clones are the same window.
pub(crate) struct WideWindow<K> {
    /// Identifies the window.
    id: Arc<()>,
    /// `None`: it covers all keys.
    covers: Option<Covers<K>>,
}

impl<K> Clone for WideWindow<K> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            covers: self.covers.clone(),
        }
    }
}

impl<K> WideWindow<K> {
    pub(crate) fn whole() -> Self {
        Self {
            id: Arc::default(),
            covers: None,
        }
    }

    pub(crate) fn over(covers: Covers<K>) -> Self {
        Self {
            id: Arc::default(),
            covers: Some(covers),
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.covers.is_none()
    }

    pub(crate) fn covers(&self, key: &K) -> bool {
        self.covers.as_ref().is_none_or(|covers| covers(key))
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Stripe<K, V> {
    pub(super) fn new() -> Self {
        Self {
            keys: HashMap::default(),
            wide: Vec::new(),
        }
    }

    /// Returns `true` while a write over many keys is open that covers this one.
    pub(crate) fn is_covered(&self, key: &K) -> bool {
        self.wide.iter().any(|window| window.covers(key))
    }

    pub(crate) fn open_wide(&mut self, window: &WideWindow<K>) {
        self.wide.push(window.clone());
    }

    pub(crate) fn close_wide(&mut self, window: &WideWindow<K>) {
        self.wide.retain(|open| !Arc::ptr_eq(&open.id, &window.id));
    }

    /// Forgets a key if nothing is in progress for it.
    pub(crate) fn forget_idle<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if self.keys.get(key).is_some_and(Progress::is_idle) {
            self.keys.remove(key);
        }
        if self.keys.is_empty() && self.keys.capacity() > MOST_IDLE {
            // After a burst of keys, its memory is returned.
            self.keys.shrink_to(MOST_IDLE);
        }
    }

    /// Forgets every key for which nothing is in progress.
    pub(crate) fn forget_all_idle(&mut self) {
        self.keys.retain(|_, progress| !progress.is_idle());
    }

    /// Unregisters a load that ended. Returns `true` if it was still registered.
    pub(crate) fn unregister(&mut self, key: &K, flight: &Arc<Flight<K, V>>) -> bool {
        let was_registered = self
            .keys
            .get_mut(key)
            .is_some_and(|progress| progress.unregister(|other| Arc::ptr_eq(other, flight)));
        self.forget_idle(key);
        was_registered
    }

    /// Returns the value that collects during the registered load of a key.
    pub(crate) fn filling(&self, key: &K) -> Option<&V> {
        self.keys.get(key)?.load()?.filling.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripe_returns_the_memory_of_a_burst() {
        let mut stripe: Stripe<u64, u64> = Stripe::new();
        for key in 0..10_000 {
            stripe.keys.entry(key).or_default();
        }
        for key in 0..10_000 {
            stripe.forget_idle(&key);
        }
        assert!(stripe.keys.capacity() < 10 * MOST_IDLE);
    }
}
