//! Bounds on the requests that wait: event streams and waiting polls. Each occupies a connection
//! for a long time.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::UserId;

use super::busy::Busy;
use crate::{settings::Limits, times::Times};

/// The kind of a request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WaitKind {
    Stream,
    Poll,
}

/// The requests that wait now. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, usize>,
    guests: HashMap<UserId, usize>,
    kinds: HashMap<WaitKind, usize>,
    /// By the order of [`WaitOutcome`].
    times: [WaitTimes; 3],
}

/// The way in which a poll's wait ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitOutcome {
    /// There was a message, or a message disappeared.
    Found,
    /// The time was over.
    Late,
    /// The server stopped, or the caller's token was revoked.
    Stopped,
}

/// The upper bounds of the buckets of [`WaitTimes`], in seconds.
pub(crate) const WAIT_BOUNDS: [f64; 8] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];
/// A histogram of the time that polls waited.
pub(crate) type WaitTimes = Times<{ WAIT_BOUNDS.len() + 1 }>;

/// A request that waits. It is counted until the permit is dropped.
#[derive(Debug)]
pub(crate) struct WaitPermit {
    waits: Waits,
    kind: WaitKind,
    guest: Option<(IpAddr, UserId)>,
}

impl Waits {
    /// Counts the time that a poll waited.
    pub(crate) fn record(&self, outcome: WaitOutcome, time: Duration) {
        self.lock().times[outcome as usize].record(&WAIT_BOUNDS, time);
    }

    /// Returns the time that polls waited, by the outcome.
    pub(crate) fn times(&self) -> [(&'static str, WaitTimes); 3] {
        let [found, late, stopped] = self.lock().times.clone();
        [("found", found), ("late", late), ("stopped", stopped)]
    }

    /// Counts a request that waits. Fails if a guest or its address has too many of them. The
    /// administrator has no bound.
    pub(crate) fn begin(
        &self,
        kind: WaitKind,
        guest: Option<(IpAddr, UserId)>,
        limits: &Limits,
    ) -> Result<WaitPermit, Busy> {
        let mut counts = self.lock();
        if let Some((address, user)) = &guest {
            let of_address = counts.addresses.get(address).copied().unwrap_or(0);
            let of_guest = counts.guests.get(user).copied().unwrap_or(0);
            if of_address >= limits.waits_per_address || of_guest >= limits.waits_per_guest {
                return Err(Busy);
            }
            *counts.addresses.entry(*address).or_default() += 1;
            *counts.guests.entry(user.clone()).or_default() += 1;
        }
        *counts.kinds.entry(kind).or_default() += 1;
        drop(counts);
        Ok(WaitPermit {
            waits: self.clone(),
            kind,
            guest,
        })
    }

    /// Returns the number of requests of this kind that wait now.
    pub(crate) fn count(&self, kind: WaitKind) -> usize {
        self.lock().kinds.get(&kind).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitPermit {
    fn drop(&mut self) {
        let mut counts = self.waits.lock();
        remove_one(&mut counts.kinds, &self.kind);
        if let Some((address, user)) = &self.guest {
            remove_one(&mut counts.addresses, address);
            remove_one(&mut counts.guests, user);
        }
    }
}

/// Subtracts one from a count. A count of zero is removed, so that idle callers take no memory.
pub(super) fn remove_one<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_and_an_address_have_bounds_and_the_administrator_has_none() {
        let limits = Limits {
            waits_per_guest: 2,
            waits_per_address: 3,
            ..Limits::default()
        };
        let waits = Waits::default();
        let guest = |name: &str, host: u8| {
            let user = UserId::parse(name).unwrap();
            Some((IpAddr::from([10, 0, 0, host]), user))
        };
        let begin = |guest| waits.begin(WaitKind::Stream, guest, &limits);
        let first = begin(guest("guest-1", 1)).unwrap();
        let second = begin(guest("guest-1", 2)).unwrap();
        assert_eq!(begin(guest("guest-1", 3)).unwrap_err(), Busy);
        let others = [
            begin(guest("guest-2", 1)).unwrap(),
            begin(guest("guest-3", 1)).unwrap(),
        ];
        assert_eq!(begin(guest("guest-4", 1)).unwrap_err(), Busy);
        drop(first);
        let third = begin(guest("guest-1", 3)).unwrap();
        let admins: Vec<_> = (0..10).map(|_| begin(None).unwrap()).collect();
        assert_eq!(waits.count(WaitKind::Stream), 14);
        assert_eq!(waits.count(WaitKind::Poll), 0);
        drop((second, third, others, admins));
        let counts = waits.lock();
        assert!(counts.addresses.is_empty() && counts.guests.is_empty());
        assert!(counts.kinds.is_empty());
    }
}
