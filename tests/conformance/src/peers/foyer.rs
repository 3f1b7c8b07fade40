//! foyer's cache in memory: <https://docs.rs/foyer/latest/foyer/enum.Cache.html>.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use foyer::{Cache, CacheBuilder};

use super::{NoSuchOperation, Peer};
use crate::store::{ReadError, Store};

struct Foyer {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

/// Without the TTL, which the cache in memory has none of.
pub(super) fn make(store: Arc<Store>, _: Duration) -> Arc<dyn Peer> {
    Arc::new(Foyer {
        cache: CacheBuilder::new(100).build(),
        store,
    })
}

#[async_trait]
impl Peer for Foyer {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let (store, of) = (self.store.clone(), key.to_owned());
        let entry = self
            .cache
            .get_or_fetch(key, || async move { store.load(&of).await })
            .await;
        let failed = |error: foyer::Error| {
            error
                .downcast_ref()
                .copied()
                .unwrap_or(ReadError::CacheFailed)
        };
        entry.map(|entry| *entry.value()).map_err(failed)
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.remove(key);
    }

    async fn invalidate_prefix(&self, _: &str) -> Result<(), NoSuchOperation> {
        // It neither lists its keys nor takes a predicate over them.
        Err(NoSuchOperation)
    }

    async fn clear(&self) {
        self.cache.clear();
    }

    async fn expire(&self, _: Duration) -> Result<(), NoSuchOperation> {
        Err(NoSuchOperation)
    }
}
