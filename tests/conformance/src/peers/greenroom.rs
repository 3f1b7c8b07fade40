//! Greenroom's region, a clock set by hand beneath it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_core::{
    Clock, LoadError, Manager, ManualClock, Policy, Region, Runtime, Stores, Written,
};

use super::{NoSuchOperation, Peer};
use crate::store::{ReadError, Store};

struct Greenroom {
    manager: Manager,
    region: Region<String, u64>,
    hand: ManualClock,
    store: Arc<Store>,
    keep: Keep,
}

/// What the region keeps of a committed row.
type Keep = fn(&Region<String, u64>, String, u64, &mut Stores<'_>);

/// With writes that only invalidate.
pub(super) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    made(store, ttl, |_, _, _, _| {})
}

/// With writes that return their row, which the region then keeps.
pub(super) fn make_storing(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
    made(store, ttl, |region, key, row, stores| {
        stores.put(region, key, row);
    })
}

fn made(store: Arc<Store>, ttl: Duration, keep: Keep) -> Arc<dyn Peer> {
    let (clock, hand) = Clock::manual();
    let manager = Manager::builder(Runtime::tokio_with(clock)).build();
    let region = manager.region("rows", Policy::new(ttl, 100));
    Arc::new(Greenroom {
        manager,
        region,
        hand,
        store,
        keep,
    })
}

#[async_trait]
impl Peer for Greenroom {
    async fn read(&self, key: &str) -> Result<u64, ReadError> {
        let (store, of) = (self.store.clone(), key.to_owned());
        let load = || async move {
            match store.load(&of).await {
                Err(ReadError::NotFound) => Ok(None),
                row => row.map(Some),
            }
        };
        let read = self.region.get_or_load(key.to_owned(), load).await;
        let failed =
            |error: LoadError| error.source_as().copied().unwrap_or(ReadError::CacheFailed);
        read.map_err(failed)?.value.ok_or(ReadError::NotFound)
    }

    async fn write(&self, key: &str, value: u64) {
        let (store, region, keep) = (self.store.clone(), self.region.clone(), self.keep);
        let (key, of) = (key.to_owned(), key.to_owned());
        let write = async move {
            store.put(&of, value).await;
            Written::<_, Infallible>::Committed(value)
        };
        let guard = self.manager.guard().key(&region, key.clone());
        let written = guard
            .run(write, move |row, stores| keep(&region, key, *row, stores))
            .await;
        written.expect("the store's writes don't fail");
    }

    async fn invalidate_prefix(&self, prefix: &str) -> Result<(), NoSuchOperation> {
        self.manager.invalidate_prefix(&format!("rows:{prefix}"));
        Ok(())
    }

    async fn clear(&self) {
        self.manager.clear();
    }

    async fn expire(&self, ttl: Duration) -> Result<(), NoSuchOperation> {
        self.hand.advance(ttl);
        Ok(())
    }
}
