//! The manager over all regions: statistics, cleanup, invalidation by hand, shutdown.

use std::{fmt, time::Duration};

use futures_util::future::{BoxFuture, Either, FutureExt, select};
use wildmatch::WildMatch;

use crate::{
    clock::Clock,
    guard::WriteGuard,
    inner::{Inner, Ways, Weigher},
    log::Fold,
    region::{Key, Policy, Region},
    runtime::Runtime,
    shared::{Fault, SettleFn, Shared},
    stats::Stats,
    store::Timed,
    sync::{Arc, Mutex, Ordering},
    tail::{Tail, TailFills, TailRegion},
};

/// Entries that a cleanup looks at before it lets others run.
const CHUNK: usize = 1_024;

/// All regions of one cache. Shared by cloning.
#[derive(Clone)]
pub struct Manager {
    shared: Arc<Shared>,
    regions: Arc<Mutex<Vec<Arc<dyn AnyRegion>>>>,
}

/// Settings of a [`Manager`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    runtime: Runtime,
    load_timeout: Duration,
    write_timeout: Duration,
    loads: usize,
    writes: usize,
    settle: Option<SettleFn>,
    fault: Fault,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.regions.lock().iter().map(|region| region.name()))
            .finish()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("loads", &self.loads)
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// How long a load may take; 10 seconds by default.
    pub fn load_timeout(self, load_timeout: Duration) -> Self {
        Self {
            load_timeout,
            ..self
        }
    }

    /// How long a write may take before its outcome counts as unknown; 30 seconds by default.
    pub fn write_timeout(self, write_timeout: Duration) -> Self {
        Self {
            write_timeout,
            ..self
        }
    }

    /// Loads and writes that may run at a time; 1,024 and 256 by default.
    pub fn permits(self, loads: usize, writes: usize) -> Self {
        Self {
            loads,
            writes,
            ..self
        }
    }

    /// How a write of unknown outcome is settled. Without it, its keys are read past the cache for good.
    pub fn settle(self, settle: SettleFn) -> Self {
        Self {
            settle: Some(settle),
            ..self
        }
    }

    /// Breaks one rule of the protocol, to show that a test would notice.
    #[cfg(feature = "faults")]
    pub fn fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// A manager without regions.
    pub fn build(self) -> Manager {
        let Self {
            runtime,
            load_timeout,
            write_timeout,
            loads,
            writes,
            settle,
            fault,
        } = self;
        let shared = Shared::new(
            runtime,
            (load_timeout, write_timeout),
            (loads, writes),
            settle,
            fault,
        );
        Manager {
            shared,
            regions: Arc::default(),
        }
    }
}

impl Manager {
    /// The settings to change before [`Builder::build`].
    pub fn builder(runtime: Runtime) -> Builder {
        Builder {
            runtime,
            load_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            loads: 1_024,
            writes: 256,
            settle: None,
            fault: Fault::None,
        }
    }

