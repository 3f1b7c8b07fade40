//! Locks of owners, for rules that count what an owner has before they add to it.

use std::{
    array,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use domain::UserId;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument as _;

/// The number of locks. Owners that share a lock wait for each other's creations, which are rare.
const LOCKS: usize = 64;

/// A lock for each owner. While a request holds it, the number of the owner's rooms and images does
/// not grow.
#[derive(Debug)]
pub(crate) struct OwnerLocks([Arc<Mutex<()>>; LOCKS]);

/// The lock of an owner. It is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnerLock(#[expect(dead_code, reason = "it is held")] OwnedMutexGuard<()>);

impl Default for OwnerLocks {
    fn default() -> Self {
        Self(array::from_fn(|_| Arc::default()))
    }
}

impl OwnerLocks {
    /// Waits until no other request holds the owner's lock, and takes it.
    pub(crate) async fn lock(&self, owner: &UserId) -> OwnerLock {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(owner);
        // The remainder is below 64, so it fits into every integer.
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or(0);
        OwnerLock(self.0[index].clone().lock_owned().await)
    }
}

/// Runs a write, and holds the lock until its end, also if the caller is cancelled. Without this,
/// the owner's next request could count before the write is stored.
pub(crate) async fn write_under<T: Send + 'static>(
    lock: Option<OwnerLock>,
    write: impl Future<Output = domain::Result<T>> + Send + 'static,
) -> domain::Result<T> {
    let write = async move {
        let _lock = lock;
        write.await
    };
    tokio::spawn(write.in_current_span())
        .await
        .unwrap_or_else(|error| Err(domain::Error::unknown(error)))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_lock_is_held_until_the_write_ends_even_if_the_caller_is_cancelled() {
        let locks = OwnerLocks::default();
        let owner = UserId::parse("guest-1").unwrap();
        let (end, ended) = oneshot::channel();
        let write = async move {
            ended.await.unwrap();
            Ok(())
        };
        let lock = locks.lock(&owner).await;
        let mut written = Box::pin(write_under(Some(lock), write));
        assert!(written.as_mut().now_or_never().is_none());
        drop(written);
        let mut next = Box::pin(locks.lock(&owner));
        assert!(next.as_mut().now_or_never().is_none());
        end.send(()).unwrap();
        next.await;
    }
}
