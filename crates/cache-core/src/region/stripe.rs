//! One stripe of the in-progress map.

use std::hash::Hash;

use super::flight::Flight;
use crate::{
    protocol::progress::Progress,
    sync::{Arc, HashMap},
};

/// The number of stripes of the in-progress map: with 64, two of the 256 writes that may run at a
/// time seldom hold the same lock. Few under the explorer, so that schedules share stripes.
pub(crate) const STRIPES: usize = if cfg!(shuttle) { 2 } else { 64 };

/// The keys of one stripe for which something is in progress.
pub(crate) struct Stripe<K, V> {
    pub(crate) keys: HashMap<K, Progress<Arc<Flight<K, V>>>>,
    /// The number of open writes over the whole region; the same in every stripe.
    pub(crate) region_open: u32,
}

impl<K: Clone + Eq + Hash, V: Clone> Stripe<K, V> {
    pub(super) fn new() -> Self {
        Self {
            keys: HashMap::default(),
            region_open: 0,
        }
    }

    /// Forgets a key if nothing is in progress for it.
    pub(crate) fn forget_idle(&mut self, key: &K) {
        if self.keys.get(key).is_some_and(Progress::is_idle) {
            self.keys.remove(key);
        }
    }

    /// Forgets every key for which nothing is in progress.
    pub(crate) fn forget_all_idle(&mut self) {
        self.keys.retain(|_, progress| !progress.is_idle());
    }

    /// Unregisters a load that ended. Returns `true` if it was still registered.
    pub(super) fn unregister(&mut self, key: &K, flight: &Arc<Flight<K, V>>) -> bool {
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
