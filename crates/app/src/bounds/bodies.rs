//! A bound on the bytes of request bodies that are in memory at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::busy::Busy;

/// The bytes that one permit of the semaphore stands for. A semaphore admits fewer permits than
/// memory has bytes on small machines.
const UNIT: usize = 1_024;

/// The bytes of request bodies that may still be read into memory. Small bodies, such as logins,
/// have a quarter of the bytes, so that large ones cannot refuse them.
#[derive(Debug)]
pub(crate) struct BodyBytes {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// The bytes of one body. They are free again when the permit is dropped.
#[derive(Debug)]
pub(crate) struct BodyPermit {
    free: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl BodyBytes {
    pub(super) fn new(bytes: usize) -> Self {
        let free = |bytes: usize| {
            let units = bytes.div_ceil(UNIT).clamp(1, Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(units))
        };
        Self {
            small: free(bytes / 4),
            large: free(bytes / 4 * 3),
        }
    }

    /// Returns a permit for a body of which no byte has arrived.
    pub(crate) fn begin(&self, is_large: bool) -> BodyPermit {
        let free = if is_large { &self.large } else { &self.small };
        BodyPermit {
            free: free.clone(),
            held: None,
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
        let missing = bytes.div_ceil(UNIT).saturating_sub(held);
        if missing == 0 {
            return Ok(());
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

    #[test]
    fn bodies_take_the_bytes_that_have_arrived_and_return_them() {
        let bodies = BodyBytes::new(8 * UNIT);
        let (mut one, mut other) = (bodies.begin(true), bodies.begin(true));
        assert_eq!(one.raise_to(1), Ok(()));
        assert_eq!(one.raise_to(5 * UNIT), Ok(()));
        assert_eq!(other.raise_to(UNIT + 1), Err(Busy));
        assert_eq!(bodies.begin(false).raise_to(2 * UNIT), Ok(()));
        assert_eq!(other.raise_to(UNIT), Ok(()));
        drop(one);
        assert_eq!(other.raise_to(6 * UNIT), Ok(()));
    }
}
