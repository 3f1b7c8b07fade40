//! The compared caches: Greenroom's region, and other caches, each used as its documentation
//! recommends. For each cache, one file contains its construction, its read-through adapter for the
//! scenarios, and its loop of hits for the benchmarks.

mod cached;
mod filled;
mod foyer;
mod greenroom;
mod map;
mod mini_moka;
pub mod moka;
mod peer;
pub mod quick_cache;

use std::{hash::Hash, sync::Arc, time::Duration};

use crate::store::Store;

pub use filled::{Filled, ReadAll, Size};
#[cfg(test)]
pub(crate) use peer::weight;
pub(crate) use peer::{HEAVY, UNLUCKY};
pub use peer::{Load, NoSuchOperation, Peer};

/// A function that creates an empty cache on a store. It is called inside a tokio runtime.
pub type Make = fn(Arc<Store>, Duration) -> Arc<dyn Peer>;

/// A cache, which is a column of the table.
pub struct Column {
    /// The cache's name in the heading of the table.
    pub name: &'static str,
    /// The package that contains the cache, whose version is in the lock file; `None` for the
    /// standard library.
    pub package: Option<&'static str>,
    /// The file that contains the adapter.
    pub adapter: &'static str,
    /// The address of the cache's documentation.
    pub documentation: &'static str,
    /// The operations with which the adapter reads, writes and invalidates.
    pub used: &'static str,
    /// Creates the empty cache for a scenario.
    pub make: Make,
}

/// The package of Greenroom's region.
const REGION: &str = "greenroom-cache-core";

/// All caches: Greenroom first, then the others.
pub const COLUMNS: [Column; 9] = [
    Column {
        name: "Greenroom",
        package: Some(REGION),
        adapter: "greenroom.rs",
        documentation: "https://docs.rs/greenroom-cache-core/latest/cache_core/struct.Region.html",
        used: "`Region::get_or_load`; writes that only invalidate, in `Manager::guard`; \
               `Manager::invalidate_prefix`, `clear`",
        make: greenroom::invalidating,
    },
    Column {
        name: "Greenroom, storing",
        package: Some(REGION),
        adapter: "greenroom.rs",
        documentation: "https://docs.rs/greenroom-cache-core/latest/cache_core/struct.WriteGuard.html",
        used: "as above; writes return their row, which the region keeps: `key_storing`",
        make: greenroom::storing,
    },
    Column {
        name: "moka",
        package: Some("moka"),
        adapter: "moka.rs",
        documentation: "https://docs.rs/moka/latest/moka/future/struct.Cache.html",
        used: "`future::Cache::try_get_with`; write, then `invalidate`; `invalidate_entries_if`, \
               `invalidate_all`",
        make: moka::make,
    },
    Column {
        name: "mini-moka",
        package: Some("mini-moka"),
        adapter: "mini_moka.rs",
        documentation: "https://docs.rs/mini-moka/latest/mini_moka/sync/struct.Cache.html",
        used: "no loader: `sync::Cache::get`, else load and `insert`; write, then `invalidate`; \
               `iter` and `invalidate`, `invalidate_all`",
        make: mini_moka::make,
    },
    Column {
        name: "quick_cache",
        package: Some("quick_cache"),
        adapter: "quick_cache.rs",
        documentation: "https://docs.rs/quick_cache/latest/quick_cache/sync/struct.Cache.html",
        used: "`sync::Cache::get_or_insert_async`; write, then `remove`; `retain`, `clear`; no \
               expiry",
        make: quick_cache::make,
    },
    Column {
        name: "foyer",
        package: Some("foyer"),
        adapter: "foyer.rs",
        documentation: "https://docs.rs/foyer/latest/foyer/enum.Cache.html",
        used: "in memory: `Cache::get_or_fetch`; write, then `remove`; no keys by prefix; `clear`; \
               no expiry",
        make: foyer::make,
    },
    Column {
        name: "cached, by key",
        package: Some("cached"),
        adapter: "cached.rs",
        documentation: "https://docs.rs/cached/latest/cached/macros/index.html",
        used: "`#[cached(sync_writes = \"by_key\")]`; write, then `remove`; `retain`, `clear`",
        make: cached::by_key::make,
    },
    Column {
        name: "cached, whole",
        package: Some("cached"),
        adapter: "cached.rs",
        documentation: "https://docs.rs/cached/latest/cached/macros/index.html",
        used: "`#[cached(sync_writes = true)]`, which locks the whole cache while it loads; else \
               as above",
        make: cached::whole::make,
    },
    Column {
        name: "plain map",
        package: None,
        adapter: "map.rs",
        documentation: "https://doc.rust-lang.org/std/sync/struct.RwLock.html",
        used: "`RwLock<HashMap>`: look up, else load and `insert` with the time; write, then \
               `remove`; `retain`, `clear`",
        make: map::make,
    },
];

impl Column {
    /// Returns `true` for Greenroom's region.
    pub fn is_greenroom(&self) -> bool {
        self.package == Some(REGION)
    }
}

/// Returns the raw store that Greenroom's region uses, filled with `entries`.
pub fn raw_store<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    quick_cache::filled(entries, size)
}

/// Returns the other caches, each filled with `entries`.
pub async fn others<K, V>(entries: &[(K, V)], size: Size) -> Vec<Filled<K>>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    vec![
        moka::filled_sync(entries, size),
        moka::filled_future(entries, size).await,
        mini_moka::filled(entries, size),
        foyer::filled(entries, size),
        cached::filled(entries, size),
        map::filled(entries, size),
    ]
}
