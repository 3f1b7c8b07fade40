//! Time per hit: the region and the decorated port against the raw store beneath them, in one run.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use cache_adapter::{Cache, Options};
use cache_core::{Manager, Policy, Runtime};
use domain::{NewRoom, Repositories, Room, RoomId, RoomName, UserId};

/// As the program is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 10_000;
const READS: usize = 400_000;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(21_usize).max(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
    runtime.block_on(run(rounds));
}

async fn run(rounds: usize) {
    let keys = zipf();
    let raw = quick_cache::sync::Cache::<RoomId, Arc<Room>>::new(KEYS * 2);
    let manager = Manager::builder(Runtime::tokio()).build();
    let region = manager.region::<RoomId, Arc<Room>>("rooms", Policy::new(Duration::from_hours(1), 100_000));
    let store = domain::contract::memory::repositories();
    let options = Options { ttls: [("room_obj".to_owned(), Duration::from_hours(1))].into(), ..Options::default() };
    let cached = Cache::new(store, options).repositories;
    for key in 0..KEYS {
        let name = RoomName::parse(&key.to_string()).expect("digits are a name");
        let room = cached.rooms.create(NewRoom { owner: UserId::admin(), name, max_interactions: None }).await.expect("memory takes it");
        // The same values everywhere: what differs is how they are reached.
        let room = cached.rooms.find(room.id).await.expect("memory answers").expect("it was made");
        raw.insert(room.id, room.clone());
        assert!(region.insert(room.id, room), "nothing is written");
    }
    let warm = ports(&cached, &keys).await;
    eprintln!("warm: {warm:?} per read");
    let (mut bare, mut regions, mut decorated) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        bare.push(time(&keys, |key| drop(black_box(raw.get(&key)))));
        regions.push(time(&keys, |key| drop(black_box(region.look_up(&key)))));
        decorated.push(ports(&cached, &keys).await);
        eprint!("\rround {} of {rounds}", round + 1);
    }
    eprintln!();
    let unit = median(&mut bare);
    println!("| per hit, 1 thread, Zipf 0.99, {KEYS} keys, median of {rounds} | ns | times raw |\n|---|---|---|");
    for (name, mut times) in [("quick_cache, raw", bare), ("Region::look_up", regions), ("Rooms::find behind Arc<dyn Rooms>", decorated)] {
        let time = median(&mut times);
        println!("| {name} | {time:.1} | {:.2} |", time / unit);
    }
}

fn time(keys: &[RoomId], mut read: impl FnMut(RoomId)) -> f64 {
    let began = Instant::now();
    for key in keys {
        read(*key);
    }
    per_read(began.elapsed(), keys.len())
}

async fn ports(cached: &Repositories, keys: &[RoomId]) -> f64 {
    let began = Instant::now();
    for key in keys {
        black_box(cached.rooms.find(*key).await.expect("memory answers"));
    }
    per_read(began.elapsed(), keys.len())
}

#[expect(clippy::cast_precision_loss, reason = "a mean time")]
fn per_read(took: Duration, reads: usize) -> f64 {
    took.as_nanos() as f64 / reads as f64
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
        RoomId(i64::try_from(sums.partition_point(|reached| *reached < share)).expect("small") + 1)
    };
    (0..READS).map(|_| draw()).collect()
}
