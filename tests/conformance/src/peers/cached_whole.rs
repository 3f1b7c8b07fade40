//! cached's macro with the cache locked while it loads: <https://docs.rs/cached/latest/cached/macros/index.html>.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cached::{macros::cached, prelude::*};

use super::{NoSuchOperation, Peer, wait_out};
use crate::store::{ReadError, Store};

struct CachedWhole {
    store: Arc<Store>,
}

#[cached(name = "ROWS", ttl_secs = 60, key = "String", convert = { key.to_owned() }, sync_writes = true)]
async fn row(store: &Store, key: &str) -> Result<u64, ReadError> {
    store.load(key).await
}

/// The cache is a static: it is emptied here, and has one user at a time.
pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    let mut rows = ROWS.try_write().expect("nobody else uses it");
    rows.clear();
    rows.set_ttl(ttl);
    Arc::new(CachedWhole { store })
}

#[async_trait]
impl Peer for CachedWhole {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        row(&self.store, key).await
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        ROWS.write().await.remove(key);
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        ROWS.write().await.retain(|key, _| !key.starts_with(prefix));
        Ok(())
    }

    async fn clear(&self) {
        ROWS.write().await.clear();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        wait_out(ttl).await
    }
}
