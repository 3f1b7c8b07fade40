//! Background jobs. Each runs until its task is aborted.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use cache_adapter::Cache;
use cache_core::{Manager, Stats};
use domain::AgentId;

use crate::{bounds::Unlogged, settings::FileWatch, state::App};

/// The interval at which expired entries are removed and statistics are logged.
pub const CLEANUP_INTERVAL: Duration = Duration::from_mins(5);
/// The interval at which the store's health is checked. It bounds the time for which the loss of
/// the lock on the store goes unnoticed.
pub const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The hit rate, in percent, below which a warning about a region is logged at the end of a cleanup
/// interval. The TTL of such a region is probably too short.
pub const LOW_HIT_RATE: f64 = 70.0;
/// The minimum number of requests in an interval for such a warning. A hit rate of fewer requests
/// says little.
pub const MIN_REQUESTS: u64 = 100;

/// The time after an agent's last read for which its files are still probed.
///
/// Afterwards the agent's persona is removed from the cache, so that the next read sees the files.
pub const PROBE_WINDOW: Duration = Duration::from_secs(30);
/// The interval at which the problems with agents' files are counted.
const PROBLEM_COUNT_INTERVAL: Duration = Duration::from_mins(1);
/// A count of problems reads the files of all agents. The pause after it is at least this many
/// times its duration, so that counting takes at most one percent of the time.
const PROBLEM_COUNT_PAUSE: u32 = 100;
/// The pause before the server tries again to watch the files. The causes of failures, such as too
/// many watches, usually persist.
const WATCH_RETRY: Duration = Duration::from_mins(1);

/// Waits for change notifications of the operating system. Invalidates and reloads the agents whose
/// files changed.
///
/// Returns at once if watching is switched off.
pub async fn watch_files(cache: Cache, files: FileWatch) {
    if !files.watch {
        return;
    }
    loop {
        match cache.repositories.files.watch().await {
            Ok(ids) => reload(&cache, &ids).await,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "cannot watch the agents' files: edits are noticed at the probe interval"
                );
                cache.manager.clock().sleep(WATCH_RETRY).await;
            }
        }
    }
}

/// Checks the files of recently read agents at an interval. Invalidates and reloads the agents
/// whose files changed.
pub async fn probe_files(cache: Cache, files: FileWatch) {
    let rounds =
        u64::try_from(PROBE_WINDOW.as_nanos() / files.probe.as_nanos().max(1)).unwrap_or(u64::MAX);
    loop {
        cache.manager.clock().sleep(files.probe).await;
        let ids = cache.begin_probe_round(rounds);
        if ids.is_empty() {
            continue;
        }
        match cache.repositories.files.changed(&ids).await {
            Ok(ids) => reload(&cache, &ids).await,
            Err(error) => tracing::warn!(%error, "cannot check the agents' files for edits"),
        }
    }
}

/// Invalidates the cached agents, so that the next reads see the files. Then reloads the files,
/// which updates the snapshots in the store.
async fn reload(cache: &Cache, ids: &[AgentId]) {
    // All agents are invalidated first, because a reload takes a while: an agent that is not yet
    // invalidated would be served with its old files meanwhile.
    for id in ids {
        cache.invalidate_agent(*id);
    }
    for id in ids {
        match cache.repositories.files.reload(*id).await {
            Ok(_) => tracing::info!(agent = %id, "agent reloaded: its files changed"),
            Err(error) => {
                tracing::warn!(
                    agent = %id,
                    %error,
                    "changed files not loaded: the last valid version stays in use"
                );
            }
        }
    }
}

/// Removes expired entries at an interval, logs statistics, and reports low hit rates.
pub async fn clean_up(manager: Manager) {
    let mut before: HashMap<&str, Stats> = HashMap::new();
    loop {
        manager.clock().sleep(CLEANUP_INTERVAL).await;
        let removed = manager.cleanup().await;
        tracing::info!(target: "cache", removed, "expired entries removed");
        manager.log_stats();
        for region in manager.stats() {
            let (region, now) = (region.name, region.stats);
            let last = before.insert(region, now.clone()).unwrap_or_default();
            let mut interval = Stats::default();
            interval.hits = now.hits - last.hits;
            interval.misses = now.misses - last.misses;
            if interval.total_requests() >= MIN_REQUESTS && interval.hit_rate() < LOW_HIT_RATE {
                tracing::warn!(
                    target: "cache",
                    region,
                    hit_rate = interval.hit_rate(),
                    requests = interval.total_requests(),
                    "low hit rate"
                );
            }
        }
    }
}

/// Counts the problems with agents' files at an interval.
pub(crate) async fn count_config_problems(app: Arc<App>) {
    let mut pause = PROBLEM_COUNT_INTERVAL;
    loop {
        app.cache.manager.clock().sleep(pause).await;
        let began = Instant::now();
        match app.cache.repositories.files.problems().await {
            Ok(problems) => app.config_problems.set(Some(problems.len())),
            Err(error) => {
                app.config_problems.set(None);
                tracing::warn!(%error, "cannot check the agents' files for problems");
            }
        }
        pause = PROBLEM_COUNT_INTERVAL.max(began.elapsed() * PROBLEM_COUNT_PAUSE);
    }
}

/// Drops the rate counters of addresses that have been idle, so that they don't accumulate. Logs
/// the refusals that were only counted.
pub(crate) async fn forget_idle_addresses(app: Arc<App>) {
    loop {
        app.cache.manager.clock().sleep(CLEANUP_INTERVAL).await;
        app.auth.forget_idle();
        app.bounds.log_lines.take().iter().for_each(Unlogged::log);
    }
}

/// Checks the store's health at an interval. While the store does not respond, or another process
/// may write to it, all reads bypass the cache.
pub(crate) async fn watch_store(app: Arc<App>) {
    let mut is_healthy = true;
    loop {
        app.cache.manager.clock().sleep(STORE_CHECK_INTERVAL).await;
        let checked = app.cache.repositories.health.check().await;
        if checked.is_ok() != is_healthy {
            is_healthy = checked.is_ok();
            app.operate.switches.set_store(is_healthy);
            match checked {
                Ok(()) => tracing::info!("the store is healthy again: the cache is in use"),
                Err(error) => {
                    tracing::error!(%error, "the store is not healthy: all reads bypass the cache");
                }
            }
        }
    }
}
