//! Misses under load. Either a thousand tasks read one cold key, or each of a thousand tasks reads
//! a different cold key.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cache_core::{Manager, Policy, Region, Runtime, Unknown};
use conformance::peers::{Size, moka, quick_cache};
use serde_json::json;

use crate::{
    error::BenchError,
    measure::{Estimate, float},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar, start_runtime},
};

/// The number of tasks. It is also the number of keys if each task reads a different one.
const TASKS: u64 = 1_000;
/// The time that the store takes to return a value.
const STORE_DELAY: Duration = Duration::from_millis(5);
/// Ten times the number of keys, so that no cache evicts.
const SIZE: Size = Size {
    capacity: 10_000,
    ttl: Duration::from_hours(1),
};

/// Maps every task to the same key.
const ONE_KEY: fn(u64) -> u64 = |_| 0;
/// Maps each task to a different key.
const OWN_KEY: fn(u64) -> u64 = |task| task;

/// A slow store that counts its loads.
#[derive(Clone, Default)]
struct SlowStore(Arc<AtomicUsize>);

impl SlowStore {
    async fn read(self, key: u64) -> u64 {
        // Relaxed: the count is read after all tasks were joined.
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(STORE_DELAY).await;
        key
    }
}

/// One of the measured caches.
#[derive(Clone)]
enum Subject {
    Region(Region<u64, u64>),
    Moka(moka::Cache<u64, u64>),
    QuickCache(Arc<quick_cache::Cache<u64, u64>>),
}

/// The names of the caches in the report. The region is the first.
const NAMES: [&str; 3] = [
    "`Region::get_or_load`",
    "moka, `get_with`",
    "quick_cache, `get_or_insert_async`",
];

impl Subject {
    /// Creates an empty cache. `position` is the index of its name in [`NAMES`].
    fn new(position: usize) -> Self {
        match position {
            0 => Self::Region(
                Manager::new(Runtime::tokio(), Unknown::Never)
                    .region("misses", Policy::new(SIZE.ttl, SIZE.capacity as u64)),
            ),
            1 => Self::Moka(moka::cache(SIZE)),
            _ => Self::QuickCache(Arc::new(quick_cache::cache(SIZE))),
        }
    }

    async fn read(self, key: u64, store: SlowStore) -> u64 {
        match self {
            Self::Region(region) => {
                let load = move || async move { Ok::<_, Infallible>(Some(store.read(key).await)) };
                region
                    .get_or_load(key, load)
                    .await
                    .expect("the store answers")
                    .value
                    .expect("the store has every key")
            }
            Self::Moka(cache) => cache.get_with(key, store.read(key)).await,
            Self::QuickCache(cache) => {
                let read = async { Ok::<_, Infallible>(store.read(key).await) };
                cache
                    .get_or_insert_async(&key, read)
                    .await
                    .expect("the store answers")
            }
        }
    }
}

/// The figures of one cache.
#[derive(Default)]
struct CacheFigures {
    /// Seconds until all tasks have the value of one cold key, one figure for each round.
    one_key_seconds: Vec<f64>,
    /// Seconds until each task has the value of a different cold key, one figure for each round.
    own_key_seconds: Vec<f64>,
    /// The maximum number of loads in a round in which all tasks read one key.
    one_key_loads: usize,
    /// The maximum number of loads in a round in which each task reads a different key.
    own_key_loads: usize,
}

/// The figures of one herd, which is all tasks reading at the same time.
struct Herd {
    /// Seconds until all tasks have their values.
    seconds: f64,
    /// The number of loads.
    loads: usize,
}

/// Measures the times and the numbers of loads, in rounds.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let rounds = mode.choose(31, 9);
    let progress = progress_bar("caches", NAMES.len());
    let runtime = start_runtime();
    let mut caches = Vec::new();
    for position in 0..NAMES.len() {
        let mut figures = CacheFigures::default();
        let herd = |key| {
            runtime.block_on(async {
                tokio::spawn(run_herd(Subject::new(position), key))
                    .await
                    .expect("no task panics")
            })
        };
        for _ in 0..rounds {
            let one_key = herd(ONE_KEY);
            figures.one_key_seconds.push(one_key.seconds);
            figures.one_key_loads = figures.one_key_loads.max(one_key.loads);
            let own_key = herd(OWN_KEY);
            figures.own_key_seconds.push(own_key.seconds);
            figures.own_key_loads = figures.own_key_loads.max(own_key.loads);
        }
        caches.push(figures);
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(report(&caches, rounds))
}

/// Starts all tasks, each of which reads its key once, and waits for all of them.
async fn run_herd(subject: Subject, key: fn(u64) -> u64) -> Herd {
    let store = SlowStore::default();
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            (
                key(task),
                tokio::spawn(subject.clone().read(key(task), store.clone())),
            )
        })
        .collect();
    for (key, task) in tasks {
        assert_eq!(task.await.expect("no task panics"), key);
    }
    Herd {
        seconds: start.elapsed().as_secs_f64(),
        // Relaxed: each load ended before its task, and this function has joined all tasks.
        loads: store.0.load(Ordering::Relaxed),
    }
}

fn report(caches: &[CacheFigures], rounds: usize) -> Section {
    let title = format!(
        "{TASKS} tasks, store delay {} ms, median of {rounds} rounds",
        STORE_DELAY.as_millis()
    );
    let mut table = Table::new([
        &title,
        "one cold key: loads",
        "one cold key: time, ms",
        "one cold key per task: loads",
        "one cold key per task: time, ms",
        "one cold key per task: time / store delay",
    ]);
    let mut raw = Vec::new();
    for (name, figures) in NAMES.into_iter().zip(caches) {
        let millis = |rounds: &[f64]| format!("{:.1}", Estimate::from_rounds(rounds).median * 1e3);
        table.row([
            name.to_owned(),
            figures.one_key_loads.to_string(),
            millis(&figures.one_key_seconds),
            figures.own_key_loads.to_string(),
            millis(&figures.own_key_seconds),
            format!("{:.2}", figures.relative_own_key_time().median),
        ]);
        raw.push(json!({
            "cache": name,
            "one_key_seconds": figures.one_key_seconds,
            "own_key_seconds": figures.own_key_seconds,
            "loads": [figures.one_key_loads, figures.own_key_loads],
        }));
    }
    let region = &caches[0];
    Section {
        tables: vec![table],
        ratios: vec![
            Ratio::new(
                format!("loads for {TASKS} tasks that read one cold key"),
                Estimate::exact(float(region.one_key_loads)),
                Goal::AtMost(1.0),
            ),
            Ratio::new(
                format!("time for {TASKS} cold keys relative to the store delay"),
                region.relative_own_key_time(),
                Goal::AtMost(10.0),
            ),
        ],
        raw: json!(raw),
        ..Section::default()
    }
}

impl CacheFigures {
    /// Returns the time of a round in which each task reads a different key, relative to the time
    /// of one load.
    fn relative_own_key_time(&self) -> Estimate {
        let ratios: Vec<_> = self
            .own_key_seconds
            .iter()
            .map(|seconds| seconds / STORE_DELAY.as_secs_f64())
            .collect();
        Estimate::from_rounds(&ratios)
    }
}
