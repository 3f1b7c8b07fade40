//! [`CachedPorts`], the type that implements all ports, and its ports `Settle` and `Health`. Each
//! other port is implemented in a separate module.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, Health, Repositories, Result, Settle};

use crate::{cached_store::CachedStore, regions::Regions};

/// The way in which reads use the cache. Writes open their guards in either mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// A read is served from memory if possible. Otherwise it loads the value and stores it.
    Cached,
    /// A read goes to the store and leaves the cache unchanged.
    Bypass,
}

/// The implementation of all ports of a store, with a cache in front of the store.
pub(crate) struct CachedPorts {
    pub(crate) store: Arc<CachedStore>,
    mode: ReadMode,
}

impl CachedPorts {
    /// Returns all ports of `store`. Their reads use the cache as `mode` says.
    pub(crate) fn bundle(store: &Arc<CachedStore>, mode: ReadMode) -> Repositories {
        let ports = Arc::new(Self {
            store: store.clone(),
            mode,
        });
        Repositories {
            agents: ports.clone(),
            configs: ports.clone(),
            files: ports.clone(),
            memories: ports.clone(),
            rooms: ports.clone(),
            messages: ports.clone(),
            read_positions: ports.clone(),
            sessions: ports.clone(),
            usage: ports.clone(),
            settle: ports.clone(),
            health: ports,
        }
    }

    #[inline]
    pub(crate) fn is_bypassing(&self) -> bool {
        self.mode == ReadMode::Bypass
    }

    /// Returns the store's own ports, without a cache.
    pub(crate) fn bare(&self) -> &Repositories {
        &self.store.bare
    }

    #[inline]
    pub(crate) fn regions(&self) -> &Regions {
        &self.store.regions
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Settle for CachedPorts {
    async fn settle(&self) -> Result<()> {
        // The store's own `settle` is not enough. A write whose caller was dropped continues in a
        // dedicated task, and the store may not have received the write yet. The manager's `settle`
        // also waits for such tasks.
        self.store
            .manager
            .settle()
            .await
            .map_err(Error::unavailable)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Health for CachedPorts {
    async fn check(&self) -> Result<()> {
        self.bare().health.check().await
    }
}
