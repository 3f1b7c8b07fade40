//! The operations of a read-through cache that the scenarios use.

use std::time::Duration;

use async_trait::async_trait;

use crate::store::ReadError;

/// The error of an operation that the cache does not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchOperation;

/// A read-through cache, as the scenarios use it.
#[async_trait]
pub trait Peer: Send + Sync {
    /// Returns the cached value, or loads it from the store in the way that the cache recommends.
    /// Errors are not cached, except that some caches keep the absence of a row.
    async fn read(&self, key: &str) -> Result<u64, ReadError>;

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
