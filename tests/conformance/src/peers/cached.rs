//! Two caches of the crate `cached`: the static that its macro generates, and the sharded cache.
//! See <https://docs.rs/cached/latest/cached/macros/index.html>.

use std::hash::Hash;

use cached::{ConcurrentCached, ShardedLruTtlCache};

use super::filled::{Filled, Size};

/// Defines a module that contains a read-through adapter. `sync_writes` selects how the adapter
/// deduplicates loads.
macro_rules! adapter {
    ($(#[$doc:meta])* $module:ident, $sync_writes:tt) => {
        $(#[$doc])*
        pub(super) mod $module {
            use std::{sync::Arc, time::Duration};

            use async_trait::async_trait;
            use cached::{macros::cached, prelude::*};
            use futures_util::FutureExt;

            use crate::{
                peers::peer::{Load, NoSuchOperation, Peer, wait_out},
                store::{ReadError, Store},
            };

            struct Adapter {
                store: Arc<Store>,
            }

            #[cached(
                name = "ROWS",
                ttl_secs = 60,
                key = "String",
                convert = { key.to_owned() },
                sync_writes = $sync_writes
            )]
            async fn row(key: &str, load: Load) -> Result<u64, ReadError> {
                // The macro looks it up.
                let _ = key;
                load.await
            }

            /// Empties the static and returns the adapter. Only one scenario at a time may use the
            /// static.
            pub(in crate::peers) fn make(store: Arc<Store>, ttl: Duration) -> Arc<dyn Peer> {
                let mut rows = ROWS.try_write().expect("the static has one user at a time");
                rows.clear();
                rows.set_ttl(ttl);
                Arc::new(Adapter { store })
            }

            #[async_trait]
            impl Peer for Adapter {
                async fn read(&self, key: &str) -> Result<u64, ReadError> {
                    let (store, missing) = (self.store.clone(), key.to_owned());
                    let load = async move { store.load(&missing).await };
                    self.read_with(key, load.boxed()).await
                }

                async fn read_with(&self, key: &str, load: Load) -> Result<u64, ReadError> {
                    row(key, load).await
                }

                async fn increment(&self, key: &str) {
                    let found = ROWS.write().await.cache_get(key).copied();
                    if let Some(row) = found {
                        self.store.put(key, row + 1).await;
                        ROWS.write().await.cache_set(key.to_owned(), row + 1);
                    }
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
        }
    };
}

adapter! {
    /// The adapter whose loads are deduplicated by key.
    by_key, "by_key"
}
adapter! {
    /// The adapter whose loads lock the whole cache.
    whole, true
}

/// Returns the sharded cache, filled with `entries`.
pub(super) fn filled<K, V>(entries: &[(K, V)], size: Size) -> Filled<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let cache = ShardedLruTtlCache::new(size.capacity, size.ttl);
    for (key, value) in entries {
        drop(cache.cache_set(key.clone(), value.clone()));
    }
    crate::filled!("cached, sharded", |key| cache.cache_get(key).ok().flatten())
}
