//! A map behind a lock, as it is written when no cache is at hand: <https://doc.rust-lang.org/std/sync/struct.RwLock.html>.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{NoSuchOperation, Peer, wait_out};
use crate::store::{ReadError, Store};

struct Map {
    rows: RwLock<HashMap<String, (u64, Instant)>>,
    ttl: Duration,
    store: Arc<Store>,
}

pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    Arc::new(Map {
        rows: RwLock::default(),
        ttl,
        store,
    })
}

impl Map {
    fn rows(&self) -> RwLockWriteGuard<'_, HashMap<String, (u64, Instant)>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Peer for Map {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let found = self
            .rows
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .copied();
        if let Some((value, at)) = found
            && at.elapsed() < self.ttl
        {
            return Ok(value);
        }
        let value = self.store.load(key).await?;
        self.rows().insert(key.to_owned(), (value, Instant::now()));
        Ok(value)
    }

    async fn write(&self, key: &str, value: u64) {
        self.store.put(key, value).await;
        self.rows().remove(key);
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        self.rows().retain(|key, _| !key.starts_with(prefix));
        Ok(())
    }

    async fn clear(&self) {
        self.rows().clear();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        wait_out(ttl).await
    }
}
