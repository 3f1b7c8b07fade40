//! A bound on the bytes of images in responses that are being sent.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The bytes that one permit of the semaphore stands for.
const UNIT: usize = 1_024;
/// The bytes of images in all responses together. A client that reads slowly holds its response in
/// memory, so without a bound a few clients could fill the memory.
const MOST: usize = 16 << 20;

/// The longest wait for the images of other responses to be sent. A client on a usual connection
/// has received them by then.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// The bytes of images that may still be sent at the same time.
#[derive(Clone, Debug)]
pub(crate) struct ImageBytes(Arc<Semaphore>);

/// The bytes of the images in one response. They are free again when the permit is dropped.
#[derive(Debug)]
pub(crate) struct ImagePermit(OwnedSemaphorePermit);

impl Default for ImageBytes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST / UNIT)))
    }
}

impl ImageBytes {
    /// Waits a moment for a permit for this number of bytes. Returns `None` if other responses take
    /// them for longer.
    pub(crate) async fn acquire(&self, bytes: usize) -> Option<ImagePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let permit = self.0.clone().acquire_many_owned(units);
        let permit = timeout(LONGEST_WAIT, permit).await.ok()?;
        // The semaphore is never closed.
        permit.ok().map(ImagePermit)
    }
}

impl ImagePermit {
    /// Adds the bytes of another permit.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

/// Returns bytes that hold the permit until they are sent.
pub(crate) fn hold(bytes: impl Into<Bytes>, permit: Option<ImagePermit>) -> Bytes {
    struct Held(
        Bytes,
        #[expect(dead_code, reason = "it is held until it is dropped")] ImagePermit,
    );

    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    let bytes = bytes.into();
    match permit {
        Some(permit) => Bytes::from_owner(Held(bytes, permit)),
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_bytes_are_free_again_when_the_response_is_dropped() {
        let images = ImageBytes::default();
        let mut half = images.acquire(MOST / 2).await.unwrap();
        half.merge(images.acquire(MOST / 4).await.unwrap());
        let response = hold(vec![1, 2, 3], Some(half));
        assert_eq!(&response[..], [1, 2, 3]);
        assert!(images.acquire(MOST / 2).await.is_none());
        drop(response);
        assert!(images.acquire(MOST).await.is_some());
        assert!(images.acquire(MOST + UNIT).await.is_none());
    }
}
