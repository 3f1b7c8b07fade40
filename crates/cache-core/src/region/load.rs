//! Loads: tasks under a permit and a timeout, whose flights land whatever happens to the task.

use std::collections::HashMap;

use super::{
    flight::Flight,
    loader::{LoadError, Loaded, Loader, Rows},
    policy::Key,
    state::RegionState,
};
use crate::{context::Ended, sync::Arc};

/// One key of a load.
pub(crate) struct Part<K, V> {
    key: K,
    pub(crate) flight: Arc<Flight<K, V>>,
    kind: Kind,
}

/// The use that a load makes of the result of one key.
#[derive(Clone, Copy)]
enum Kind {
    /// The load is registered, and its result is stored.
    Load,
    /// The load is registered. If it fails, the value in memory stays.
    Refresh,
    /// A write was open when the load began, so its result is not stored.
    Bypass,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Part<K, V> {
    pub(crate) fn load(key: K, flight: Arc<Flight<K, V>>) -> Self {
        let kind = Kind::Load;
        Self { key, flight, kind }
    }

    pub(crate) fn refresh(key: K, flight: Arc<Flight<K, V>>) -> Self {
        let kind = Kind::Refresh;
        Self { key, flight, kind }
    }

    pub(crate) fn bypassing(key: K) -> Self {
        Self {
            key,
            flight: Flight::unregistered(),
            kind: Kind::Bypass,
        }
    }

    fn end(self, region: &RegionState<K, V>, result: Result<Loaded<V>, LoadError>) {
        match self.kind {
            Kind::Load => region.end_load(&self.key, &self.flight, result),
            Kind::Refresh => region.end_refresh(&self.key, &self.flight, result),
            Kind::Bypass => self.flight.land(result),
        }
    }
}

/// One run of a loader, for one or many keys.
pub(crate) struct Load<K: Key, V: Clone + Send + Sync + 'static> {
    region: Arc<RegionState<K, V>>,
    parts: Vec<Part<K, V>>,
    loader: Option<Loader<K, V>>,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Load<K, V> {
    pub(crate) fn new(
        region: Arc<RegionState<K, V>>,
        parts: Vec<Part<K, V>>,
        loader: Loader<K, V>,
    ) -> Self {
        Self {
            region,
            parts,
            loader: Some(loader),
        }
    }

    /// Waits for a permit, loads, and ends every part.
    pub(crate) async fn run(self) {
        let permits = self.region.context.load_permits.clone();
        let _permit = permits.acquire_owned().await.ok();
        self.run_without_permit().await;
    }

    /// Loads and ends every part, without waiting for a permit: a refresh has no reader that waits,
    /// and must not be late.
    pub(crate) async fn run_without_permit(mut self) {
        let Some(loader) = self.loader.take() else {
            return;
        };
        // Before the loader runs: its value may be as old as this.
        let at = self.region.clock.now();
        let keys = self.parts.iter().map(|part| part.key.clone()).collect();
        match run(&self.region, loader, keys).await {
            Ok(rows) => {
                let mut rows: HashMap<K, V> = rows.into_iter().collect();
                for part in self.parts.drain(..) {
                    let value = rows.remove(&part.key);
                    part.end(&self.region, Ok(Loaded { value, at }));
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &LoadError) {
        for part in self.parts.drain(..) {
            part.end(&self.region, Err(error.clone()));
        }
    }
}

/// A task that is dropped unfinished fails its parts, so that no reader waits forever.
impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Load<K, V> {
    fn drop(&mut self) {
        self.fail(&LoadError::GivenUp);
    }
}

/// Runs a loader under the load timeout, and counts it.
pub(super) async fn run<K: Key, V: Clone + Send + Sync + 'static>(
    region: &RegionState<K, V>,
    loader: Loader<K, V>,
    keys: Vec<K>,
) -> Rows<K, V> {
    region.counters.loads.one();
    let context = &region.context;
    let work = async { loader(keys).await };
    let rows = match context.bounded(work, context.limits.load_timeout).await {
        Ended::With(rows) => rows,
        Ended::TimedOut => Err(LoadError::TimedOut),
        Ended::Panicked => Err(LoadError::Panicked),
    };
    match &rows {
        Ok(rows) => {
            tracing::debug!(target: "cache", region = region.name, rows = rows.len(), "load");
        }
        Err(error) => {
            region.counters.load_failures.one();
            tracing::debug!(target: "cache", region = region.name, %error, "load failed");
        }
    }
    rows
}
