//! foyer's in-memory cache: <https://docs.rs/foyer/latest/foyer/enum.Cache.html>.

use std::{hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use foyer::{Cache, CacheBuilder};

use super::{
    filled::{Filled, Size},
    peer::{NoSuchOperation, Peer},
};
use crate::store::{ReadError, Store};

struct Foyer {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

/// Creates the adapter. It ignores the TTL, because foyer's in-memory cache has none.
pub(super) fn make(store: Arc<Store>, _: Duration) -> Arc<dyn Peer> {
    Arc::new(Foyer {
        cache: CacheBuilder::new(100).build(),
        store,
    })
}

/// Returns a cache that contains `entries`.
pub(super) fn filled<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let cache: Cache<K, V> = CacheBuilder::new(size.capacity).build();
    for (key, value) in entries {
        cache.insert(key.clone(), value.clone());
    }
    crate::filled!("foyer, in memory, without a TTL", |key| cache
        .get(key)
        .map(|entry| entry.value().clone()))
}

#[async_trait]
impl Peer for Foyer {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let store = self.store.clone();
        let row = key.to_owned();
        let entry = self
            .cache
            .get_or_fetch(key, || async move { store.load(&row).await })
            .await;
        let read_error = |error: foyer::Error| {
            error
                .downcast_ref()
                .copied()
                .unwrap_or(ReadError::CacheFailed)
        };
        entry.map(|entry| *entry.value()).map_err(read_error)
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.remove(key);
    }

    async fn invalidate_prefix(&self, _: &str) -> Result<(), NoSuchOperation> {
        // foyer neither lists its keys nor removes keys by a predicate.
        Err(NoSuchOperation)
    }

    async fn clear(&self) {
        self.cache.clear();
    }

    async fn expire(&self, _: Duration) -> Result<(), NoSuchOperation> {
        Err(NoSuchOperation)
    }
}