    /// A region whose capacity counts entries. Its name is unique in the manager.
    pub fn region<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: Policy,
    ) -> Region<K, V> {
        self.add(
            name,
            policy,
            Ways {
                weigher: None,
                fills: None,
            },
        )
    }

    /// A region of the ends of logs; its capacity counts what [`Fold::weight`] weighs, `typical` as a rule.
    pub fn tail_region<K: Key, C: Fold>(
        &self,
        name: &'static str,
        policy: Policy,
        typical: u32,
    ) -> TailRegion<K, C> {
        let weigher: Weigher<K, Arc<Tail<C>>> = Box::new(|_, tail| tail.weight());
        TailRegion(self.add(
            name,
            policy,
            Ways {
                weigher: Some((weigher, typical)),
                fills: Some(Box::new(TailFills)),
            },
        ))
    }

    /// A region whose capacity is counted by `weigher`; `typical` is what an entry weighs as a rule.
    pub fn weighed_region<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: Policy,
        typical: u32,
        weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static,
    ) -> Region<K, V> {
        self.add(
            name,
            policy,
            Ways {
                weigher: Some((Box::new(weigher), typical)),
                fills: None,
            },
        )
    }

    fn add<K: Key, V: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        policy: Policy,
        ways: Ways<K, V>,
    ) -> Region<K, V> {
        let mut regions = self.regions.lock();
        assert!(
            regions.iter().all(|region| region.name() != name),
            "region {name} is there already"
        );
        let inner = Arc::new(Inner::new(name, policy, ways, self.shared.clone()));
        regions.push(inner.clone());
        Region(inner)
    }

    /// A guard without keys.
    pub fn guard(&self) -> WriteGuard {
        WriteGuard::new(self.shared.clone())
    }

    /// The clock that decides freshness.
    pub fn clock(&self) -> &Clock {
        &self.shared.runtime.clock
    }

    /// The names of the regions, as they were made.
    pub fn regions(&self) -> Vec<&'static str> {
        self.all().iter().map(|region| region.name()).collect()
    }

    /// Statistics and policy per region, as they were made.
    pub fn stats(&self) -> Vec<(&'static str, Policy, Stats)> {
        self.all()
            .iter()
            .map(|region| (region.name(), region.policy(), region.stats()))
            .collect()
    }

    /// Whether the inner state of every region adds up: for tests, when nothing runs. The first thing that does not.
    pub fn validate(&self) -> Result<(), String> {
        self.all().iter().try_for_each(|region| region.validate())
    }

    /// Whether no write is open and no load stands.
    pub fn is_quiet(&self) -> bool {
        self.all().iter().all(|region| region.is_quiet())
    }

    /// One log line per region with its statistics.
    pub fn log_stats(&self) {
        for (region, _, stats) in self.stats() {
            let Stats {
                hits,
                misses,
                size,
                invalidations,
                loads,
                refused_stores,
                ..
            } = stats;
            let hit_rate = stats.hit_rate();
            tracing::info!(target: "cache", region, hits, misses, hit_rate, size, invalidations, loads, refused_stores, "statistics");
        }
    }

    /// Removes expired entries of all regions, in small chunks. How many there were.
    pub async fn cleanup(&self) -> usize {
        let mut removed = 0;
        for region in self.all() {
            removed += region.cleanup().await;
        }
        tracing::debug!(target: "cache", removed, "cleanup");
        removed
    }

    /// Removes everything. How many entries there were.
    pub fn clear(&self) -> usize {
        self.all()
            .iter()
            .map(|region| region.invalidate(&|_| true))
            .sum()
    }

    /// Removes everything in one region. `None` if there is no such region.
    pub fn clear_region(&self, name: &str) -> Option<usize> {
        Some(self.find(name)?.invalidate(&|_| true))
    }

    /// Removes one printed key, as `room_obj:7`. How many entries there were, 0 or 1.
    pub fn invalidate_key(&self, printed: &str) -> usize {
        let Some((region, key)) = printed.split_once(':') else {
            return 0;
        };
        self.find(region)
            .map_or(0, |region| usize::from(region.remove_printed(key)))
    }

    /// Removes the printed keys that begin with `prefix`, where it ends at the end of an id: `room_messages:5` takes
    /// room 5 and never room 50, `room_obj:` takes the whole region.
    pub fn invalidate_prefix(&self, prefix: &str) -> usize {
        self.invalidate(&|printed| has_prefix(printed, prefix))
    }

    /// Removes the printed keys that match a glob of `*` and `?`, as `room_*:7`.
    pub fn invalidate_glob(&self, pattern: &str) -> usize {
        let glob = WildMatch::new(pattern);
        self.invalidate(&|printed| glob.matches(printed))
    }

    fn invalidate(&self, test: &(dyn Fn(&str) -> bool + Sync)) -> usize {
        self.all()
            .iter()
            .map(|region| region.invalidate(test))
            .sum()
    }

    /// Switches a region off, which empties it and reads past it, or on again. Whether there is such a region.
    pub fn set_enabled(&self, name: &str, enabled: bool) -> bool {
        let region = self.find(name);
        if let Some(region) = &region {
            region.set_enabled(enabled);
        }
        region.is_some()
    }

    /// The same for all regions.
    pub fn set_all_enabled(&self, enabled: bool) {
        self.all()
            .iter()
            .for_each(|region| region.set_enabled(enabled));
    }

    /// Returns when no guarded write begun before the call can still land, whoever went away meanwhile; `Err` if the
    /// store could not tell.
    pub async fn settle(&self) -> Result<(), String> {
        self.shared.settle().await
    }

    /// Waits until loads and writes have ended, at most until the deadline. Whether they have.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.shared.tracker.close();
        let ended = std::pin::pin!(self.shared.tracker.wait());
        matches!(
            select(ended, self.clock().sleep(deadline)).await,
            Either::Left(_)
        )
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

