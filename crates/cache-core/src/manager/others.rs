//! The writes of other processes, over all regions.

use super::Manager;
use crate::{clock::Nanos, sync::Ordering};

/// The writes of other processes; see [`Builder::others_write`](crate::Builder::others_write).
impl Manager {
    /// States that every change that other processes had made before `sampled_at`, a time of
    /// [`Manager::clock`], has been reported. Values in memory are then served until the bound of
    /// [`Builder::others_write`](crate::Builder::others_write) has passed since that time.
    ///
    /// Sample the time before asking the source for changes. The result then contains every change
    /// that was acknowledged before. A time earlier than a previous one has no effect. Without
    /// other processes, this does nothing.
    pub fn renew(&self, sampled_at: Nanos) {
        let regions = self.regions.lock();
        let Some(others) = &self.settler.context.others else {
            return;
        };
        let until = sampled_at.saturating_add(others.bound);
        // Relaxed: the lock orders it.
        others.served_until.fetch_max(until, Ordering::Relaxed);
        for region in &*regions {
            region.extend_serving(until);
        }
    }

    /// Clears the cache because changes of other processes may have been missed.
    ///
    /// Removes everything as [`Manager::clear`] does, so that no load in progress and no row of an
    /// open write is stored, and notifies all listeners. Afterwards, report every change that is
    /// committed after this call began.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let runtime = Runtime::new(Clock::manual().0, drop);
    /// # let bound = Duration::from_secs(1);
    /// # let manager = Manager::builder(runtime, Unknown::Never).others_write(bound).build();
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// manager.begin_anew();
    /// assert!(names.is_empty());
    /// ```
    pub fn begin_anew(&self) {
        for region in self.all() {
            region.begin_anew();
        }
    }
}
