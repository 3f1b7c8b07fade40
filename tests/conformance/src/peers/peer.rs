//! The operations of a cache that the scenarios use.

use std::time::Duration;

use async_trait::async_trait;

use crate::store::ReadError;

/// The cache has no such operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchOperation;

/// The operations that users of a read-through cache need.
#[async_trait]
pub trait Peer: Send + Sync {
    /// Returns the cached value, or loads it from the store in the cache's own way. Errors,
    /// `NotFound` among them, are not kept unless the cache keeps absences.
    async fn read(&self, key: &str) -> Result<u64, ReadError>;

    /// Commits a row and invalidates its key. The write is acknowledged when this returns.
    async fn write(&self, key: &str, value: u64);

    /// Invalidates every key that begins with `prefix`.
    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation>;

    /// Invalidates everything.
    async fn clear(&self);

    /// Returns when the present entries have expired.
    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation>;
}

/// Waits until a TTL has passed, for caches that read the system's clock.
pub(super) async fn wait_out(ttl: Duration) -> Result<(), NoSuchOperation> {
    // A quarter more, because a cache may round its times.
    tokio::time::sleep(ttl + ttl / 4).await;
    Ok(())
}
