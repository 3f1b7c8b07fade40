//! The caches, each used as its own documentation recommends for read-through with invalidation.

mod cached_by_key;
mod cached_whole;
mod foyer;
mod greenroom;
mod map;
mod mini_moka;
mod moka;
mod quick_cache;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::store::{ReadError, Store};

/// The cache has no means for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchOperation;

/// What the user of a read-through cache does with it.
#[async_trait]
pub(crate) trait Peer: Send + Sync {
    /// The value from the cache, or loaded from the store in the cache's own way. Errors, `NotFound` among them, are
    /// not kept, unless the cache keeps absences by itself.
    async fn read(&self, key: &str) -> Result<u64, ReadError>;

    /// Commits a row and invalidates its key. The write is acknowledged when this returns.
    async fn write(&self, key: &str, value: u64);

    /// Invalidates every key that begins with `prefix`.
    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation>;

    /// Invalidates everything.
    async fn clear(&self);

    /// Returns when what is stored now has expired.
    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation>;
}

/// Makes an empty cache over a store, inside a tokio runtime.
pub(crate) type Make = fn(Arc<Store>, Duration) -> Arc<dyn Peer>;

/// A cache in the table.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Where its version stands in the lock file; `None` for the standard library.
    pub(crate) package: Option<&'static str>,
    pub(crate) adapter: &'static str,
    pub(crate) documentation: &'static str,
    /// How it reads, and how it invalidates.
    pub(crate) used: &'static str,
    pub(crate) make: Make,
}

/// The package of Greenroom's region.
const REGION: &str = "cache-core";

/// Greenroom first, then the others.
pub(crate) const COLUMNS: [Column; 9] = [
    Column {
        name: "Greenroom",
        package: Some(REGION),
        adapter: "greenroom.rs",
        documentation: "https://docs.rs/cache-core/latest/cache_core/struct.Region.html",
        used: "`Region::get_or_load`; writes that only invalidate, in `Manager::guard`; `Manager::invalidate_prefix`, `clear`",
        make: greenroom::make,
    },
    Column {
        name: "Greenroom, storing",
        package: Some(REGION),
        adapter: "greenroom.rs",
        documentation: "https://docs.rs/cache-core/latest/cache_core/struct.WriteGuard.html",
        used: "as above; writes return their row, which the region keeps: `Stores::put`",
        make: greenroom::make_storing,
    },
    Column {
        name: "moka",
        package: Some("moka"),
        adapter: "moka.rs",
        documentation: "https://docs.rs/moka/latest/moka/future/struct.Cache.html",
        used: "`future::Cache::try_get_with`; write, then `invalidate`; `invalidate_entries_if`, `invalidate_all`",
        make: moka::make,
    },
    Column {
        name: "mini-moka",
        package: Some("mini-moka"),
        adapter: "mini_moka.rs",
        documentation: "https://docs.rs/mini-moka/latest/mini_moka/sync/struct.Cache.html",
        used: "no loader: `sync::Cache::get`, else load and `insert`; write, then `invalidate`; `iter` and `invalidate`, `invalidate_all`",
        make: mini_moka::make,
    },
    Column {
        name: "quick_cache",
        package: Some("quick_cache"),
        adapter: "quick_cache.rs",
        documentation: "https://docs.rs/quick_cache/latest/quick_cache/sync/struct.Cache.html",
        used: "`sync::Cache::get_or_insert_async`; write, then `remove`; `retain`, `clear`; no expiry",
        make: quick_cache::make,
    },
    Column {
        name: "foyer",
        package: Some("foyer"),
        adapter: "foyer.rs",
        documentation: "https://docs.rs/foyer/latest/foyer/enum.Cache.html",
        used: "in memory: `Cache::get_or_fetch`; write, then `remove`; no keys by prefix; `clear`; no expiry",
        make: foyer::make,
    },
    Column {
        name: "cached, by key",
        package: Some("cached"),
        adapter: "cached_by_key.rs",
        documentation: "https://docs.rs/cached/latest/cached/macros/index.html",
        used: "`#[cached(sync_writes = \"by_key\")]`; write, then `remove`; `retain`, `clear`",
        make: cached_by_key::make,
    },
    Column {
        name: "cached, whole",
        package: Some("cached"),
        adapter: "cached_whole.rs",
        documentation: "https://docs.rs/cached/latest/cached/macros/index.html",
        used: "`#[cached(sync_writes = true)]`, which locks the whole cache while it loads; else as above",
        make: cached_whole::make,
    },
    Column {
        name: "plain map",
        package: None,
        adapter: "map.rs",
        documentation: "https://doc.rust-lang.org/std/sync/struct.RwLock.html",
        used: "`RwLock<HashMap>`: look up, else load and `insert` with the time; write, then `remove`; `retain`, `clear`",
        make: map::make,
    },
];

impl Column {
    /// Whether this is Greenroom's region.
    pub(crate) fn is_ours(&self) -> bool {
        self.package == Some(REGION)
    }
}

/// For caches that read the system's clock: lets it run past the TTL.
async fn wait_out(ttl: Duration) -> Result<(), NoSuchOperation> {
    tokio::time::sleep(ttl + ttl / 4).await;
    Ok(())
}
