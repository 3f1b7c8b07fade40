//! Background jobs: cleanup with statistics, and the watch over the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cache_core::{Manager, Stats};
use domain::Repositories;

use crate::wiring::App;

/// How often expired entries are removed and statistics logged.
pub const CLEANUP: Duration = Duration::from_mins(5);
/// How often the store is asked whether it is still this process's.
pub const WATCH: Duration = Duration::from_secs(1);
/// A region is warned of when its hit rate over one interval is below this many percent…
pub const LOW_HIT_RATE: f64 = 70.0;
/// …with at least so many requests.
pub const ENOUGH_REQUESTS: u64 = 100;

/// Cleans up for ever.
pub async fn clean(manager: Manager) {
    let mut before: HashMap<&str, Stats> = HashMap::new();
    loop {
        manager.clock().sleep(CLEANUP).await;
        let removed = manager.cleanup().await;
        tracing::info!(target: "cache", removed, "expired entries removed");
        manager.log_stats();
        for (region, _, now) in manager.stats() {
            let last = before.insert(region, now.clone()).unwrap_or_default();
            let interval = Stats { hits: now.hits - last.hits, misses: now.misses - last.misses, ..Stats::default() };
            if interval.total_requests() >= ENOUGH_REQUESTS && interval.hit_rate() < LOW_HIT_RATE {
                tracing::warn!(target: "cache", region, hit_rate = interval.hit_rate(), requests = interval.total_requests(), "low hit rate");
            }
        }
    }
}

/// Forgets callers that have not asked lately. For ever.
pub(crate) async fn forget_idle(app: Arc<App>) {
    loop {
        app.cache.manager.clock().sleep(CLEANUP).await;
        app.auth.rates.forget_idle();
    }
}

/// Reads past the cache while the store does not answer or may not be this process's alone. For ever.
pub async fn watch(manager: Manager, store: Repositories) {
    let mut is_well = true;
    loop {
        manager.clock().sleep(WATCH).await;
        let checked = store.health.check().await;
        if checked.is_ok() != is_well {
            is_well = checked.is_ok();
            manager.set_all_enabled(is_well);
            match checked {
                Ok(()) => tracing::info!("the store answers again: reading through the cache"),
                Err(error) => tracing::error!(%error, "the store cannot be trusted: reading past the cache"),
            }
        }
    }
}
