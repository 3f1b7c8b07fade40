//! moka's cache for futures: <https://docs.rs/moka/latest/moka/future/struct.Cache.html>.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use moka::future::Cache;

use super::{NoSuchOperation, Peer, wait_out};
use crate::store::{ReadError, Store};

struct Moka {
    cache: Cache<String, u64>,
    store: Arc<Store>,
}

pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    let cache = Cache::builder()
        .max_capacity(100)
        .time_to_live(ttl)
        .support_invalidation_closures()
        .build();
    Arc::new(Moka { cache, store })
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

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.cache.invalidate(key).await;
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        let prefix = prefix.to_owned();
        let set = self
            .cache
            .invalidate_entries_if(move |key, _| key.starts_with(&prefix));
        set.expect("closures are supported, see above");
        Ok(())
    }

    async fn clear(&self) {
        self.cache.invalidate_all();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        wait_out(ttl).await
    }
}
