//! Judges reads by C1, nothing older than an earlier acknowledged write, and C2, nothing older than
//! an earlier read. A write of another process counts as acknowledged after the bound.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cache_core::{Clock, Nanos};

/// The newest versions of each key. Versions count commits, so an older one is smaller.
pub(crate) struct Judge {
    clock: Clock,
    versions: Mutex<HashMap<u64, Newest>>,
    elsewhere: Mutex<Vec<Elsewhere>>,
}

/// A write of another process, and the time from which readers must see it.
struct Elsewhere {
    key: u64,
    version: u64,
    due_at: Nanos,
}

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
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            versions: Mutex::default(),
            elsewhere: Mutex::default(),
        }
    }

    fn versions(&self) -> MutexGuard<'_, HashMap<u64, Newest>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a write of another process, which readers may miss until the bound has passed.
    pub(crate) fn elsewhere(&self, key: u64, version: u64, bound: Duration) {
        let bound = u64::try_from(bound.as_nanos()).expect("a short time");
        let due_at = self.clock.now() + bound;
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        elsewhere.push(Elsewhere {
            key,
            version,
            due_at,
        });
    }

    fn acknowledge_due(&self) {
        let now = self.clock.now();
        let mut elsewhere = self
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for write in elsewhere.extract_if(.., |write| write.due_at <= now) {
            self.acknowledged(write.key, write.version);
        }
    }

    /// Records an acknowledged write.
    pub(crate) fn acknowledged(&self, key: u64, version: u64) {
        let mut versions = self.versions();
        let newest = versions.entry(key).or_default();
        newest.acknowledged = newest.acknowledged.max(version);
    }

    /// Begins to judge a read.
    pub(crate) fn begin(&self, key: u64) -> Bound {
        self.acknowledge_due();
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
