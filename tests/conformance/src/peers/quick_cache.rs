//! `quick_cache`'s concurrent cache: <https://docs.rs/quick_cache/latest/quick_cache/sync/struct.Cache.html>.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use quick_cache::sync::Cache;

use super::{NoSuchOperation, Peer};
use crate::store::{ReadError, Store};

struct QuickCache {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

/// Without the TTL, which the cache leaves to its user.
pub(super) fn make(store: Arc<Store>, _: Duration) -> Arc<dyn Peer> {
    Arc::new(QuickCache {
        cache: Cache::new(100),
        store,
    })
}

#[async_trait]
impl Peer for QuickCache {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        self.cache
            .get_or_insert_async(key, self.store.load(key))
            .await
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.remove(key);
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        self.cache.retain(|key, _| !key.starts_with(prefix));
        Ok(())
    }

    async fn clear(&self) {
        self.cache.clear();
    }

    async fn expire(&self, _: Duration) -> Result<(), NoSuchOperation> {
        Err(NoSuchOperation)
    }
}
