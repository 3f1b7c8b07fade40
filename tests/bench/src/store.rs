//! Helpers that open stores in temporary folders, and read the statistics of a cache.

use std::path::Path;

use cache_adapter::Cache;
use cache_core::Stats;
use domain::{Error, Repositories};
use serde::Serialize;

/// Returns the address of the SQLite database in `folder`.
pub fn sqlite_address(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("bench.db").display())
}

/// Opens a store on the SQLite database and the agents' files in `folder`.
pub async fn open_sqlite(folder: &Path) -> Repositories {
    open(&sqlite_address(folder), folder).await
}

/// Opens a database, and the agents' files in `folder`. If the folder is still open elsewhere in
/// this process, waits until it is closed.
pub async fn open(database: &str, folder: &Path) -> Repositories {
    loop {
        match persistence::open(database, folder.join("agents")).await {
            Err(Error::Conflict(_)) => tokio::task::yield_now().await,
            opened => return opened.expect("a store in a temporary folder opens"),
        }
    }
}

/// Returns the statistics of one region.
pub fn region_stats(cache: &Cache, name: &str) -> Stats {
    cache
        .manager
        .stats()
        .into_iter()
        .find(|region| region.name == name)
        .expect("the cache has a region of this name")
        .stats
}

/// The hit rate of one region.
#[derive(Clone, Debug, Serialize)]
pub struct RegionHits {
    /// The name of the region.
    pub region: &'static str,
    /// Hits in percent of all reads.
    pub percent: f64,
    /// The number of reads.
    pub reads: u64,
}

/// Returns the hit rates of all regions with more than `fewest_reads` reads.
pub fn region_hits(cache: &Cache, fewest_reads: u64) -> Vec<RegionHits> {
    let regions = cache.manager.stats().into_iter();
    regions
        .filter(|region| region.stats.total_requests() > fewest_reads)
        .map(|region| RegionHits {
            region: region.name,
            percent: region.stats.hit_rate(),
            reads: region.stats.total_requests(),
        })
        .collect()
}
