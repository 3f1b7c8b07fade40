//! That values in memory are still the same, told without looking them up.

use crate::{
    clock::Nanos,
    region::{Key, Region},
    sync::Ordering,
};

/// That some keys have just the values that they have in memory: what was made of these need not be made anew while it
/// holds. To tell whether it does takes no lock and writes nothing.
///
/// A write ends it before it begins, like the values themselves; so do their TTLs, an invalidation by hand, and switching
/// off. It ends with any change of its region, of other keys too: it is for regions that are read far more often than they
/// change.
///
/// ```
/// # use std::{convert::Infallible, time::Duration};
/// # use cache_core::{Manager, Policy, Runtime};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let manager = Manager::builder(Runtime::tokio()).build();
/// # let names = manager.region::<u64, String>("names", Policy::new(Duration::from_secs(60), 10_000));
/// names.insert(7, "Ada".to_owned());
/// let lease = names.lease(&[7]).expect("it is in memory");
/// let greeting = format!("Hello {}", names.get(&7).expect("it is in memory"));
/// assert!(names.holds(&lease), "{greeting} is still right");
/// names.remove(&7);
/// assert!(!names.holds(&lease));
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    changes: u64,
    until: Nanos,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// To be taken before the values are read: what changes from then on, it does not outlive. `None` if one of them is not
    /// in memory or not fresh, and always of the ends of logs, which change where they stand.
    pub fn lease(&self, keys: &[K]) -> Option<Lease> {
        let inner = &*self.0;
        if inner.changes_in_place() {
            return None;
        }
        let changes = inner.store.changes();
        let until = keys.iter().try_fold(Nanos::MAX, |until, key| {
            Some(until.min(inner.store.fresh_until(key)?))
        })?;
        Some(Lease { changes, until }).filter(|lease| self.holds(lease))
    }

    /// Whether a look-up of each would give what it gave when the lease was taken.
    pub fn holds(&self, lease: &Lease) -> bool {
        let now = self.0.clock.now() | self.0.switched_off.load(Ordering::Relaxed);
        now < lease.until && self.0.store.changes() == lease.changes
    }
}
