//! A bound on the reads of agents' pictures, which need no token.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    busy::Busy,
    shares::{Share, Shares},
};

/// The number of pictures that are read at the same time.
const READS: usize = 2;
/// The number of pictures that are read for one address, or wait to be sent to it. A browser opens
/// six connections.
const MOST_PER_ADDRESS: usize = 8;
/// The longest wait for other pictures to be read.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The pictures that may still be read.
#[derive(Clone, Debug)]
pub(crate) struct PictureReads {
    reads: Arc<Semaphore>,
    shares: Shares,
}

/// The permit for one picture.
#[derive(Debug)]
pub(crate) struct PictureRead {
    _share: Share,
    read: Option<OwnedSemaphorePermit>,
}

impl Default for PictureReads {
    fn default() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(READS)),
            shares: Shares::new(MOST_PER_ADDRESS),
        }
    }
}

impl PictureReads {
    /// Waits until a picture may be read for this address. Fails after some seconds.
    pub(crate) async fn begin(&self, address: IpAddr) -> Result<PictureRead, Busy> {
        let waiting = async {
            let mut share = self.shares.begin(address);
            // The address waits for itself first, so that it takes no place from others.
            share.wait_for(1).await;
            let read = self.reads.clone().acquire_owned().await;
            // The semaphore is never closed.
            read.map(|read| PictureRead {
                _share: share,
                read: Some(read),
            })
        };
        let begun = timeout(LONGEST_WAIT, waiting).await.map_err(|_| Busy)?;
        begun.map_err(|_| Busy)
    }
}

impl PictureRead {
    /// Lets the next picture be read. The address has this picture in memory until the permit is
    /// dropped.
    pub(crate) fn has_read(&mut self) {
        self.read = None;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_with_many_pictures_does_not_keep_others_waiting() {
        let pictures = PictureReads::default();
        let [one, other] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let mut waiting_to_be_sent = Vec::new();
        for _ in 0..MOST_PER_ADDRESS {
            let mut read = pictures.begin(one).await.unwrap();
            read.has_read();
            waiting_to_be_sent.push(read);
        }
        assert!(Box::pin(pictures.begin(one)).now_or_never().is_none());
        let mut others = Vec::new();
        for _ in 0..READS {
            others.push(pictures.begin(other).await.unwrap());
        }
        assert_eq!(pictures.begin(other).await.unwrap_err(), Busy);
        drop(others);
        drop(waiting_to_be_sent);
        assert!(pictures.begin(one).await.is_ok());
    }
}
