//! A map behind a lock, as programs without a cache library use it:
//! <https://doc.rust-lang.org/std/sync/struct.RwLock.html>.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{
    filled::{Filled, Size},
    peer::{Load, NoSuchOperation, Peer, wait_out},
};
use crate::store::{ReadError, Store};

struct Map {
    rows: RwLock<HashMap<String, (u64, Instant)>>,
    ttl: Duration,
    store: Arc<Store>,
}

/// Creates the adapter. Entries expire after `ttl`.
pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    Arc::new(Map {
        rows: RwLock::default(),
        ttl,
        store,
    })
}

/// Returns a map that contains `entries`, each with the time at which it expires.
pub(super) fn filled<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let expiry = Instant::now() + size.ttl;
    let map: HashMap<K, (V, Instant)> = entries
        .iter()
        .map(|(key, value)| (key.clone(), (value.clone(), expiry)))
        .collect();
    let map = RwLock::new(map);
    let find = move |key: &K| {
        let map = map.read().expect("no reader panics");
        map.get(key)
            .filter(|(_, expiry)| Instant::now() < *expiry)
            .map(|(value, _)| value.clone())
    };
    crate::filled!("`RwLock<HashMap>` with expiry", |key| find(key))
}

impl Map {
    fn rows(&self) -> RwLockWriteGuard<'_, HashMap<String, (u64, Instant)>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Peer for Map {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let (store, row) = (self.store.clone(), key.to_owned());
        let load = async move { store.load(&row).await };
        self.read_with(key, load.boxed()).await
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
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
        let value = load.await?;
        self.rows().insert(key.to_owned(), (value, Instant::now()));
        Ok(value)
    }

    async fn increment(&self, key: &str) {
        let found = self.rows().get(key).copied();
        if let Some((row, _)) = found {
            self.store.put(key, row + 1).await;
            let entry = (row + 1, Instant::now());
            self.rows().insert(key.to_owned(), entry);
        }
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
