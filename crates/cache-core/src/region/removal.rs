//! What happens to an entry that was removed: its tags are forgotten, and the listener learns it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{policy::Key, state::RegionState, store::Evicted};

/// The reason why a value left a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Removal {
    /// Its TTL or its time to idle had ended. This reason precedes all others.
    Expired,
    /// The region was full.
    Evicted,
    /// Another value of its key was stored, or the key has no value any more.
    Replaced,
    /// A write made it stale.
    Written,
    /// It was removed by hand.
    Invalidated,
}

/// A function that learns of each value that leaves a region.
pub(crate) type RemovalListener<K, V> = Box<dyn Fn(K, V, Removal) + Send + Sync>;

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Finishes the removal of entries. Called where no lock is held, because it runs code of the
    /// user.
    pub(crate) fn finish_removal(&self, entries: Evicted<K, V>, reason: Removal) {
        for (timed, _) in &entries {
            self.tags.forget(&timed.key, timed.tags());
        }
        let Some(listener) = &self.removal_listener else {
            return;
        };
        let now = self.clock.now();
        for (timed, value) in entries {
            let is_expired = now >= timed.ends_at(self.idle);
            let reason = if is_expired { Removal::Expired } else { reason };
            // The entry is removed already, so a panic of the listener must not undo anything.
            let report = AssertUnwindSafe(|| listener(timed.key, value, reason));
            if catch_unwind(report).is_err() {
                tracing::error!(target: "cache", region = self.name, "a removal listener panicked");
            }
        }
    }
}
