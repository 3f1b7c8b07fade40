//! Time per hit: the region and a decorated port against the store beneath them and against other caches, in one run, as
//! each is shipped.

mod contestants;

use std::{
    thread,
    time::{Duration, Instant},
};

use contestants::{Contestant, KEYS, OURS, RAW};
use domain::RoomId;

/// As the program is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const READS: usize = 400_000;
const THREADS: usize = 2;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(21_usize).max(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be started");
    let contestants = runtime.block_on(contestants::all());
    let keys = zipf();
    let (mut alone, mut together) = (vec![Vec::new(); contestants.len()], vec![Vec::new(); contestants.len()]);
    for round in 0..=rounds {
        for (at, contestant) in contestants.iter().enumerate() {
            let (one, two) = (time(contestant, &keys), on_threads(contestant, &keys));
            // The first round warms up.
            if round > 0 {
                alone[at].push(one);
                together[at].push(two);
            }
        }
        eprint!("\rround {round} of {rounds} ");
    }
    eprintln!();
    report(&contestants, &mut alone, &mut together, rounds);
}

fn time(contestant: &Contestant, keys: &[RoomId]) -> f64 {
    let began = Instant::now();
    (contestant.read)(keys);
    per_read(began.elapsed(), keys.len())
}

/// The same by several threads at a time, which read other parts of the same keys.
fn on_threads(contestant: &Contestant, keys: &[RoomId]) -> f64 {
    let part = keys.len() / THREADS;
    let times = thread::scope(|scope| {
        let reading: Vec<_> = keys.chunks(part).take(THREADS).map(|keys| scope.spawn(|| time(contestant, keys))).collect();
        reading.into_iter().map(|thread| thread.join().expect("a reader does not panic")).collect::<Vec<_>>()
    });
    times.into_iter().fold(0.0, f64::max)
}

#[expect(clippy::cast_precision_loss, reason = "a mean time")]
fn per_read(took: Duration, reads: usize) -> f64 {
    took.as_nanos() as f64 / reads as f64
}

fn report(contestants: &[Contestant], alone: &mut [Vec<f64>], together: &mut [Vec<f64>], rounds: usize) {
    println!("| per hit, Zipf 0.99, {KEYS} keys, median of {rounds} | 1 thread, ns | times raw | {THREADS} threads, ns, middle half |");
    println!("|---|---|---|---|");
    let raw = median(&mut alone[RAW]);
    for ((contestant, alone), together) in contestants.iter().zip(alone.iter_mut()).zip(together) {
        let time = median(alone);
        together.sort_by(f64::total_cmp);
        let (low, high) = (together[together.len() / 4], together[together.len() * 3 / 4]);
        println!("| {} | {time:.1} | {:.2} | {low:.0} to {high:.0} |", contestant.name, time / raw);
    }
    let [region, port] = OURS.map(|at| median(&mut alone[at]));
    let quickest_moka = (0..contestants.len())
        .filter(|at| contestants[*at].name.starts_with("moka"))
        .map(|at| median(&mut alone[at]))
        .fold(f64::MAX, f64::min);
    println!();
    verdict("the region", region / raw, 1.25);
    verdict("the decorated port", port / raw, 2.0);
    println!("The decorated port is {:.1} times as fast as moka's bare `get` (goal: 3).", quickest_moka / port);
}

fn verdict(who: &str, times: f64, goal: f64) {
    let how = if times <= goal { "within" } else { "beyond" };
    println!("For {who}: {times:.2} times raw, {how} the goal of {goal}.");
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Keys by Zipf's law with exponent 0.99, the same in each run.
#[expect(clippy::cast_precision_loss, reason = "shares of a distribution")]
fn zipf() -> Vec<RoomId> {
    let mut sums = Vec::with_capacity(KEYS);
    let mut sum = 0.0;
    for rank in 1..=KEYS {
        sum += 1.0 / (rank as f64).powf(0.99);
        sums.push(sum);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let share = (state >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        RoomId(i64::try_from(sums.partition_point(|reached| *reached < share)).expect("few") + 1)
    };
    (0..READS).map(|_| draw()).collect()
}
