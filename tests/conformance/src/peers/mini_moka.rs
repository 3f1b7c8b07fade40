//! mini-moka's concurrent cache:
//! <https://docs.rs/mini-moka/latest/mini_moka/sync/struct.Cache.html>.

use std::{hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::FutureExt;
use mini_moka::sync::Cache;

use super::{
    filled::{Filled, Size},
    peer::{CAPACITY, Load, NoSuchOperation, Peer, wait_out, weight},
};
use crate::store::{ReadError, Store};

struct MiniMoka {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

/// Creates the adapter. Entries expire after `ttl`.
pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    let cache = Cache::builder()
        .max_capacity(u64::from(CAPACITY))
        .weigher(|_, row| weight(*row))
        .time_to_live(ttl)
        .build();
    Arc::new(MiniMoka { cache, store })
}

/// Returns a cache that contains `entries`.
pub(super) fn filled<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let cache = Cache::builder()
        .max_capacity(size.capacity as u64)
        .time_to_live(size.ttl)
        .build();
    for (key, value) in entries {
        cache.insert(key.clone(), value.clone());
    }
    crate::filled!("mini-moka", |key| cache.get(key))
}

#[async_trait]
impl Peer for MiniMoka {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        // mini-moka has no operation that loads a missing value. Its documentation says that
        // entries are "manually added using `insert`".
        let (store, row) = (self.store.clone(), key.to_owned());
        let load = async move { store.load(&row).await };
        self.read_with(key, load.boxed()).await
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
        if let Some(value) = self.cache.get(&key.to_owned()) {
            return Ok(value);
        }
        let value = load.await?;
        self.cache.insert(key.to_owned(), value);
        Ok(value)
    }

    fn has_weigher(&self) -> bool {
        true
    }

    async fn increment(&self, key: &str) {
        if let Some(row) = self.cache.get(&key.to_owned()) {
            self.store.put(key, row + 1).await;
            self.cache.insert(key.to_owned(), row + 1);
        }
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.invalidate(&key.to_owned());
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        // The keys are collected first, because a removal during the iteration can deadlock.
        let keys: Vec<_> = self
            .cache
            .iter()
            .map(|entry| entry.key().clone())
            .filter(|key| key.starts_with(prefix))
            .collect();
        for key in &keys {
            self.cache.invalidate(key);
        }
        Ok(())
    }

    async fn clear(&self) {
        self.cache.invalidate_all();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        wait_out(ttl).await
    }
}
