//! Time and bytes per hit: the region and a decorated port against the store beneath them and against other caches, in
//! one run, as each is shipped.

use std::{process::Command, thread, time::Instant};

use conformance::peers::Filled;
use domain::RoomId;
use serde_json::json;

use crate::{
    Run,
    contestants::{self, KEYS},
    measure::{Estimate, number, percentile, ratios, zipf},
    plot::{Kind, Plot},
    report::{Goal, Part, Ratio, Table},
};

const READS: usize = 400_000;
const THREADS: usize = 2;
/// Times raw: a slower region is not accepted.
const FLOOR: f64 = 1.4;
/// Rounds until all are made anew: seeds of hashes and places in memory move a figure by some percent.
const OF_ONE_MAKE: usize = 4;

/// Times per read in nanoseconds, round by round.
type Rounds = Vec<f64>;

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    let rounds = run.rounds(31, 9);
    let runtime = run.runtime();
    let reads = run.size(READS, READS / 4);
    let keys = zipf(KEYS, reads);
    let mut contestants = runtime.block_on(contestants::all());
    let mut times: Vec<(Rounds, Rounds)> = vec![Default::default(); contestants.len()];
    let progress = run.progress("rounds", rounds);
    for round in 0..rounds {
        if round > 0 && round % OF_ONE_MAKE == 0 {
            contestants = runtime.block_on(contestants::all());
        }
        for (contestant, (alone, together)) in contestants.iter().zip(&mut times) {
            // What the others left in the processor's caches is not the contestant's doing.
            (contestant.read_all)(&keys[..keys.len() / 2]);
            alone.push(time(contestant, &keys));
            together.push(on_threads(contestant, &keys));
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let bytes = bytes_per_hit()?;
    let part = report(&contestants, &times, &bytes);
    let Estimate { low, .. } = part.ratios[0].found;
    if low > FLOOR {
        Err(format!(
            "a hit of the region takes {low:.2} times raw quick_cache, more than {FLOOR}"
        ))
    } else {
        Ok(part)
    }
}

fn time(contestant: &Filled<RoomId>, keys: &[RoomId]) -> f64 {
    let began = Instant::now();
    (contestant.read_all)(keys);
    began.elapsed().as_secs_f64() * 1e9 / number(keys.len())
}

/// The same by several threads at a time, which read other parts of the same keys.
fn on_threads(contestant: &Filled<RoomId>, keys: &[RoomId]) -> f64 {
    let part = keys.len() / THREADS;
    let times = thread::scope(|scope| {
        let reading: Vec<_> = keys
            .chunks(part)
            .take(THREADS)
            .map(|keys| scope.spawn(|| time(contestant, keys)))
            .collect();
        reading
            .into_iter()
            .map(|thread| thread.join().expect("a reader does not panic"))
            .collect::<Vec<_>>()
    });
    times.into_iter().fold(0.0, f64::max)
}

/// Counted by a program of its own, since counting would slow what is timed.
pub fn counted(what: &str) -> Result<Vec<(String, f64)>, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(this.with_file_name("allocations"))
        .arg(what)
        .output()
        .map_err(|error| format!("allocations: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "allocations failed: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("allocations: {error}"))
}

fn bytes_per_hit() -> Result<Vec<f64>, String> {
    Ok(counted("hits")?
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect())
}

fn report(contestants: &[Filled<RoomId>], times: &[(Rounds, Rounds)], bytes: &[f64]) -> Part {
    let title = format!(
        "per hit, Zipf 0.99, {KEYS} keys, median of {}",
        times[0].0.len()
    );
    let mut table = Table::new([
        &title,
        "1 thread, ns",
        "times raw",
        "bytes allocated",
        "2 threads, ns, middle half",
    ]);
    let raw = &times[contestants::RAW].0;
    let mut bars = Vec::new();
    for ((contestant, (alone, together)), bytes) in contestants.iter().zip(times).zip(bytes) {
        let (time, ratio) = (
            Estimate::of(alone).median,
            Estimate::of(&ratios(alone, raw)).median,
        );
        let (low, high) = (percentile(together, 25.0), percentile(together, 75.0));
        table.row([
            contestant.name.to_owned(),
            format!("{time:.1}"),
            format!("{ratio:.2}"),
            format!("{bytes:.0}"),
            format!("{low:.0} to {high:.0}"),
        ]);
        bars.push((
            contestant.name.replace('`', ""),
            time,
            contestants::OURS.contains(&bars.len()),
        ));
    }
    let [region, decorated] = contestants::OURS.map(|at| &times[at].0);
    let moka = (0..contestants.len())
        .filter(|at| contestants[*at].name.starts_with("moka"))
        .map(|at| &times[at].0);
    let quickest = moka
        .min_by(|a, b| Estimate::of(a).median.total_cmp(&Estimate::of(b).median))
        .expect("moka is here");
    let [of_region, of_port] = contestants::OURS.map(|at| bytes[at]);
    Part {
        tables: vec![table],
        ratios: vec![
            Ratio::new(
                "a hit of the region, times raw quick_cache",
                Estimate::of(&ratios(region, raw)),
                Goal::AtMost(1.25),
            ),
            Ratio::new(
                "a hit of the decorated port, times raw quick_cache",
                Estimate::of(&ratios(decorated, raw)),
                Goal::AtMost(2.0),
            ),
            Ratio::new(
                "moka's bare get, times the decorated port",
                Estimate::of(&ratios(quickest, decorated)),
                Goal::AtLeast(3.0),
            ),
            Ratio::new(
                "bytes allocated by a hit of the region",
                Estimate::exact(of_region),
                Goal::AtMost(0.0),
            ),
            Ratio::new(
                "bytes allocated by a hit of the port, its boxed future",
                Estimate::exact(of_port),
                Goal::Less,
            ),
        ],
        plots: vec![Plot {
            file: "hits",
            title: "Nanoseconds per hit, 1 thread".into(),
            kind: Kind::Bars(bars),
        }],
        raw: json!(
            contestants
                .iter()
                .zip(times)
                .map(|(contestant, times)| (contestant.name, times))
                .collect::<Vec<_>>()
        ),
    }
}
