//! Judges reads: C1, nothing older than what was acknowledged before; C2, nothing older than what an earlier read gave.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What is known per key. Versions count commits, so older is smaller.
#[derive(Default)]
pub(crate) struct Judge(Mutex<HashMap<u64, Known>>);

#[derive(Clone, Copy, Default)]
struct Known {
    acknowledged: u64,
    returned: u64,
}

/// What a read that began may not fall below.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    key: u64,
    known: Known,
}

impl Judge {
    fn known(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write is acknowledged.
    pub(crate) fn acknowledged(&self, key: u64, version: u64) {
        let mut all = self.known();
        let known = all.entry(key).or_default();
        known.acknowledged = known.acknowledged.max(version);
    }

    /// A read begins.
    pub(crate) fn begin(&self, key: u64) -> Bound {
        Bound {
            key,
            known: self.known().get(&key).copied().unwrap_or_default(),
        }
    }

    /// It ends.
    pub(crate) fn end(&self, bound: Bound, version: u64) {
        let Bound { key, known } = bound;
        assert!(
            version >= known.acknowledged,
            "C1: key {key} gave {version} after {} was acknowledged",
            known.acknowledged
        );
        assert!(
            version >= known.returned,
            "C2: key {key} gave {version} after {} was read",
            known.returned
        );
        let mut all = self.known();
        let known = all.entry(key).or_default();
        known.returned = known.returned.max(version);
    }
}
