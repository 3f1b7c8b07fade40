//! A bound on what one address may take of a resource that all callers share.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::busy::Busy;

/// The amounts of a resource that addresses hold. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    most: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
    freed: Arc<Notify>,
}

/// The amount that one request holds. It is free again when the share is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    address: IpAddr,
    held: usize,
}

impl Shares {
    /// Creates the shares of a resource of which one address may hold this amount.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            held: Arc::default(),
            freed: Arc::default(),
        }
    }

    /// Returns the amount that one address may hold.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Returns the share of a request that holds nothing yet.
    pub(super) fn begin(&self, address: IpAddr) -> Share {
        Share {
            shares: self.clone(),
            address,
            held: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Raises the amount that the request holds. Fails if the address would hold too much.
    pub(super) fn raise_to(&mut self, amount: usize) -> Result<(), Busy> {
        let missing = amount.saturating_sub(self.held);
        let mut held = self.shares.lock();
        let of_address = held.get(&self.address).copied().unwrap_or(0) + missing;
        if of_address > self.shares.most {
            return Err(Busy);
        }
        held.insert(self.address, of_address);
        drop(held);
        self.held += missing;
        Ok(())
    }

    /// Raises the amount that the request holds, and waits until the address may hold so much.
    pub(super) async fn wait_for(&mut self, amount: usize) {
        let freed = self.shares.freed.clone();
        loop {
            // Created before the look, so that no share that is dropped after it is missed.
            let next = freed.notified();
            if self.raise_to(amount).is_ok() {
                return;
            }
            next.await;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        if let Some(of_address) = held.get_mut(&self.address) {
            *of_address -= self.held;
            // Idle addresses take no memory.
            if *of_address == 0 {
                held.remove(&self.address);
            }
        }
        drop(held);
        self.shares.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_waits_until_others_of_its_address_end() {
        let shares = Shares::new(10);
        let address = IpAddr::from([10, 0, 0, 1]);
        let mut first = shares.begin(address);
        first.wait_for(6).await;
        let mut second = shares.begin(address);
        let mut waiting = Box::pin(second.wait_for(5));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        waiting.await;
    }

    #[test]
    fn the_requests_of_one_address_have_a_bound_together() {
        let shares = Shares::new(10);
        let [one, other] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let mut requests = [shares.begin(one), shares.begin(one)];
        assert_eq!(requests[0].raise_to(4), Ok(()));
        assert_eq!(requests[0].raise_to(6), Ok(()));
        assert_eq!(requests[1].raise_to(5), Err(Busy));
        assert_eq!(requests[1].raise_to(4), Ok(()));
        assert_eq!(shares.begin(other).raise_to(10), Ok(()));
        drop(requests);
        assert!(shares.lock().is_empty());
    }
}