fn has_prefix(printed: &str, prefix: &str) -> bool {
    let Some(rest) = printed.strip_prefix(prefix) else {
        return false;
    };
    let is_end = |c: char| c == ':' || c == '/';
    rest.is_empty() || prefix.ends_with(is_end) || rest.starts_with(is_end)
}

/// A region whose types are forgotten.
trait AnyRegion: Send + Sync {
    fn name(&self) -> &'static str;
    fn policy(&self) -> Policy;
    fn stats(&self) -> Stats;
    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, usize>;
    /// Bulk invalidation of the printed keys that pass the test.
    fn invalidate(&self, test: &(dyn Fn(&str) -> bool + Sync)) -> usize;
    fn remove_printed(self: Arc<Self>, key: &str) -> bool;
    fn set_enabled(&self, enabled: bool);
    fn validate(&self) -> Result<(), String>;
    fn is_quiet(&self) -> bool;
}

impl<K: Key, V: Clone + Send + Sync + 'static> AnyRegion for Inner<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn policy(&self) -> Policy {
        self.policy.clone()
    }

    fn stats(&self) -> Stats {
        Inner::stats(self)
    }

    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, usize> {
        async move {
            let now = self.clock.now();
            let mut removed = 0;
            let mut seen = 0_usize;
            for Timed { key, times } in self.store.values() {
                // Looked at again under its lock: it may have been loaded anew.
                if self.is_removable(&times, now)
                    && self
                        .store
                        .remove_value_if(&key, |times| self.is_removable(times, now))
                {
                    removed += 1;
                }
                seen += 1;
                if seen.is_multiple_of(CHUNK) {
                    yield_now().await;
                }
            }
            for (key, absent) in self.store.absences() {
                if now >= absent.until
                    && self
                        .store
                        .remove_absent_if(&key, |absent| now >= absent.until)
                {
                    removed += 1;
                }
            }
            self.counters.evicted_by_expiry.add(removed);
            if removed > 0 {
                tracing::debug!(target: "cache", region = self.name, entries = removed, "expiry");
            }
            removed
        }
        .boxed()
    }

    fn invalidate(&self, test: &(dyn Fn(&str) -> bool + Sync)) -> usize {
        let mut printed = String::new();
        let mut passes = |key: &K| passes(self.name, key, test, &mut printed);
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            for (key, progress) in &mut stripe.keys {
                if passes(key) {
                    self.bulk(progress);
                }
            }
            stripe.keys.retain(|_, progress| !progress.is_idle());
        }
        let removed = self.remove_where(passes);
        tracing::debug!(target: "cache", region = self.name, removed, "invalidation");
        removed
    }

    fn remove_printed(self: Arc<Self>, key: &str) -> bool {
        key.parse().is_ok_and(|key| Region(self).remove(&key))
    }

    fn validate(&self) -> Result<(), String> {
        Inner::validate(self)
    }

    fn is_quiet(&self) -> bool {
        Inner::is_quiet(self)
    }

    fn set_enabled(&self, enabled: bool) {
        self.switched_off
            .store(if enabled { 0 } else { u64::MAX }, Ordering::SeqCst);
        self.invalidate(&|_| true);
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Inner<K, V> {
    /// Removes values and absences whose key passes the test, and counts them as invalidated.
    pub(crate) fn remove_where(&self, mut test: impl FnMut(&K) -> bool) -> usize {
        let mut removed = 0;
        for Timed { key, .. } in self.store.values() {
            removed += usize::from(test(&key) && self.store.remove(&key).0.is_some());
        }
        for (key, _) in self.store.absences() {
            removed += usize::from(test(&key) && self.store.remove_absent_if(&key, |_| true));
        }
        self.counters.invalidations.add(removed);
        removed
    }
}

fn passes<K: fmt::Display>(
    region: &str,
    key: &K,
    test: &(dyn Fn(&str) -> bool + Sync),
    printed: &mut String,
) -> bool {
    use fmt::Write;
    printed.clear();
    write!(printed, "{region}:{key}").is_ok() && test(printed)
}

/// Lets others run once.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_the_end_of_an_id() {
        assert!(has_prefix("room_messages:5", "room_messages:5"));
        assert!(has_prefix("reads:5/7", "reads:5"));
        assert!(has_prefix("room_obj:50", "room_obj:"));
        assert!(!has_prefix("room_messages:50", "room_messages:5"));
        assert!(!has_prefix("room_obj:5", "room_o"));
    }
}
