//! Locks of owners, for rules that count what an owner has before they add to it.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use domain::UserId;
use tokio::sync::{Mutex, MutexGuard};

/// The number of locks. Owners that share a lock wait for each other's creations, which are rare.
const LOCKS: usize = 64;

/// A lock for each owner. While a request holds it, the number of the owner's rooms and images does
/// not grow.
#[derive(Debug)]
pub(crate) struct OwnerLocks([Mutex<()>; LOCKS]);

impl Default for OwnerLocks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl OwnerLocks {
    /// Waits until no other request holds the owner's lock, and takes it.
    pub(crate) async fn lock(&self, owner: &UserId) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(owner);
        // The remainder is below 64, so it fits into every integer.
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or(0);
        self.0[index].lock().await
    }
}
