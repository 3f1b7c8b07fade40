//! mini-moka's concurrent cache: <https://docs.rs/mini-moka/latest/mini_moka/sync/struct.Cache.html>.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mini_moka::sync::Cache;

use super::{NoSuchOperation, Peer, wait_out};
use crate::store::{ReadError, Store};

struct MiniMoka {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    let cache = Cache::builder().max_capacity(100).time_to_live(ttl).build();
    Arc::new(MiniMoka { cache, store })
}

#[async_trait]
impl Peer for MiniMoka {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        // There is no get-or-load: entries are "manually added using `insert`".
        if let Some(value) = self.cache.get(&key.to_owned()) {
            return Ok(value);
        }
        let value = self.store.load(key).await?;
        self.cache.insert(key.to_owned(), value);
        Ok(value)
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.invalidate(&key.to_owned());
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        // Collected first: the cache must not be changed by who holds its iterator.
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
