//! A bound on work that takes much memory for a short time: hashing passwords and decoding images.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    busy::Busy,
    shares::{Share, Shares},
};

/// The number of permits. A password takes one, and an image takes all.
///
/// A hash takes 20 to 30 ms, so one at a time is enough for 30 logins a second. More would take 19
/// MiB each.
const PERMITS: u32 = 1;
/// The number of requests that do such work or wait for it.
const MOST_QUEUED: usize = 8;
/// The number of these places that the images of one address's guests may take.
const MOST_QUEUED_BY_GUESTS: usize = 4;
/// The longest wait for a permit.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The queue of heavy work. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct HeavyWork {
    /// Images have a queue of their own, so that they cannot refuse logins.
    passwords: Arc<Semaphore>,
    images: Arc<Semaphore>,
    images_of_guests: Shares,
    permits: Arc<Semaphore>,
}

/// The permit for one work. The thread that does the work holds it.
#[derive(Debug)]
pub(crate) struct HeavyPermit {
    _share: Option<Share>,
    _place: OwnedSemaphorePermit,
    _permits: OwnedSemaphorePermit,
}

impl Default for HeavyWork {
    fn default() -> Self {
        Self {
            passwords: Arc::new(Semaphore::new(MOST_QUEUED)),
            images: Arc::new(Semaphore::new(MOST_QUEUED)),
            images_of_guests: Shares::new(MOST_QUEUED_BY_GUESTS),
            permits: Arc::new(Semaphore::new(PERMITS as usize)),
        }
    }
}

impl HeavyWork {
    /// Waits until a password may be hashed, which takes 19 MiB. Fails if too many others wait, or
    /// after some seconds.
    pub(crate) async fn begin_password(&self) -> Result<HeavyPermit, Busy> {
        self.begin(&self.passwords, 1, None).await
    }

    /// Waits until an image may be decoded, which takes up to 36 MiB and its copies. Nothing else
    /// runs meanwhile. Fails if too many others wait, or after some seconds.
    ///
    /// `guest` is the address of a guest; `None` for the administrator.
    pub(crate) async fn begin_image(&self, guest: Option<IpAddr>) -> Result<HeavyPermit, Busy> {
        let mut share = guest.map(|address| self.images_of_guests.begin(address));
        if let Some(share) = &mut share {
            share.raise_to(1)?;
        }
        self.begin(&self.images, PERMITS, share).await
    }

    async fn begin(
        &self,
        queue: &Arc<Semaphore>,
        permits: u32,
        share: Option<Share>,
    ) -> Result<HeavyPermit, Busy> {
        let place = queue.clone().try_acquire_owned().map_err(|_| Busy)?;
        let permits = self.permits.clone().acquire_many_owned(permits);
        let permits = timeout(LONGEST_WAIT, permits).await.map_err(|_| Busy)?;
        Ok(HeavyPermit {
            _share: share,
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
        let password = || Box::pin(work.begin_password()).now_or_never();
        let image = || Box::pin(work.begin_image(None)).now_or_never();
        let hashes: Vec<_> = (0..PERMITS).map(|_| password().unwrap().unwrap()).collect();
        assert!(password().is_none());
        assert!(image().is_none());
        drop(hashes);
        let decoding = image().unwrap().unwrap();
        assert!(password().is_none());
        assert_eq!(work.begin_password().await.unwrap_err(), Busy);
        drop(decoding);
        assert!(password().unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_few_requests_wait() {
        let work = HeavyWork::default();
        let _image = work.begin_image(None).await.unwrap();
        let mut waiting: Vec<_> = (0..MOST_QUEUED)
            .map(|_| Box::pin(work.begin_password()))
            .collect();
        assert!(
            waiting
                .iter_mut()
                .all(|wait| wait.as_mut().now_or_never().is_none())
        );
        let refused = Box::pin(work.begin_password()).now_or_never();
        assert!(matches!(refused, Some(Err(Busy))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_images_of_one_address_leave_places_to_others() {
        let work = HeavyWork::default();
        let [one, other] = [1, 2].map(|host| Some(IpAddr::from([10, 0, 0, host])));
        let mut waiting: Vec<_> = (0..MOST_QUEUED_BY_GUESTS)
            .map(|_| Box::pin(work.begin_image(one)))
            .collect();
        let _permit = waiting[0].as_mut().now_or_never().unwrap().unwrap();
        for wait in &mut waiting[1..] {
            assert!(wait.as_mut().now_or_never().is_none());
        }
        let refused = Box::pin(work.begin_image(one)).now_or_never();
        assert!(matches!(refused, Some(Err(Busy))));
        assert!(Box::pin(work.begin_image(other)).now_or_never().is_none());
    }
}
