//! Bounds on the bytes of large responses that are being sent.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::shares::{Share, Shares};

/// The bytes that one permit of the semaphore stands for.
const UNIT: usize = 1_024;
/// The longest wait for other responses to be sent. A client on a usual connection has received
/// them by then.
const LONGEST_WAIT: Duration = Duration::from_millis(300);

/// The bytes of one kind, images or texts, that may still be sent at the same time. A client that
/// reads slowly holds its response in memory, so without a bound a few clients could fill the
/// memory. One address gets half of them, the administrator all.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingBytes {
    free: Arc<Semaphore>,
    shares: Shares,
}

/// The bytes for the responses to one sender: its address, or `None` for the administrator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderBytes<'a> {
    bytes: &'a OutgoingBytes,
    address: Option<IpAddr>,
    /// `true` if the sender waits for as long as it takes.
    is_patient: bool,
}

/// The bytes of one response, or of a part of it. They are free again when the permit is dropped.
#[derive(Debug, Default)]
pub(crate) struct OutgoingPermit {
    bytes: Vec<OwnedSemaphorePermit>,
    shares: Vec<Share>,
}

impl OutgoingBytes {
    /// Creates the bound on all responses together.
    pub(super) fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most / UNIT)),
            shares: Shares::new(most / 2),
        }
    }

    /// Returns the bytes for the responses to the sender with this address; `None` for the
    /// administrator.
    pub(crate) fn of(&self, address: Option<IpAddr>) -> SenderBytes<'_> {
        SenderBytes {
            bytes: self,
            address,
            is_patient: false,
        }
    }
}

impl SenderBytes<'_> {
    /// Returns the same bytes for a sender that waits for as long as it takes. It must hold no
    /// permit of the same kind meanwhile, or it could wait for itself.
    pub(crate) fn patient(self) -> Self {
        Self {
            is_patient: true,
            ..self
        }
    }

    /// Returns the most bytes that the sender can get at once.
    pub(crate) fn most(&self) -> usize {
        match self.address {
            Some(_) => self.bytes.shares.most(),
            None => self.bytes.shares.most() * 2,
        }
    }

    /// Waits a moment for a permit for this number of bytes. Returns `None` if other responses take
    /// them for longer.
    pub(crate) async fn acquire(&self, bytes: usize) -> Option<OutgoingPermit> {
        if self.is_patient {
            return self.wait_for(bytes).await;
        }
        timeout(LONGEST_WAIT, self.wait_for(bytes)).await.ok()?
    }

    /// Waits a moment for a permit for bytes that others have in memory, too, so that only the
    /// address has a bound. Returns `None` as [`SenderBytes::acquire`] does.
    pub(crate) async fn acquire_shared(&self, bytes: usize) -> Option<OutgoingPermit> {
        let mut permit = OutgoingPermit::default();
        let Some(address) = self.address else {
            return Some(permit);
        };
        let mut share = self.bytes.shares.begin(address);
        let waiting = share.wait_for(bytes);
        if self.is_patient {
            waiting.await;
        } else {
            timeout(LONGEST_WAIT, waiting).await.ok()?;
        }
        permit.shares.push(share);
        Some(permit)
    }

    async fn wait_for(&self, bytes: usize) -> Option<OutgoingPermit> {
        let OutgoingBytes { free, shares } = self.bytes;
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        let mut share = self.address.map(|address| shares.begin(address));
        if let Some(share) = &mut share {
            share.wait_for(bytes).await;
        }
        // The semaphore is never closed.
        let permit = free.clone().acquire_many_owned(units).await.ok()?;
        Some(OutgoingPermit {
            bytes: vec![permit],
            shares: share.into_iter().collect(),
        })
    }
}

impl OutgoingPermit {
    /// Adds the bytes of another permit.
    pub(crate) fn merge(&mut self, other: Self) {
        self.bytes.extend(other.bytes);
        self.shares.extend(other.shares);
    }

    /// Returns one permit for the bytes of both.
    pub(crate) fn join(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.merge(other);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }
}

/// Returns bytes that hold the permit until they are sent.
pub(crate) fn hold<P: Send + Sync + 'static>(bytes: impl Into<Bytes>, permit: Option<P>) -> Bytes {
    struct Held<P> {
        bytes: Bytes,
        _permit: P,
    }

    impl<P> AsRef<[u8]> for Held<P> {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    let bytes = bytes.into();
    match permit {
        Some(permit) => Bytes::from_owner(Held {
            bytes,
            _permit: permit,
        }),
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16 << 20;

    #[tokio::test(start_paused = true)]
    async fn the_bytes_are_free_again_when_the_response_is_dropped() {
        let all = OutgoingBytes::new(MOST);
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
    async fn a_patient_sender_waits_until_others_have_read() {
        let all = OutgoingBytes::new(MOST);
        let slow = all.of(None).acquire(MOST).await.unwrap();
        let patient = all.of(None).patient();
        let mut waiting = Box::pin(patient.acquire(UNIT));
        let hour = tokio::time::timeout(Duration::from_hours(1), waiting.as_mut()).await;
        assert!(hour.is_err());
        drop(slow);
        assert!(waiting.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn shared_bytes_are_bounded_by_address_alone() {
        let all = OutgoingBytes::new(MOST);
        let [one, other] = [1, 2].map(|host| all.of(Some(IpAddr::from([10, 0, 0, host]))));
        let _all = all.of(None).acquire(MOST).await.unwrap();
        let shared = one.acquire_shared(MOST / 2).await.unwrap();
        assert!(one.acquire_shared(UNIT).await.is_none());
        assert!(other.acquire_shared(MOST / 2).await.is_some());
        assert!(all.of(None).acquire_shared(MOST * 2).await.is_some());
        drop(shared);
        assert!(one.acquire_shared(UNIT).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_leaves_bytes_to_other_addresses() {
        let all = OutgoingBytes::new(MOST);
        let [one, other] = [1, 2].map(|host| all.of(Some(IpAddr::from([10, 0, 0, host]))));
        let slow = one.acquire(MOST / 2).await.unwrap();
        assert!(one.acquire(UNIT).await.is_none());
        assert!(other.acquire(MOST / 2).await.is_some());
        drop(slow);
        assert!(one.acquire(UNIT).await.is_some());
    }
}
