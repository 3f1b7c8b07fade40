//! That values in memory are still the same, told without looking them up.

use crate::{
    clock::Nanos,
    region::{Key, Region},
    sync::Ordering,
};

/// That some keys have just the values that they have in memory. While it holds, a look-up of each gives these, so that what
/// was made of them need not be made anew: to tell that takes no lock and writes nothing.
///
/// A lease is lost with any change of its region, of other keys too: it is for regions that are read far more often than
/// they change.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    changes: u64,
    until: Nanos,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Taken before the values are read; `None` if one of them is not in memory, or not fresh.
    pub fn lease(&self, keys: &[K]) -> Option<Lease> {
        let store = &self.0.store;
        // First, so that whatever changes while the values are looked up and read is seen by `holds`.
        let changes = store.changes();
        let until = keys.iter().try_fold(Nanos::MAX, |until, key| Some(until.min(store.fresh_until(key)?)))?;
        Some(Lease { changes, until }).filter(|lease| self.holds(lease))
    }

    /// Whether a look-up would give what it gave when the lease was taken.
    pub fn holds(&self, lease: &Lease) -> bool {
        let now = self.0.clock.now() | self.0.switched_off.load(Ordering::Relaxed);
        now < lease.until && self.0.store.changes() == lease.changes
    }
}
