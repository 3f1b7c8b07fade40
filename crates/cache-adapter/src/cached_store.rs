//! [`CachedStore`]: a store's ports together with the regions that cache their data.

use std::{sync::Arc, time::Duration};

use cache_core::{Manager, Runtime, SettleError, Unknown, WriteGuard};
use domain::Repositories;

use crate::{
    glances::Glances,
    guard::{Committed, cover},
    newest::TailLimits,
    options::Options,
    recent_reads::RecentReads,
    regions::Regions,
    stale::{Write, stale},
};

/// A store's ports together with the regions that cache their data. The cached and the bypassing
/// ports share one `CachedStore`.
pub(crate) struct CachedStore {
    /// The store's own ports, without a cache.
    pub(crate) bare: Repositories,
    pub(crate) manager: Manager,
    pub(crate) regions: Regions,
    pub(crate) glances: Glances,
    pub(crate) tail_limits: TailLimits,
    pub(crate) recent_reads: Arc<RecentReads>,
    /// The bound by which reads may lag behind other processes that write to the store; `None` if
    /// none does.
    pub(crate) others_write: Option<Duration>,
}

impl CachedStore {
    pub(crate) fn new(bare: Repositories, runtime: Runtime, options: &Options) -> Self {
        let settle = bare.settle.clone();
        let unknown = Unknown::settled_by(move || {
            let settle = settle.clone();
            async move { settle.settle().await.map_err(SettleError::failed) }
        });
        let mut builder = Manager::builder(runtime, unknown);
        if let Some(bound) = options.others_write {
            builder = builder.others_write(bound);
        }
        #[cfg(feature = "faults")]
        let builder = builder.fault(options.fault);
        let manager = builder.build();
        let regions = Regions::new(&manager, options);
        Self {
            glances: Glances::new(&regions),
            regions,
            bare,
            manager,
            tail_limits: options.tail,
            recent_reads: Arc::default(),
            others_write: options.others_write,
        }
    }

    /// Returns a write guard for the keys that `write` makes stale. The guard opens when it runs
    /// the write.
    pub(crate) fn guard<T: Send + 'static>(&self, write: &Write) -> WriteGuard<Committed<T>> {
        stale(write)
            .into_iter()
            .fold(self.manager.guard(), |guard, keys| {
                cover(guard, keys, &self.regions)
            })
    }
}
