//! Reads through a cache: 100 tasks ask for one report, and the slow function runs once.
//!
//! Run it with `cargo run -p greenroom-cache-core --example read_through`.

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{LoadError, Manager, Policy, Read, Region, Runtime, Source, Unknown};

/// Reports by year. Cloning shares the cache.
#[derive(Clone)]
struct Reports {
    cache: Region<u32, Arc<str>>,
    runs: Arc<AtomicUsize>,
}

impl Reports {
    async fn read(&self, year: u32) -> Result<Read<Arc<str>>, LoadError<io::Error>> {
        let runs = self.runs.clone();
        // The load is a task, so its closure owns what it uses.
        let load = move || async move {
            runs.fetch_add(1, Ordering::Relaxed);
            compute(year).await
        };
        self.cache.get_or_load(year, load).await
    }
}

/// Stands for a slow query. Returns `None` for a year without a report.
async fn compute(year: u32) -> io::Result<Option<Arc<str>>> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok((year >= 2000).then(|| format!("report of {year}").into()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 1_000);
    let reports = Reports {
        cache: manager.region("reports", policy),
        runs: Arc::default(),
    };

    // All tasks miss. One starts the load, and the others join it.
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let reports = reports.clone();
        callers.spawn(async move { reports.read(2025).await });
    }
    let mut loaded = 0;
    while let Some(read) = callers.join_next().await {
        let read = read??;
        assert_eq!(read.value.as_deref(), Some("report of 2025"));
        loaded += usize::from(read.source == Source::Loaded);
    }
    assert_eq!(loaded, 1);
    assert_eq!(reports.runs.load(Ordering::Relaxed), 1);

    // The next read finds the report in memory.
    let read = reports.read(2025).await?;
    assert_eq!(read.source, Source::Hit);
    assert!(Duration::from(read.age) < Duration::from_secs(60));

    // A missing value is cached, too, for `Policy::absence_ttl`.
    assert_eq!(reports.read(1999).await?.value, None);
    assert_eq!(reports.read(1999).await?.source, Source::Hit);
    assert_eq!(reports.runs.load(Ordering::Relaxed), 2);

    let stats = reports.cache.stats();
    println!(
        "{} loads, {} joins, {} hits",
        stats.loads, stats.joins, stats.hits
    );
    Ok(())
}
