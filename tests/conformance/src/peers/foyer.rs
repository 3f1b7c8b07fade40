//! foyer's in-memory cache: <https://docs.rs/foyer/latest/foyer/enum.Cache.html>.

use std::{hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use foyer::{Cache, CacheBuilder};
use futures_util::FutureExt;

use super::{
    filled::{Filled, Size},
    peer::{CAPACITY, Load, NoSuchOperation, Peer, weight},
};
use crate::store::{ReadError, Store};

struct Foyer {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

/// Creates the adapter. It ignores the TTL, because foyer's in-memory cache has none.
pub(super) fn make(store: Arc<Store>, _: Duration) -> Arc<dyn Peer> {
    Arc::new(Foyer {
        cache: CacheBuilder::new(CAPACITY as usize)
            .with_weighter(|_, row: &u64| weight(*row) as usize)
            .build(),
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
        let (store, row) = (self.store.clone(), key.to_owned());
        let load = async move { store.load(&row).await };
        self.read_with(key, load.boxed()).await
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
        let entry = self.cache.get_or_fetch(key, || load).await;
        let read_error = |error: foyer::Error| {
            error
                .downcast_ref()
                .copied()
                .unwrap_or(ReadError::CacheFailed)
        };
        entry.map(|entry| *entry.value()).map_err(read_error)
    }

    fn has_weigher(&self) -> bool {
        true
    }

    fn aborts_if_the_weigher_panics(&self) -> bool {
        // Seen with 0.22.6: a destructor of its loads panics, too.
        true
    }

    async fn increment(&self, key: &str) {
        let row = self.cache.get(key).map(|entry| *entry.value());
        if let Some(row) = row {
            self.store.put(key, row + 1).await;
            self.cache.insert(key.to_owned(), row + 1);
        }
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
