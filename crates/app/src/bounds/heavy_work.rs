//! A bound on work that takes much memory for a short time: hashing passwords and decoding images.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::busy::Busy;

/// The number of permits. A password takes one, and an image takes all.
const PERMITS: u32 = 2;
/// The number of requests that do such work or wait for it.
const MOST_QUEUED: usize = 8;
/// The longest wait for a permit.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The kind of a work, by its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeavyKind {
    /// A hash of a password, which takes 19 MiB.
    Password,
    /// An image that is decoded, which takes up to 48 MiB and its copies. Nothing else runs
    /// meanwhile.
    Image,
}

/// The queue of heavy work. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct HeavyWork {
    /// Images have a queue of their own, so that they cannot refuse logins.
    passwords: Arc<Semaphore>,
    images: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

/// The permit for one work. The thread that does the work holds it.
#[derive(Debug)]
pub(crate) struct HeavyPermit {
    _place: OwnedSemaphorePermit,
    _permits: OwnedSemaphorePermit,
}

impl Default for HeavyWork {
    fn default() -> Self {
        Self {
            passwords: Arc::new(Semaphore::new(MOST_QUEUED)),
            images: Arc::new(Semaphore::new(MOST_QUEUED)),
            permits: Arc::new(Semaphore::new(PERMITS as usize)),
        }
    }
}

impl HeavyWork {
    /// Waits until the work may begin. Fails if too much other work waits, or after some seconds.
    pub(crate) async fn begin(&self, kind: HeavyKind) -> Result<HeavyPermit, Busy> {
        let (queue, permits) = match kind {
            HeavyKind::Password => (&self.passwords, 1),
            HeavyKind::Image => (&self.images, PERMITS),
        };
        let place = queue.clone().try_acquire_owned().map_err(|_| Busy)?;
        let permits = self.permits.clone().acquire_many_owned(permits);
        let permits = timeout(LONGEST_WAIT, permits).await.map_err(|_| Busy)?;
        Ok(HeavyPermit {
            _place: place,
            // The semaphore is never closed.
            _permits: permits.map_err(|_| Busy)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_passwords_are_hashed_at_once_and_none_beside_an_image() {
        let work = HeavyWork::default();
        let begin = |kind| Box::pin(work.begin(kind)).now_or_never();
        let hashes: Vec<_> = (0..PERMITS)
            .map(|_| begin(HeavyKind::Password).unwrap().unwrap())
            .collect();
        assert!(begin(HeavyKind::Password).is_none());
        assert!(begin(HeavyKind::Image).is_none());
        drop(hashes);
        let image = begin(HeavyKind::Image).unwrap().unwrap();
        assert!(begin(HeavyKind::Password).is_none());
        assert_eq!(work.begin(HeavyKind::Password).await.unwrap_err(), Busy);
        drop(image);
        assert!(begin(HeavyKind::Password).unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_few_requests_wait() {
        let work = HeavyWork::default();
        let _image = work.begin(HeavyKind::Image).await.unwrap();
        let mut waiting: Vec<_> = (0..MOST_QUEUED)
            .map(|_| Box::pin(work.begin(HeavyKind::Password)))
            .collect();
        assert!(
            waiting
                .iter_mut()
                .all(|wait| wait.as_mut().now_or_never().is_none())
        );
        let refused = Box::pin(work.begin(HeavyKind::Password)).now_or_never();
        assert!(matches!(refused, Some(Err(Busy))));
    }
}
