//! The decorated ports: what they share, and the two ports that concern the store as a whole.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, Health, Repositories, Result, Settle};

use crate::{cached_store::CachedStore, regions::Regions};

/// How reads treat the cache. Writes open their guards in either mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// Reads are served from memory where possible, and fill it.
    Cached,
    /// Reads go to the store, and store nothing.
    Bypass,
}

/// All ports of a store, decorated with its cache.
pub(crate) struct CachedPorts {
    pub(crate) store: Arc<CachedStore>,
    mode: ReadMode,
}

impl CachedPorts {
    /// Returns all ports of `store`, whose reads are of this mode.
    pub(crate) fn bundle(store: &Arc<CachedStore>, mode: ReadMode) -> Repositories {
        let ports = Arc::new(Self {
            store: store.clone(),
            mode,
        });
        Repositories {
            agents: ports.clone(),
            configs: ports.clone(),
            rooms: ports.clone(),
            messages: ports.clone(),
            read_positions: ports.clone(),
            sessions: ports.clone(),
            settle: ports.clone(),
            health: ports,
        }
    }

    #[inline]
    pub(crate) fn is_bypassing(&self) -> bool {
        self.mode == ReadMode::Bypass
    }

    /// Returns the store's own ports.
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
        // Not the store's own method alone: a write whose caller went away continues in a task of
        // its own, and the store may not have received it yet.
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
