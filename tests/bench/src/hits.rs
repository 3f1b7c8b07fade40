//! Time and allocated bytes per hit of a region and of a cached port, compared with the raw store
//! that the region uses and with other caches in the same run.

use std::{thread, time::Instant};

use conformance::peers::Filled;
use domain::RoomId;
use serde_json::json;

use crate::{
    allocations::{self, Allocation},
    contestants::{self, KEYS, PORT, RAW, REGION},
    error::BenchError,
    glances,
    measure::{Estimate, float, percentile, ratios, zipf},
    report::{
        plot::{Bar, BarColor, Figures, Plot},
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar, start_runtime},
};

/// The number of reads of each cache in a round.
const READS: usize = 400_000;
/// The number of concurrent readers. The machine of the committed results has two cores.
const THREADS: usize = 2;
/// The number of rounds after which all caches are created anew. Hash seeds and memory addresses
/// change a figure by some percent, so one set of caches would give biased figures.
const ROUNDS_PER_SET: usize = 4;

/// The times per read of one cache in nanoseconds, one figure for each round.
#[derive(Clone, Default)]
struct HitTimes {
    one_thread: Vec<f64>,
    two_threads: Vec<f64>,
}

/// Measures hits of all caches in turn, round by round.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let rounds = mode.choose(31, 9);
    let runtime = start_runtime();
    let reads = mode.choose(READS, READS / 4);
    let keys = zipf(KEYS, reads);
    let mut contestants = runtime.block_on(contestants::all());
    let mut times = vec![HitTimes::default(); contestants.len()];
    let progress = progress_bar("rounds", rounds);
    for round in 0..rounds {
        if round > 0 && round % ROUNDS_PER_SET == 0 {
            contestants = runtime.block_on(contestants::all());
        }
        for (contestant, times) in contestants.iter().zip(&mut times) {
            // The reads of the previous contestant filled the processor's caches with its data.
            // These untimed reads replace that data with the data of this contestant.
            (contestant.read_all)(&keys[..keys.len() / 2]);
            times.one_thread.push(time_reads(contestant, &keys));
            times.two_threads.push(time_threads(contestant, &keys));
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let allocations = allocations::count("hits")?;
    let mut section = report(&contestants, &times, &allocations);
    drop(contestants);
    let (tables, ratios, raw) = glances::measure(mode);
    section.tables.extend(tables);
    section.ratios.extend(ratios);
    section.raw = json!({ "hits": section.raw, "glances": raw });
    Ok(section)
}

/// Returns the mean time per read, in nanoseconds.
fn time_reads(contestant: &Filled<RoomId>, keys: &[RoomId]) -> f64 {
    let start = Instant::now();
    (contestant.read_all)(keys);
    start.elapsed().as_secs_f64() * 1e9 / float(keys.len())
}

/// Returns the mean time per read of the slowest of several threads, in nanoseconds. Each thread
/// reads its own part of the keys.
fn time_threads(contestant: &Filled<RoomId>, keys: &[RoomId]) -> f64 {
    let length = keys.len() / THREADS;
    let times = thread::scope(|scope| {
        let readers: Vec<_> = keys
            .chunks(length)
            .take(THREADS)
            .map(|keys| scope.spawn(|| time_reads(contestant, keys)))
            .collect();
        readers
            .into_iter()
            .map(|thread| thread.join().expect("a reader does not panic"))
            .collect::<Vec<_>>()
    });
    times.into_iter().fold(0.0, f64::max)
}

fn report(
    contestants: &[Filled<RoomId>],
    times: &[HitTimes],
    allocations: &[Allocation],
) -> Section {
    let title = format!(
        "time per hit, Zipf 0.99, {KEYS} keys, median of {} rounds",
        times[0].one_thread.len()
    );
    let mut table = Table::new([
        &title,
        "1 thread, ns",
        "relative to raw",
        "bytes allocated",
        "2 threads, ns (25th to 75th percentile)",
    ]);
    let raw_times = &times[RAW].one_thread;
    let mut bars = Vec::new();
    for (position, contestant) in contestants.iter().enumerate() {
        let HitTimes {
            one_thread,
            two_threads,
        } = &times[position];
        let median = Estimate::from_rounds(one_thread).median;
        table.row([
            contestant.name.to_owned(),
            format!("{median:.1}"),
            format!(
                "{:.2}",
                Estimate::from_rounds(&ratios(one_thread, raw_times)).median
            ),
            format!("{:.0}", allocations[position].bytes),
            format!(
                "{:.0} to {:.0}",
                percentile(two_threads, 25.0),
                percentile(two_threads, 75.0)
            ),
        ]);
        bars.push(Bar {
            name: contestant.name.replace('`', ""),
            value: median,
            color: if [REGION, PORT].contains(&position) {
                BarColor::Greenroom
            } else {
                BarColor::Other
            },
        });
    }
    let raw_figures: Vec<_> = contestants
        .iter()
        .zip(times)
        .map(|(contestant, times)| {
            json!({
                "cache": contestant.name,
                "one_thread_ns": times.one_thread,
                "two_threads_ns": times.two_threads,
            })
        })
        .collect();
    Section {
        tables: vec![table],
        ratios: hit_ratios(contestants, times, allocations),
        plots: vec![Plot {
            file: "hits",
            title: "Nanoseconds per hit, 1 thread".into(),
            figures: Figures::Bars(bars),
        }],
        raw: json!(raw_figures),
    }
}

fn hit_ratios(
    contestants: &[Filled<RoomId>],
    times: &[HitTimes],
    allocations: &[Allocation],
) -> Vec<Ratio> {
    let [raw, region, port] = [RAW, REGION, PORT].map(|position| &times[position].one_thread);
    let fastest_moka = contestants
        .iter()
        .zip(times)
        .filter(|(contestant, _)| contestant.name.starts_with("moka"))
        .map(|(_, times)| &times.one_thread)
        .min_by(|a, b| {
            let [a, b] = [a, b].map(|rounds| Estimate::from_rounds(rounds).median);
            a.total_cmp(&b)
        })
        .expect("moka is one of the contestants");
    vec![
        Ratio::new(
            "time of a region hit relative to raw quick_cache",
            Estimate::from_rounds(&ratios(region, raw)),
            Goal::AtMost(1.25),
        ),
        Ratio::new(
            "time of a port hit relative to raw quick_cache",
            Estimate::from_rounds(&ratios(port, raw)),
            Goal::AtMost(2.0),
        ),
        Ratio::new(
            "time of moka's `get` relative to a port hit",
            Estimate::from_rounds(&ratios(fastest_moka, port)),
            Goal::AtLeast(3.0),
        ),
        Ratio::new(
            "bytes allocated by a region hit",
            Estimate::exact(allocations[REGION].bytes),
            Goal::AtMost(0.0),
        ),
        Ratio::new(
            "bytes allocated by a port hit (boxed future)",
            Estimate::exact(allocations[PORT].bytes),
            Goal::Less,
        ),
    ]
}
