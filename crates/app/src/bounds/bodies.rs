//! A bound on the bytes of request bodies that are in memory at the same time.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    busy::Busy,
    shares::{Share, Shares},
};
use crate::settings::SMALL_BODY_BYTES;

/// The bytes that one permit of the semaphore stands for. A semaphore admits fewer permits than
/// memory has bytes on small machines.
const UNIT: usize = 1_024;

/// The bytes of request bodies that may still be read into memory. Small bodies, such as logins,
/// have an eighth of the bytes, so that large ones cannot refuse them.
#[derive(Debug)]
pub(crate) struct BodyBytes {
    small: Pool,
    large: Pool,
}

/// The bytes of the bodies of one kind. The requests of one address get half of them, or one
/// longest body, except those of the administrator.
#[derive(Debug)]
struct Pool {
    free: Arc<Semaphore>,
    shares: Shares,
}

/// The bytes of one body. They are free again when the permit is dropped.
#[derive(Debug)]
pub(crate) struct BodyPermit {
    free: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    share: Option<Share>,
}

impl BodyBytes {
    /// Creates the bounds. `longest` is the length of the longest body.
    pub(super) fn new(bytes: usize, longest: usize) -> Self {
        Self {
            small: Pool::new(bytes / 8, SMALL_BODY_BYTES),
            large: Pool::new(bytes / 8 * 7, longest),
        }
    }

    /// Returns a permit for a small body of which no byte has arrived.
    ///
    /// `address` is that of the sender; `None` for the administrator.
    pub(crate) fn begin_small(&self, address: Option<IpAddr>) -> BodyPermit {
        self.small.begin(address)
    }

    /// Returns a permit for a large body of which no byte has arrived.
    ///
    /// `address` is that of the sender; `None` for the administrator.
    pub(crate) fn begin_large(&self, address: Option<IpAddr>) -> BodyPermit {
        self.large.begin(address)
    }
}

impl Pool {
    fn new(bytes: usize, longest: usize) -> Self {
        let units = bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(units)),
            shares: Shares::new((bytes / 2).max(longest.next_multiple_of(UNIT))),
        }
    }

    fn begin(&self, address: Option<IpAddr>) -> BodyPermit {
        BodyPermit {
            free: self.free.clone(),
            held: None,
            share: address.map(|address| self.shares.begin(address)),
        }
    }
}

impl BodyPermit {
    /// Raises the permit to `bytes`. Fails if other bodies take these bytes now.
    ///
    /// A body takes only the bytes that have arrived. So a client that announces a large body and
    /// does not send it takes nothing from others.
    pub(crate) fn raise_to(&mut self, bytes: usize) -> Result<(), Busy> {
        let held = self.held.as_ref();
        let held = held.map_or(0, OwnedSemaphorePermit::num_permits);
        let units = bytes.div_ceil(UNIT);
        let missing = units.saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        if let Some(share) = &mut self.share {
            share.raise_to(units * UNIT)?;
        }
        let missing = u32::try_from(missing).map_err(|_| Busy)?;
        let more = self.free.clone().try_acquire_many_owned(missing);
        let more = more.map_err(|_| Busy)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::least_body_bytes;

    #[test]
    fn bodies_take_the_bytes_that_have_arrived_and_return_them() {
        let bodies = BodyBytes::new(8 * UNIT, UNIT);
        let (mut one, mut other) = (bodies.begin_large(None), bodies.begin_large(None));
        assert_eq!(one.raise_to(1), Ok(()));
        assert_eq!(one.raise_to(6 * UNIT), Ok(()));
        assert_eq!(other.raise_to(UNIT + 1), Err(Busy));
        assert_eq!(bodies.begin_small(None).raise_to(UNIT), Ok(()));
        assert_eq!(other.raise_to(UNIT), Ok(()));
        drop(one);
        assert_eq!(other.raise_to(7 * UNIT), Ok(()));
    }

    #[test]
    fn one_address_can_send_the_longest_body() {
        let longest = 10 * 1_024 * UNIT;
        let bodies = BodyBytes::new(least_body_bytes(longest), longest);
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        assert_eq!(bodies.begin_large(address).raise_to(longest), Ok(()));
    }

    #[test]
    fn the_bodies_of_one_address_leave_bytes_to_others() {
        let bodies = BodyBytes::new(16 * UNIT, UNIT);
        let [one, other] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let mut first = bodies.begin_large(Some(one));
        assert_eq!(first.raise_to(6 * UNIT), Ok(()));
        let mut second = bodies.begin_large(Some(one));
        assert_eq!(second.raise_to(2 * UNIT), Err(Busy));
        assert_eq!(bodies.begin_large(Some(other)).raise_to(7 * UNIT), Ok(()));
        drop(first);
        assert_eq!(second.raise_to(2 * UNIT), Ok(()));
    }
}
