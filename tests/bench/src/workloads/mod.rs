//! Workloads of polled rooms and answering agents, cached and uncached. All runs use one store and
//! one connection pool. The uncached run is the same program with every region switched off.
//!
//! The TTLs use a manual clock, and each operation has a scheduled time on this clock. Operations
//! run one after the other, so the statements and file reads between two moments belong to one
//! operation. The program's periodic work follows the same clock.
//!
//! Cached runs last a multiple of the longest TTL, so that entries expire at their long-term rate.
//! Uncached runs are shorter, because nothing expires. The runs are compared by their figures per
//! operation.

mod cache_mode;
mod contexts;
mod operations;
mod personas;
mod polling;
mod program;
mod report;
mod results;
mod sample;
mod workload_bench;

use cache_adapter::Preset;
use indicatif::ProgressBar;
use serde_json::json;
use tests::postgres;

use crate::{
    counter::Counter,
    error::BenchError,
    report::section::Section,
    run_mode::{RunMode, progress_bar, start_runtime},
    store,
};
use cache_mode::{ByMode, CacheMode};
use polling::AccessPath;
use results::ModeResults;
use sample::SampleRooms;
use workload_bench::WorkloadBench;

/// The longest TTL of the preset `coherent`, in seconds.
const LONGEST_TTL: u64 = 900;
/// The number of workloads that run in each cache mode.
const WORKLOADS: usize = 5;

/// Measures all workloads on SQLite and on PostgreSQL. Fails without PostgreSQL.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    start_runtime().block_on(async {
        let mut section = Section {
            raw: json!({}),
            ..Section::default()
        };
        measure_backend(mode, "SQLite", None, &mut section).await;
        let database = postgres::database("the workloads on PostgreSQL").await;
        let database = database.ok_or(BenchError::NoPostgres)?;
        measure_backend(mode, "PostgreSQL", Some(database), &mut section).await;
        Ok(section)
    })
}

/// Measures one backend and adds the results to the section. If `database` is `None`, uses SQLite.
async fn measure_backend(
    mode: RunMode,
    backend: &str,
    database: Option<String>,
    section: &mut Section,
) {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let database = database.unwrap_or_else(|| store::sqlite_address(folder.path()));
    let store = store::open(&database, folder.path()).await;
    let sample = SampleRooms::create(&store).await;
    let counter = Counter::global();
    let new_bench =
        |cache_mode| WorkloadBench::new(&store, folder.path(), cache_mode, &sample, &counter);
    let progress = progress_bar(backend, 3 * WORKLOADS);
    let measure = |cache_mode| measure_mode(mode, cache_mode, &new_bench, &progress);
    let results = ByMode {
        uncached: measure(CacheMode::Uncached).await,
        classic: measure(CacheMode::Cached(Preset::Classic)).await,
        coherent: measure(CacheMode::Cached(Preset::Coherent)).await,
    };
    progress.finish_and_clear();
    let uncached = &results.uncached;
    assert!(
        uncached.polling.reads().selects > 0
            && uncached.polling.all().file_reads > 0
            && uncached.program.count.selects > 0,
        "the uncached run must run statements; without them the counter does not work"
    );
    report::add(backend, &results, section);
}

/// Runs all workloads in one cache mode, each with an empty cache.
async fn measure_mode(
    mode: RunMode,
    cache_mode: CacheMode,
    new_bench: impl Fn(CacheMode) -> WorkloadBench,
    progress: &ProgressBar,
) -> ModeResults {
    let seconds = match cache_mode {
        CacheMode::Uncached => mode.choose(300, 30),
        CacheMode::Cached(_) => mode.choose(2 * LONGEST_TTL, LONGEST_TTL),
    };
    // Answers take the longest time, because they write. A quick run of them is shorter than one
    // TTL.
    let answer_seconds = mode.choose(seconds, seconds.min(LONGEST_TTL / 5));
    let bench = || new_bench(cache_mode);
    let polling = polling::run(&bench(), AccessPath::Port, seconds).await;
    progress.inc(1);
    let http_polling = polling::run(&bench(), AccessPath::Http, mode.choose(60, 20)).await;
    progress.inc(1);
    let contexts = contexts::run(&bench(), answer_seconds).await;
    progress.inc(1);
    let program = program::run(&bench(), answer_seconds.min(LONGEST_TTL)).await;
    progress.inc(1);
    let personas = personas::run(&bench(), seconds).await;
    progress.inc(1);
    ModeResults {
        polling,
        http_polling,
        contexts,
        program,
        personas,
    }
}
