//! Helpers with which tests read a cache's statistics or wait for them.

use cache_adapter::Cache;
use cache_core::Stats;

use crate::wait::until;

/// Returns the statistics of the region with this name. Panics if there is no such region.
pub fn region_stats(cache: &Cache, region: &str) -> Stats {
    let stats = cache.manager.stats();
    let found = stats.into_iter().find(|found| found.name == region);
    found
        .unwrap_or_else(|| panic!("the cache has no region {region}"))
        .stats
}

/// Returns the number of open write windows in all regions.
pub fn open_windows(cache: &Cache) -> u64 {
    total(cache, |stats| stats.open_windows)
}

/// Returns the number of windows that are open because a write's outcome is unknown.
pub fn unknown_windows(cache: &Cache) -> u64 {
    total(cache, |stats| stats.unknown_windows)
}

/// Waits until no window is open.
pub async fn wait_until_windows_close(cache: &Cache) {
    until("all windows close", || open_windows(cache) == 0).await;
}

fn total(cache: &Cache, count: impl Fn(&Stats) -> u64) -> u64 {
    let stats = cache.manager.stats();
    stats.iter().map(|region| count(&region.stats)).sum()
}
