//! Leases: a cheap check that values in memory are unchanged, without looking them up.

use super::{Region, policy::Key, state::RegionId};
use crate::clock::Nanos;

/// A statement that some values of a region are unchanged. [`Region::lease`] returns one.
///
/// A caller that has derived a result from the values may reuse it while [`Region::holds`] returns
/// `true`. That check takes no lock and writes no shared cache line.
///
/// A lease ends before a write of its keys begins. It also ends when one of the values expires, is
/// replaced, evicted or invalidated by hand, and when the region is switched off. Such changes are
/// counted for 64 groups of keys, so a lease on one key also ends with about one in 64 changes of
/// other keys. A load of a key that was not in memory is no change.
///
/// ```
/// # use cache_core::*;
/// # use std::time::Duration;
/// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
/// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
/// names.insert(7, "Ada".to_owned());
/// let lease = names.lease(&[7]).expect("the value is in memory");
/// let greeting = format!("Hello {}", names.get(&7).expect("the value is in memory"));
/// assert!(names.holds(&lease), "{greeting} is current");
/// names.remove(&7);
/// assert!(!names.holds(&lease), "{greeting} may be stale");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    /// The region that the lease is of.
    region: RegionId,
    /// The stripes of the keys, one bit each.
    stripes: u64,
    /// The sum of the numbers of changes in these stripes when the lease was taken. Each of the
    /// numbers only rises, so an equal sum means that none has changed.
    changes: u64,
    /// The time at which the first of the values stops being fresh.
    until: Nanos,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns a lease on the values of `keys`. Take it *before* reading the values: it then covers
    /// every change since.
    ///
    /// Returns `None` if a value is missing, absent or not fresh, and in a region with a time to
    /// idle. A lease on the end of a log ends with its next entry. [`Lease`] has an example.
    pub fn lease(&self, keys: &[K]) -> Option<Lease> {
        let state = &*self.state;
        let changes = state.store.changes();
        let stripes = keys.iter().fold(0, |stripes, key| {
            stripes | 1_u64 << changes.hash(key).count()
        });
        // Sampled before the values are checked: a change in between ends the lease.
        let changes = self.changes(stripes);
        let until = keys.iter().try_fold(Nanos::MAX, |until, key| {
            Some(until.min(state.store.fresh_until(key)?))
        })?;
        let lease = Lease {
            region: state.id,
            stripes,
            changes,
            until,
        };
        Some(lease).filter(|lease| self.holds(lease))
    }

    /// Returns how often values of these stripes have changed.
    fn changes(&self, mut stripes: u64) -> u64 {
        let mut changes = 0_u64;
        while stripes != 0 {
            let stripe = stripes.trailing_zeros() as usize;
            changes = changes.wrapping_add(self.state.store.changes().get(stripe));
            stripes &= stripes - 1;
        }
        changes
    }

    /// Returns `true` if the values are the same and fresh as when the lease was taken. A lease of
    /// another region never holds. [`Lease`] has an example.
    pub fn holds(&self, lease: &Lease) -> bool {
        let state = &*self.state;
        let now = state.clock.now();
        now < lease.until
            && !state.serving.is_over(now)
            && lease.region == state.id
            && self.changes(lease.stripes) == lease.changes
    }
}
