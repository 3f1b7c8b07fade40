//! The end of a removal: the tags of the entry are forgotten, and the listener is called.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{policy::Key, removal::Removal, state::RegionState, store::Evicted};

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
