//! Sweeps of expired entries, and the longest pause of a concurrent reader.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use cache_core::{Clock, Manager, Policy, Region, Runtime, Unknown};
use serde_json::json;

use crate::{
    measure::{Estimate, micros, percentile},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar, start_runtime},
};

/// The number of unexpired entries, which the reader reads.
const FRESH: u64 = 1_000;
const TTL: Duration = Duration::from_mins(1);

/// The figures of all rounds.
#[derive(Default)]
struct Figures {
    sweep_millis: Vec<f64>,
    /// The reader's longest pause during each sweep.
    pause_micros: Vec<f64>,
    /// The reader's longest pause while another thread computes for the same time without using the
    /// region. It shows how much of a pause is due to the machine.
    baseline_pause_micros: Vec<f64>,
}

/// Measures all rounds and adds the results to the section.
pub(super) fn measure(mode: RunMode, section: &mut Section) {
    let entries = mode.choose(1_000_000_u64, 200_000);
    let rounds = mode.choose(9, 3);
    let (clock, hand) = Clock::manual();
    let runtime = start_runtime();
    let build = async { Manager::new(Runtime::tokio_with(clock), Unknown::Never) };
    let manager = runtime.block_on(build);
    let region: Region<u64, u64> = manager.region("swept", Policy::new(TTL, 2 * entries));
    let insert = |key, value| {
        assert!(
            region.insert(key, value),
            "insertion {key} must succeed while no write is open"
        );
    };
    let mut figures = Figures::default();
    let progress = progress_bar("sweeps", rounds);
    for _ in 0..rounds {
        for key in 0..entries {
            insert(key, key);
        }
        hand.advance(2 * TTL);
        for key in 0..FRESH {
            insert(entries + key, key);
        }
        let mut seconds = 0.0;
        figures
            .pause_micros
            .push(longest_pause_during(&region, entries, &mut || {
                let start = Instant::now();
                let removed = runtime.block_on(manager.cleanup());
                seconds = start.elapsed().as_secs_f64();
                assert!(
                    removed as u64 >= entries,
                    "the sweep must remove {entries} expired entries, removed {removed}"
                );
            }));
        figures
            .baseline_pause_micros
            .push(longest_pause_during(&region, entries, &mut || {
                let start = Instant::now();
                while start.elapsed().as_secs_f64() < seconds {
                    std::hint::spin_loop();
                }
            }));
        figures.sweep_millis.push(seconds * 1e3);
        progress.inc(1);
    }
    progress.finish_and_clear();
    report(&figures, entries, section);
}

/// Reads unexpired entries, whose keys begin at `first`, on a dedicated thread while `work` runs.
/// Returns the longest time between two reads, in microseconds.
fn longest_pause_during(region: &Region<u64, u64>, first: u64, work: &mut dyn FnMut()) -> f64 {
    let stop = AtomicBool::new(false);
    let read = || {
        let (mut longest, mut key, mut last) = (0.0_f64, 0, Instant::now());
        // Relaxed: the flag publishes no other memory.
        while !stop.load(Ordering::Relaxed) {
            key = (key + 1) % FRESH;
            assert!(
                region.look_up(&(first + key)).is_some(),
                "entry {key} must be fresh"
            );
            let now = Instant::now();
            longest = longest.max(micros(now - last));
            last = now;
        }
        longest
    };
    std::thread::scope(|scope| {
        let reader = scope.spawn(read);
        work();
        // Relaxed: the flag publishes no other memory.
        stop.store(true, Ordering::Relaxed);
        reader.join().expect("the reader does not panic")
    })
}

fn report(figures: &Figures, entries: u64, section: &mut Section) {
    let rounds = figures.sweep_millis.len();
    let mut table = Table::new([
        &format!("sweep of {entries} expired entries, {rounds} rounds"),
        "median",
        "longest",
    ]);
    let mut row = |name: &str, values: &[f64]| {
        table.row([
            name.to_owned(),
            format!("{:.1}", Estimate::from_rounds(values).median),
            format!("{:.1}", percentile(values, 100.0)),
        ]);
    };
    row("sweep, ms", &figures.sweep_millis);
    row(
        "longest pause of a reader during the sweep, µs",
        &figures.pause_micros,
    );
    row(
        "longest pause of a reader next to a computing thread, µs",
        &figures.baseline_pause_micros,
    );
    section.tables.push(table);
    let shares: Vec<_> = figures
        .pause_micros
        .iter()
        .zip(&figures.sweep_millis)
        .map(|(pause, sweep)| pause / 1e3 / sweep)
        .collect();
    section.ratios.push(Ratio::new(
        "longest pause of a reader as a share of the sweep",
        Estimate::from_rounds(&shares),
        Goal::AtMost(0.1),
    ));
    section.raw["sweeps"] = json!({
        "entries": entries,
        "sweep_ms": figures.sweep_millis,
        "pause_us": figures.pause_micros,
        "baseline_pause_us": figures.baseline_pause_micros,
    });
}
