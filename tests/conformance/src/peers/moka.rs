//! moka's caches: <https://docs.rs/moka/latest/moka/future/struct.Cache.html> for the scenarios,
//! and both this cache and the synchronous one for the benchmarks.

use std::{hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
pub use moka::future::Cache;
use moka::ops::compute::Op;

use super::{
    filled::{Filled, Size},
    peer::{CAPACITY, Load, NoSuchOperation, Peer, wait_out, weight},
};
use crate::store::{ReadError, Store};

struct Moka {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

/// Creates an empty asynchronous cache.
pub fn cache<K, V>(size: Size) -> Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(size.capacity as u64)
        .time_to_live(size.ttl)
        .build()
}

/// Creates the adapter. Entries expire after `ttl`.
pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    let cache = Cache::builder()
        .max_capacity(u64::from(CAPACITY))
        .weigher(|_, row| weight(*row))
        .time_to_live(ttl)
        .support_invalidation_closures()
        .build();
    Arc::new(Moka { cache, store })
}

/// Returns the asynchronous cache, filled with `entries`.
pub(super) async fn filled_future<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let cache = cache(size);
    for (key, value) in entries {
        cache.insert(key.clone(), value.clone()).await;
    }
    crate::filled!(await "moka, future", |key| cache.get(key).await)
}

/// Returns the synchronous cache, filled with `entries`.
pub(super) fn filled_sync<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let cache = moka::sync::Cache::builder()
        .max_capacity(size.capacity as u64)
        .time_to_live(size.ttl)
        .build();
    for (key, value) in entries {
        cache.insert(key.clone(), value.clone());
    }
    crate::filled!("moka, sync", |key| cache.get(key))
}

#[async_trait]
impl Peer for Moka {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let read = self
            .cache
            .try_get_with_by_ref(key, self.store.load(key))
            .await;
        read.map_err(|error| *error)
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
        let read = self.cache.try_get_with_by_ref(key, load).await;
        read.map_err(|error| *error)
    }

    fn has_weigher(&self) -> bool {
        true
    }

    async fn increment(&self, key: &str) {
        let increment = |entry: Option<moka::Entry<String, u64>>| async {
            let Some(entry) = entry else {
                return Op::Nop;
            };
            let row = entry.into_value() + 1;
            self.store.put(key, row).await;
            Op::Put(row)
        };
        let entry = self.cache.entry_by_ref(key);
        entry.and_compute_with(increment).await;
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.invalidate(key).await;
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        let prefix = prefix.to_owned();
        let registered = self
            .cache
            .invalidate_entries_if(move |key, _| key.starts_with(&prefix));
        registered.expect("the builder enabled invalidation closures");
        Ok(())
    }

    async fn clear(&self) {
        self.cache.invalidate_all();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        wait_out(ttl).await
    }
}
