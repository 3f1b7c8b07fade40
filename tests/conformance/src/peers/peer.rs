//! The operations of a read-through cache that the scenarios use.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use crate::store::ReadError;

/// A load of a missing row.
pub type Load = BoxFuture<'static, Result<u64, ReadError>>;

/// The capacity of each cache, in the unit of [`weight`].
pub(super) const CAPACITY: u32 = 100;
/// The row whose weigher panics.
pub(crate) const UNLUCKY: u64 = 13;
/// The lightest row that is heavier than a cache.
pub(crate) const HEAVY: u64 = 5_000;

/// Returns the weight of a row, for caches with a weigher.
pub(crate) fn weight(row: u64) -> u32 {
    assert_ne!(row, UNLUCKY, "the weigher panics");
    if row >= HEAVY { 10 * CAPACITY } else { 1 }
}

/// The error of an operation that the cache does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchOperation;

/// A read-through cache, as the scenarios use it.
#[async_trait]
pub trait Peer: Send + Sync {
    /// Returns the cached value, or loads it from the store in the way that the cache recommends.
    /// Errors are not cached, except that some caches keep the absence of a row.
    async fn read(&self, key: &str) -> Result<u64, ReadError>;

    /// Returns the cached value as [`Peer::read`] does, or loads it with `load`.
    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError>;

    /// Returns `true` if the cache weighs its rows.
    fn has_weigher(&self) -> bool {
        false
    }

    /// Returns `true` if the process aborts when the weigher panics.
    fn aborts_if_the_weigher_panics(&self) -> bool {
        false
    }

    /// Adds one to the cached row, in the store and in the cache, in the way that the cache
    /// recommends. Does nothing if the row is not cached.
    async fn increment(&self, key: &str);

    /// Commits a row and invalidates its key. The write counts as acknowledged when the future
    /// completes.
    async fn write(&self, key: &str, value: u64);

    /// Invalidates every key that begins with `prefix`.
    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation>;

    /// Invalidates everything.
    async fn clear(&self);

    /// Waits or advances the clock until the present entries have expired.
    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation>;
}

/// Waits until a TTL has passed. Called by adapters of caches that read the system's clock.
pub(super) async fn wait_out(ttl: Duration) -> Result<(), NoSuchOperation> {
    // A quarter longer than the TTL, because a cache may round its times.
    tokio::time::sleep(ttl + ttl / 4).await;
    Ok(())
}
