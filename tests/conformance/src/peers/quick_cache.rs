//! The concurrent cache of `quick_cache`:
//! <https://docs.rs/quick_cache/latest/quick_cache/sync/struct.Cache.html>.

use std::{hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use quick_cache::Weighter;
pub use quick_cache::sync::Cache;

use super::{
    filled::{Filled, Size},
    peer::{CAPACITY, Load, NoSuchOperation, Peer, weight},
};
use crate::store::{ReadError, Store};

struct QuickCache {
    cache: Cache<String, u64, ByRow>,
    store: Arc<Store>,
}

/// Weighs a row by its number.
#[derive(Clone)]
struct ByRow;

impl Weighter<String, u64> for ByRow {
    fn weight(&self, _: &String, row: &u64) -> u64 {
        u64::from(weight(*row))
    }
}

/// Creates an empty cache. It ignores the TTL, because `quick_cache` has none.
pub fn cache<K: Eq + Hash, V: Clone>(size: Size) -> Cache<K, V> {
    Cache::new(size.capacity)
}

/// Creates the adapter. It ignores the TTL, because `quick_cache` has none.
pub(super) fn make(store: Arc<Store>, _: Duration) -> Arc<dyn Peer> {
    Arc::new(QuickCache {
        cache: Cache::with_weighter(CAPACITY as usize, u64::from(CAPACITY), ByRow),
        store,
    })
}

/// Returns a cache that contains `entries`.
pub(super) fn filled<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let cache = cache::<K, V>(size);
    for (key, value) in entries {
        cache.insert(key.clone(), value.clone());
    }
    crate::filled!("quick_cache, raw", |key| cache.get(key))
}

#[async_trait]
impl Peer for QuickCache {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        self.cache
            .get_or_insert_async(key, self.store.load(key))
            .await
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
        self.cache.get_or_insert_async(key, load).await
    }

    fn has_weigher(&self) -> bool {
        true
    }

    async fn increment(&self, key: &str) {
        if let Some(row) = self.cache.get(key) {
            self.store.put(key, row + 1).await;
            self.cache.insert(key.to_owned(), row + 1);
        }
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
