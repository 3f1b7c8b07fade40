//! Greenroom's region, on a manual clock.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_core::{
    Clock, LoadError, Manager, ManualClock, Policy, Region, Runtime, Unknown, Written,
};
use futures_util::FutureExt;

use super::peer::{CAPACITY, Load, NoSuchOperation, Peer, weight};
use crate::store::{ReadError, Store};

struct Greenroom {
    manager: Manager,
    region: Region<String, u64>,
    manual_clock: ManualClock,
    store: Arc<Store>,
    keep: Keep,
}

/// A function that runs after a commit. It returns the committed row if the region is to store it.
type Keep = fn(&u64) -> Option<u64>;

/// Creates the adapter whose writes only invalidate their keys.
pub(super) fn invalidating(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    make(store, ttl, |_| None)
}

/// Creates the adapter whose writes store the committed row in the region.
pub(super) fn storing(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    make(store, ttl, |row| Some(*row))
}

fn make(store: Arc<Store>, ttl: Duration, keep: Keep) -> Arc<dyn Peer> {
    let (clock, manual_clock) = Clock::manual();
    // One permit for loads: a load within a load would wait for it forever if it needed one.
    let manager = Manager::builder(Runtime::tokio_with(clock), Unknown::Never)
        .permits(1, 256)
        .build();
    let policy = Policy::new(ttl, u64::from(CAPACITY));
    let region = manager.region_builder("rows", policy);
    let region = region.weigher(1, |_, row| weight(*row));
    let region = region.printed_keys().build();
    Arc::new(Greenroom {
        manager,
        region,
        manual_clock,
        store,
        keep,
    })
}

#[async_trait]
impl Peer for Greenroom {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let (store, row) = (self.store.clone(), key.to_owned());
        let load = async move { store.load(&row).await };
        self.read_with(key, load.boxed()).await
    }

    async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
        let load = || async move {
            match load.await {
                Err(ReadError::NotFound) => Ok(None),
                loaded => loaded.map(Some),
            }
        };
        let read = self.region.get_or_load(key.to_owned(), load).await;
        let read_error = |error: LoadError<ReadError>| {
            let failed = error.failed().copied();
            failed.unwrap_or(ReadError::CacheFailed)
        };
        read.map_err(read_error)?.value.ok_or(ReadError::NotFound)
    }

    fn has_weigher(&self) -> bool {
        true
    }

    async fn increment(&self, key: &str) {
        let (store, row_key) = (self.store.clone(), key.to_owned());
        let write = |row: Option<u64>| async move {
            let Some(row) = row else {
                return Written::NotApplied(ReadError::NotFound);
            };
            store.put(&row_key, row + 1).await;
            Written::Committed(row + 1)
        };
        // Fails if the row is not cached.
        let _ = self
            .manager
            .upsert(&self.region, key.to_owned(), write)
            .await;
    }

    async fn write(&self, key: &str, value: u64) {
        let store = self.store.clone();
        let key = key.to_owned();
        let row_key = key.clone();
        let write = async move {
            store.put(&row_key, value).await;
            Written::<_, Infallible>::Committed(value)
        };
        let guard = self.manager.guard();
        let written = guard
            .key_storing(&self.region, key, self.keep)
            .run(write)
            .await;
        written.expect("the store's writes do not fail");
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        self.manager.invalidate_prefix(&format!("rows:{prefix}"));
        Ok(())
    }

    async fn clear(&self) {
        self.manager.clear();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        self.manual_clock.advance(ttl);
        Ok(())
    }
}
