//! The manager of all regions: it creates regions and guards, cleans up, settles and shuts down.

pub(crate) mod builder;
mod invalidate;
mod others;
pub(crate) mod regions;

use std::{fmt, time::Duration};

use futures_util::future::{Either, select};

#[cfg(feature = "internals")]
use crate::region::validate::Inconsistency;
use crate::{
    clock::Clock,
    region::{
        Region,
        bulk::AnyRegion,
        inspect::Entries,
        policy::{Key, Policy},
        state::{RegionParts, RegionState},
    },
    stats::RegionStats,
    sync::{Arc, Mutex},
    write::{
        guard::WriteGuard,
        settle::{SettleError, Settler},
    },
};

/// All regions of one cache. Cloning shares them.
///
/// A region works as long as there is a handle of it, and is counted, cleaned up and invalidated as
/// long as there is one of its manager. Expired entries are not served, but they are removed only
/// by [`Manager::cleanup`], which [`Manager::spawn_cleanup`] calls in the background.
#[derive(Clone)]
pub struct Manager {
    settler: Arc<Settler>,
    regions: Arc<Mutex<Vec<Arc<dyn AnyRegion>>>>,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.regions.lock().iter().map(|region| region.name()))
            .finish()
    }
}

/// Regions and guards.
impl Manager {
    pub(super) fn with_settler(settler: Arc<Settler>) -> Self {
        Self {
            settler,
            regions: Arc::default(),
        }
    }

    pub(crate) fn add<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: Policy,
        parts: RegionParts<K, V>,
    ) -> Region<K, V> {
        assert!(
            !name.contains(':'),
            "the name {name:?} of a region must not contain a colon"
        );
        let mut regions = self.regions.lock();
        assert!(
            regions.iter().all(|region| region.name() != name),
            "a region named {name:?} exists already"
        );
        let context = self.settler.context.clone();
        let state = Arc::new(RegionState::new(name, policy, parts, context));
        regions.push(state.clone());
        Region { state }
    }

    /// Returns a guard without keys. [`WriteGuard`] has an example.
    pub fn guard<T: Send + 'static>(&self) -> WriteGuard<T> {
        WriteGuard::new(self.settler.clone())
    }

    /// Returns the clock that decides freshness.
    pub fn clock(&self) -> &Clock {
        &self.settler.context.runtime.clock
    }

    /// Returns the names of the regions, in the order of their creation.
    pub fn regions(&self) -> Vec<&'static str> {
        self.all().iter().map(|region| region.name()).collect()
    }

    fn all(&self) -> Vec<Arc<dyn AnyRegion>> {
        self.regions.lock().clone()
    }

    fn find(&self, name: &str) -> Option<Arc<dyn AnyRegion>> {
        self.regions
            .lock()
            .iter()
            .find(|region| region.name() == name)
            .cloned()
    }
}

/// Statistics, cleanup and shutdown.
impl Manager {
    /// Returns the statistics of each region, in the order of their creation.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// let [region] = &manager.stats()[..] else { panic!("there is one region") };
    /// assert_eq!((region.name, region.stats.size), ("names", 1));
    /// ```
    pub fn stats(&self) -> Vec<RegionStats> {
        self.all()
            .iter()
            .map(|region| {
                let (loading, oldest_load) = region.loading();
                RegionStats {
                    name: region.name(),
                    policy: region.policy(),
                    stats: region.stats(),
                    is_enabled: region.is_enabled(),
                    loading,
                    oldest_load: oldest_load.map(Duration::from_nanos),
                }
            })
            .collect()
    }

    /// Returns entries of a region: how many printed keys contain `text`, and the first `most` of
    /// them. Returns `None` if there is no such region, and no entries if its keys are not
    /// [printed](crate::RegionBuilder::printed_keys).
    ///
    /// It visits every entry of the region.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// let names = manager.region_builder("names", policy).printed_keys().build();
    /// names.insert(7, "Ada");
    /// let entries = manager.entries("names", "7", 10).unwrap();
    /// assert_eq!((entries.count, &*entries.first[0].key), (1, "names:7"));
    /// assert_eq!(entries.first[0].time_left, Duration::from_secs(60));
    /// ```
    pub fn entries(&self, region: &str, text: &str, most: usize) -> Option<Entries> {
        Some(self.find(region)?.entries(text, most))
    }

    /// Logs one line of statistics for each region, at level info.
    pub fn log_stats(&self) {
        for region in self.stats() {
            let stats = region.stats;
            tracing::info!(
                target: "cache",
                region = region.name,
                hits = stats.hits,
                misses = stats.misses,
                hit_rate = stats.hit_rate(),
                size = stats.size,
                invalidations = stats.invalidations,
                loads = stats.loads,
                refused_stores = stats.refused_stores,
                "statistics"
            );
        }
    }

    /// Removes the expired entries of all regions and returns how many there were.
    ///
    /// It yields to other tasks after every 1,024 entries. Dropping it leaves the rest to the next
    /// call.
    pub async fn cleanup(&self) -> usize {
        let mut removed = 0;
        for region in self.all() {
            removed += region.cleanup().await;
        }
        tracing::debug!(target: "cache", removed, "cleanup");
        removed
    }

    /// Spawns a task that calls [`Manager::cleanup`] again and again, with a pause of `interval`.
    /// It ends when no handle of the manager is left, and at [`Manager::shutdown`].
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// manager.spawn_cleanup(Duration::from_secs(60));
    /// # }
    /// ```
    pub fn spawn_cleanup(&self, interval: Duration) {
        let regions = Arc::downgrade(&self.regions);
        let settler = Arc::downgrade(&self.settler);
        let clock = self.clock().clone();
        let task = async move {
            loop {
                clock.sleep(interval).await;
                let (Some(regions), Some(settler)) = (regions.upgrade(), settler.upgrade()) else {
                    return;
                };
                if settler.context.tracker.is_closed() {
                    return;
                }
                Self { settler, regions }.cleanup().await;
            }
        };
        self.settler.context.runtime.spawn(Box::pin(task));
    }

    /// Waits until no guarded write that began before the call can still land, even if its caller
    /// was dropped.
    ///
    /// Writes of unknown outcome are settled as [`Unknown`](crate::Unknown) says, and their windows
    /// are closed.
    ///
    /// # Errors
    ///
    /// Returns the error of the settle function, and always one with
    /// [`Unknown::Never`](crate::Unknown::Never).
    pub async fn settle(&self) -> Result<(), SettleError> {
        self.settler.settle().await
    }

    /// Waits until all loads and writes have ended, at most until the deadline. Returns `true` if
    /// they have. Later loads and writes still run; the caller must begin none.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// assert!(manager.shutdown(Duration::from_secs(5)).await);
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        let tracker = &self.settler.context.tracker;
        tracker.close();
        let ended = std::pin::pin!(tracker.wait());
        matches!(
            select(ended, self.clock().sleep(deadline)).await,
            Either::Left(_)
        )
    }

    /// Checks that the state of every region is consistent, while nothing runs. Returns the first
    /// inconsistency.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn validate(&self) -> Result<(), Inconsistency> {
        self.all().iter().try_for_each(|region| region.validate())
    }

    /// Returns `true` if no write is open and no load is in progress.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn is_quiet(&self) -> bool {
        self.all().iter().all(|region| region.is_quiet())
    }
}
