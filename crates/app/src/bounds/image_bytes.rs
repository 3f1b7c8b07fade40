//! A bound on the bytes of images in responses that are being sent.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::shares::{Share, Shares};

/// The bytes that one permit of the semaphore stands for.
const UNIT: usize = 1_024;
/// The bytes of images in all responses together. A client that reads slowly holds its response in
/// memory, so without a bound a few clients could fill the memory.
const MOST: usize = 16 << 20;

/// The longest wait for the images of other responses to be sent. A client on a usual connection
/// has received them by then.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// The bytes of images that may still be sent at the same time. One address gets half of them, the
/// administrator all.
#[derive(Clone, Debug)]
pub(crate) struct ImageBytes {
    free: Arc<Semaphore>,
    shares: Shares,
}

/// The bytes of images for the responses to one sender: its address, or `None` for the
/// administrator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderImages<'a> {
    images: &'a ImageBytes,
    address: Option<IpAddr>,
}

/// The bytes of the images in one response. They are free again when the permit is dropped.
#[derive(Debug)]
pub(crate) struct ImagePermit {
    bytes: OwnedSemaphorePermit,
    shares: Vec<Share>,
}

impl Default for ImageBytes {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MOST / UNIT)),
            shares: Shares::new(MOST / 2),
        }
    }
}

impl ImageBytes {
    /// Returns the bytes for the responses to the sender with this address; `None` for the
    /// administrator.
    pub(crate) fn of(&self, address: Option<IpAddr>) -> SenderImages<'_> {
        SenderImages {
            images: self,
            address,
        }
    }
}

impl SenderImages<'_> {
    /// Waits a moment for a permit for this number of bytes. Returns `None` if other responses take
    /// them for longer.
    pub(crate) async fn acquire(&self, bytes: usize) -> Option<ImagePermit> {
        timeout(LONGEST_WAIT, self.wait_for(bytes)).await.ok()?
    }

    async fn wait_for(&self, bytes: usize) -> Option<ImagePermit> {
        let ImageBytes { free, shares } = self.images;
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let mut share = self.address.map(|address| shares.begin(address));
        if let Some(share) = &mut share {
            share.wait_for(bytes).await;
        }
        // The semaphore is never closed.
        let permit = free.clone().acquire_many_owned(units).await.ok()?;
        Some(ImagePermit {
            bytes: permit,
            shares: share.into_iter().collect(),
        })
    }
}

impl ImagePermit {
    /// Adds the bytes of another permit.
    pub(crate) fn merge(&mut self, other: Self) {
        self.bytes.merge(other.bytes);
        self.shares.extend(other.shares);
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
        let all = ImageBytes::default();
        let images = all.of(None);
        let mut half = images.acquire(MOST / 2).await.unwrap();
        half.merge(images.acquire(MOST / 4).await.unwrap());
        let response = hold(vec![1, 2, 3], Some(half));
        assert_eq!(&response[..], [1, 2, 3]);
        assert!(images.acquire(MOST / 2).await.is_none());
        drop(response);
        assert!(images.acquire(MOST).await.is_some());
        assert!(images.acquire(MOST + UNIT).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_leaves_bytes_to_other_addresses() {
        let all = ImageBytes::default();
        let [one, other] = [1, 2].map(|host| all.of(Some(IpAddr::from([10, 0, 0, host]))));
        let slow = one.acquire(MOST / 2).await.unwrap();
        assert!(one.acquire(UNIT).await.is_none());
        assert!(other.acquire(MOST / 2).await.is_some());
        drop(slow);
        assert!(one.acquire(UNIT).await.is_some());
    }
}
