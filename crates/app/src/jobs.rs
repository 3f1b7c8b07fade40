//! Background jobs: cleanup with statistics, and the watch over the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cache_adapter::Cache;
use cache_core::{Manager, Stats};
use domain::{AgentId, Repositories};

use crate::wiring::App;

/// How often expired entries are removed and statistics logged.
pub const CLEANUP: Duration = Duration::from_mins(5);
/// How often the store is asked whether it is still this process's.
pub const WATCH: Duration = Duration::from_secs(1);
/// A region is warned of when its hit rate over one interval is below this many percent…
pub const LOW_HIT_RATE: f64 = 70.0;
/// …with at least so many requests.
pub const ENOUGH_REQUESTS: u64 = 100;

/// How long an agent that is not read keeps its persona in memory, where an edit of its files would be looked for.
pub const LATELY: Duration = Duration::from_secs(30);
/// How long to wait before watching is tried again.
const AGAIN: Duration = Duration::from_mins(1);

/// How changes of agents' files by others are found.
#[derive(Clone, Copy, Debug)]
pub struct FileWatch {
    /// Whether the system is asked to tell of them.
    pub watch: bool,
    /// How often the files of agents that are read are looked at.
    pub probe: Duration,
}

impl Default for FileWatch {
    fn default() -> Self {
        Self {
            watch: true,
            probe: Duration::from_millis(100),
        }
    }
}

/// Ends what is cached of agents whose files the system says were changed. For ever, unless watching is off.
pub async fn follow(cache: Cache, how: FileWatch) {
    if !how.watch {
        return;
    }
    loop {
        match cache.repositories.configs.watch().await {
            Ok(ids) => reread(&cache, &ids).await,
            Err(error) => {
                tracing::warn!(%error, "agents' files are not watched, only looked at now and then");
                cache.manager.clock().sleep(AGAIN).await;
            }
        }
    }
}

/// The same for those whose files look changed. For ever.
pub async fn probe(cache: Cache, how: FileWatch) {
    let rounds = u64::try_from(LATELY.as_nanos() / how.probe.as_nanos().max(1)).unwrap_or(u64::MAX);
    loop {
        cache.manager.clock().sleep(how.probe).await;
        let ids = cache.begin_probe_round(rounds);
        if ids.is_empty() {
            continue;
        }
        match cache.repositories.configs.changed(&ids).await {
            Ok(ids) => reread(&cache, &ids).await,
            Err(error) => tracing::warn!(%error, "agents' files could not be looked at"),
        }
    }
}

/// From here on reads show the files as they are; the store's copy follows.
async fn reread(cache: &Cache, ids: &[AgentId]) {
    for id in ids {
        cache.invalidate_agent(*id);
    }
    for id in ids {
        match cache.repositories.configs.reload(*id).await {
            Ok(_) => tracing::info!(agent = %id, "files were changed: read anew"),
            Err(error) => {
                tracing::warn!(agent = %id, %error, "files were changed: the last good configuration stays in force");
            }
        }
    }
}

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
            let interval = Stats {
                hits: now.hits - last.hits,
                misses: now.misses - last.misses,
                ..Stats::default()
            };
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
                Err(error) => {
                    tracing::error!(%error, "the store cannot be trusted: reading past the cache");
                }
            }
        }
    }
}
