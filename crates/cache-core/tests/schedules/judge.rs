//! Judges reads by C1, nothing older than an earlier acknowledged write, and C2, nothing older than
//! an earlier read.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The newest versions of each key. Versions count commits, so an older one is smaller.
#[derive(Default)]
pub(crate) struct Judge(Mutex<HashMap<u64, Newest>>);

#[derive(Clone, Copy, Default)]
struct Newest {
    acknowledged: u64,
    returned: u64,
}

/// The versions that a read must reach, taken when it began.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    key: u64,
    newest: Newest,
}

impl Judge {
    fn versions(&self) -> MutexGuard<'_, HashMap<u64, Newest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an acknowledged write.
    pub(crate) fn acknowledged(&self, key: u64, version: u64) {
        let mut versions = self.versions();
        let newest = versions.entry(key).or_default();
        newest.acknowledged = newest.acknowledged.max(version);
    }

    /// Begins to judge a read.
    pub(crate) fn begin(&self, key: u64) -> Bound {
        Bound {
            key,
            newest: self.versions().get(&key).copied().unwrap_or_default(),
        }
    }

    /// Judges a read that returned `version`.
    pub(crate) fn end(&self, bound: Bound, version: u64) {
        let Bound { key, newest } = bound;
        assert!(
            version >= newest.acknowledged,
            "C1: key {key} returned {version} after {} was acknowledged",
            newest.acknowledged
        );
        assert!(
            version >= newest.returned,
            "C2: key {key} returned {version} after {} was read",
            newest.returned
        );
        let mut versions = self.versions();
        let newest = versions.entry(key).or_default();
        newest.returned = newest.returned.max(version);
    }
}
