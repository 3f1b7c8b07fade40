//! The mapping from the changes of other processes to the keys of regions.

use std::sync::Arc;

use cache_core::{Fold, Region, TailRegion};
use domain::Message;

use crate::{
    guard::{Covers, cover},
    keys::RegionKey,
    log_copies::log_seq,
    regions::{Regions, Value},
    stale::StaleKeys,
};

/// The keys that another process made stale.
#[derive(Default)]
pub(crate) struct Elsewhere {
    /// The message that was appended, if it could be read.
    message: Option<Arc<Message>>,
    steps: Vec<Box<dyn FnOnce() + Send>>,
}

impl Elsewhere {
    /// Returns no keys yet. `message` is the one that was appended.
    pub(crate) fn with_message(message: Option<Arc<Message>>) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }

    /// Removes `keys` from memory, or appends the message to the copies of its log.
    pub(crate) fn remove(self, keys: Vec<StaleKeys>, regions: &Regions) {
        let covered = keys
            .into_iter()
            .fold(self, |covers, keys| cover(covers, keys, regions));
        // In reverse, as a guard closes its windows: a listener of the messages then finds the
        // current activity.
        for step in covered.steps.into_iter().rev() {
            step();
        }
    }

    fn step(mut self, step: impl FnOnce() + Send + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }
}

impl Covers for Elsewhere {
    fn key<K: RegionKey, V: Value>(self, region: &Region<K, V>, key: K) -> Self {
        let region = region.clone();
        self.step(move || region.changed_elsewhere(&key))
    }

    fn creating<K: RegionKey, V: Value>(self, region: &Region<K, V>) -> Self {
        let region = region.clone();
        self.step(move || region.created_elsewhere())
    }

    fn keys_where<K: RegionKey, V: Value>(
        self,
        region: &Region<K, V>,
        _glob: &str,
        covers: Box<dyn Fn(&K) -> bool + Send + Sync>,
    ) -> Self {
        let region = region.clone();
        self.step(move || region.changed_elsewhere_where(covers))
    }

    fn append<K: RegionKey, C: Fold<Entry = Arc<Message>>>(
        self,
        region: &TailRegion<K, C>,
        key: K,
    ) -> Self {
        let Some(message) = self.message.clone() else {
            // Without the message, the copy would have a gap.
            return self.key(region.region(), key);
        };
        let region = region.clone();
        self.step(move || region.appended_elsewhere(&key, log_seq(message.seq), message))
    }
}
