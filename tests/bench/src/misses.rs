//! Misses under load: a thousand tasks read one cold key, and a thousand tasks read a key each.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cache_core::{Manager, Policy, Region, Runtime};
use conformance::peers::{Size, moka, quick_cache};
use serde_json::json;

use crate::{
    Run,
    measure::{Estimate, number},
    report::{Goal, Part, Ratio, Table},
};

/// The number of tasks, and of keys.
const TASKS: u64 = 1_000;
/// The time that the store takes to answer.
const STORE_DELAY: Duration = Duration::from_millis(5);
/// Ten times the number of keys, so that no cache evicts.
const SIZE: Size = Size {
    capacity: 10_000,
    ttl: Duration::from_hours(1),
};

/// Maps every task to the same key.
const ONE_KEY: fn(u64) -> u64 = |_| 0;
/// Maps every task to a key of its own.
const OWN_KEY: fn(u64) -> u64 = |task| task;

/// A slow store that counts its loads.
#[derive(Clone, Default)]
struct SlowStore(Arc<AtomicUsize>);

impl SlowStore {
    async fn read(self, key: u64) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(STORE_DELAY).await;
        key
    }
}

#[derive(Clone)]
enum Subject {
    Region(Region<u64, u64>),
    Moka(moka::Cache<u64, u64>),
    QuickCache(Arc<quick_cache::Cache<u64, u64>>),
}

const NAMES: [&str; 3] = [
    "`Region::get_or_load`",
    "moka, `get_with`",
    "quick_cache, `get_or_insert_async`",
];

impl Subject {
    /// Creates the empty cache with the name at this position of [`NAMES`].
    fn new(at: usize) -> Self {
        match at {
            0 => Self::Region(
                Manager::builder(Runtime::tokio())
                    .build()
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
                    .expect("the store has it")
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

/// Measures loads and times, in rounds.
pub fn run(run: Run) -> Result<Part, String> {
    let rounds = run.rounds(31, 9);
    let title = format!(
        "{TASKS} tasks, a store of {} ms, median of {rounds}",
        STORE_DELAY.as_millis()
    );
    let mut table = Table::new([
        &title,
        "one cold key: loads",
        "until all have it, ms",
        "as many cold keys: loads",
        "until all have theirs, ms",
        "times the store's time",
    ]);
    let mut part = Part::default();
    let mut raw = Vec::new();
    let progress = run.progress("caches", 3);
    let runtime = run.runtime();
    for (at, name) in NAMES.into_iter().enumerate() {
        let mut one = Vec::new();
        let mut many = Vec::new();
        let mut loads = (0, 0);
        for _ in 0..rounds {
            for (key, times, loads) in [
                (ONE_KEY, &mut one, &mut loads.0),
                (OWN_KEY, &mut many, &mut loads.1),
            ] {
                let (took, asked) = runtime.block_on(async {
                    tokio::spawn(herd(Subject::new(at), key))
                        .await
                        .expect("no task panics")
                });
                times.push(took);
                *loads = asked.max(*loads);
            }
        }
        progress.inc(1);
        let times: Vec<_> = many
            .iter()
            .map(|took| took / STORE_DELAY.as_secs_f64())
            .collect();
        let millis = |rounds: &[f64]| format!("{:.1}", Estimate::of(rounds).median * 1e3);
        table.row([
            name.to_owned(),
            loads.0.to_string(),
            millis(&one),
            loads.1.to_string(),
            millis(&many),
            format!("{:.2}", Estimate::of(&times).median),
        ]);
        if at == 0 {
            part.ratios = vec![
                Ratio::new(
                    "loads when a thousand tasks ask for one cold key",
                    Estimate::exact(number(loads.0)),
                    Goal::AtMost(1.0),
                ),
                Ratio::new(
                    "a thousand cold keys at once, times the store's time",
                    Estimate::of(&times),
                    Goal::AtMost(10.0),
                ),
            ];
        }
        raw.push(json!({ "who": name, "one_key_seconds": one, "many_keys_seconds": many, "loads": [loads.0, loads.1] }));
    }
    progress.finish_and_clear();
    part.tables.push(table);
    part.raw = json!(raw);
    Ok(part)
}

/// Lets each task read its key. Returns the seconds until all have it, and the number of loads.
async fn herd(subject: Subject, key: fn(u64) -> u64) -> (f64, usize) {
    let store = SlowStore::default();
    let began = Instant::now();
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
    (
        began.elapsed().as_secs_f64(),
        store.0.load(Ordering::SeqCst),
    )
}
