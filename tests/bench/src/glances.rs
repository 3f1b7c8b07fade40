//! CPU time of reads of one hot key, with one thread and with two, with and without a writer, and
//! of reads of a million keys.
//!
//! Every contestant reads the same fact of a value, its id. Those that hand out values clone an
//! `Arc`; the others read under their lock, or in memory of the thread alone.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{
        Arc, Barrier, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cache_core::{Manager, Policy, Region, Runtime, Unknown};
use conformance::peers::ReadAll;
use domain::{Room, RoomId, RoomName, Timestamp, UserId};
use quick_cache::DefaultHashBuilder;
use serde_json::{Value, json};

use crate::{
    measure::{Estimate, float, micros, ratios, thread_cpu_time, uniform},
    report::{
        ratio::{Goal, Ratio},
        table::Table,
    },
    run_mode::{RunMode, progress_bar},
};

const TTL: Duration = Duration::from_hours(1);
/// The number of keys of the caches whose hot key is read.
const KEYS: usize = 10_000;
/// The number of keys that are read in random order.
const MANY_KEYS: usize = 1_000_000;
/// The key that all threads read.
const HOT: RoomId = RoomId(4_711);
/// The pause between two changes, which takes about a millisecond with the change.
const PAUSE: Duration = Duration::from_micros(940);
/// The number of rounds after which all caches are created anew.
const ROUNDS_PER_SET: usize = 4;

/// The index of the raw store in the list of contestants.
const RAW: usize = 0;
/// The index of the front in the list of contestants.
const FRONT: usize = 2;

/// A cache, and how it is read and changed.
struct Contestant {
    name: &'static str,
    read_all: ReadAll<RoomId>,
    /// Removes and inserts the value of a key.
    change: Box<dyn Fn(RoomId) + Send + Sync>,
}

/// Creates a [`Contestant`] from a filled cache. The macro generates a loop for each, so that the
/// loop calls the look-up directly.
macro_rules! contestant {
    (
        $name:expr,
        $cache:ident = $filled:expr,
        |$key:ident| $look_up:expr,
        |$changed:ident| $change:expr
    ) => {{
        let $cache = $filled;
        Contestant {
            name: $name,
            read_all: {
                let $cache = $cache.clone();
                Box::new(move |keys| {
                    for $key in keys {
                        black_box($look_up);
                    }
                })
            },
            change: Box::new(move |$changed| $change),
        }
    }};
}

/// The CPU time per read in nanoseconds, one figure for each round.
#[derive(Clone, Default)]
struct ReadTimes {
    one_thread: Vec<f64>,
    two_threads: Vec<f64>,
}

/// The reads that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Hot,
    /// Of the hot key, which a thread changes a thousand times a second.
    HotAndChanged,
    /// Of a million keys in random order.
    Uniform,
}

impl Reads {
    const ALL: [Self; 3] = [Self::Hot, Self::HotAndChanged, Self::Uniform];

    fn keys(self) -> usize {
        match self {
            Self::Hot | Self::HotAndChanged => KEYS,
            Self::Uniform => MANY_KEYS,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Hot => "one hot key",
            Self::HotAndChanged => "one hot key, changed 1,000 times a second",
            Self::Uniform => "1,000,000 keys, uniform",
        }
    }
}

/// Measures all reads. Returns tables, ratios with goals, and the raw figures.
pub(crate) fn measure(mode: RunMode) -> (Vec<Table>, Vec<Ratio>, Value) {
    let (mut tables, mut ratios, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for reads in Reads::ALL {
        let rounds = match reads {
            Reads::Uniform => mode.choose(7, 3),
            _ => mode.choose(21, 7),
        };
        let (names, times) = measure_reads(reads, rounds, mode.choose(400_000, 100_000));
        tables.push(table(reads, &names, &times));
        if reads == Reads::Hot {
            ratios.extend(hot_ratios(&times));
        }
        for (name, times) in names.iter().zip(times) {
            raw.push(json!({
                "reads": reads.title(),
                "cache": name,
                "one_thread_ns": times.one_thread,
                "two_threads_ns": times.two_threads,
            }));
        }
    }
    (tables, ratios, json!(raw))
}

fn measure_reads(reads: Reads, rounds: usize, count: usize) -> (Vec<&'static str>, Vec<ReadTimes>) {
    let keys = match reads {
        Reads::Hot | Reads::HotAndChanged => vec![HOT; count],
        Reads::Uniform => uniform(MANY_KEYS, count),
    };
    let mut contestants = contestants(reads.keys());
    let mut times = vec![ReadTimes::default(); contestants.len()];
    let progress = progress_bar(reads.title(), rounds);
    for round in 0..rounds {
        // A million values are created once, because that takes longer than to read them.
        if round > 0 && round % ROUNDS_PER_SET == 0 && reads != Reads::Uniform {
            contestants = self::contestants(reads.keys());
        }
        for (contestant, times) in contestants.iter().zip(&mut times) {
            // Untimed, because the reads of the previous contestant filled the processor's caches.
            (contestant.read_all)(&keys[..keys.len() / 2]);
            while_changed(contestant, reads == Reads::HotAndChanged, || {
                times.one_thread.push(time_reads(contestant, &keys));
                times.two_threads.push(time_two(contestant, &keys));
            });
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let names = contestants.iter().map(|contestant| contestant.name);
    (names.collect(), times)
}

/// Runs `measure`, and changes the hot key meanwhile if `is_changed`.
fn while_changed(contestant: &Contestant, is_changed: bool, measure: impl FnOnce()) {
    let is_over = AtomicBool::new(!is_changed);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                (contestant.change)(HOT);
                thread::sleep(PAUSE);
            }
        });
        measure();
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Returns the mean CPU time per read of this thread, in nanoseconds.
fn time_reads(contestant: &Contestant, keys: &[RoomId]) -> f64 {
    let start = thread_cpu_time();
    (contestant.read_all)(keys);
    let time = thread_cpu_time().saturating_sub(start);
    micros(time) * 1e3 / float(keys.len())
}

/// Returns the mean CPU time per read of two threads that read at the same time.
fn time_two(contestant: &Contestant, keys: &[RoomId]) -> f64 {
    let (start, measured) = (Barrier::new(2), AtomicUsize::new(0));
    let read = |keys: &[RoomId]| {
        start.wait();
        (contestant.read_all)(&keys[..keys.len() / 4]);
        let time = time_reads(contestant, keys);
        // The other thread is not alone while it is measured.
        measured.fetch_add(1, Ordering::SeqCst);
        while measured.load(Ordering::SeqCst) < 2 {
            (contestant.read_all)(&keys[..keys.len().min(1_000)]);
        }
        time
    };
    let (first, second) = keys.split_at(keys.len() / 2);
    thread::scope(|scope| {
        let first = scope.spawn(|| read(first));
        let second = read(second);
        f64::midpoint(first.join().expect("a reader does not panic"), second)
    })
}

fn table(reads: Reads, names: &[&str], times: &[ReadTimes]) -> Table {
    let rounds = times[RAW].one_thread.len();
    let mut table = Table::new([
        &format!(
            "CPU time per read, {}, median of {rounds} rounds",
            reads.title()
        ),
        "1 thread, ns",
        "relative to raw",
        "2 threads, ns",
        "2 threads relative to 1",
    ]);
    for (name, of_cache) in names.iter().zip(times) {
        let median = |rounds: &[f64]| Estimate::from_rounds(rounds).median;
        let ReadTimes {
            one_thread,
            two_threads,
        } = of_cache;
        table.row([
            (*name).to_owned(),
            format!("{:.1}", median(one_thread)),
            format!("{:.2}", median(&ratios(one_thread, &times[RAW].one_thread))),
            format!("{:.1}", median(two_threads)),
            format!("{:.2}", median(&ratios(two_threads, one_thread))),
        ]);
    }
    table
}

fn hot_ratios(times: &[ReadTimes]) -> [Ratio; 2] {
    let (raw, front) = (&times[RAW], &times[FRONT]);
    [
        Ratio::new(
            "time of a glance at a hot key relative to raw quick_cache",
            Estimate::from_rounds(&ratios(&front.one_thread, &raw.one_thread)),
            Goal::AtMost(0.4),
        ),
        Ratio::new(
            "time of a glance at a hot key with two threads relative to one",
            Estimate::from_rounds(&ratios(&front.two_threads, &front.one_thread)),
            Goal::AtMost(1.1),
        ),
    ]
}

fn room(id: RoomId) -> Arc<Room> {
    Arc::new(Room {
        id,
        owner: UserId::admin(),
        name: RoomName::parse("tea").expect("the name is valid"),
        direct_agent: None,
        max_interactions: None,
        is_paused: false,
        finished_seq: None,
        last_error: None,
        created_at: Timestamp::default(),
        version: 1,
    })
}

fn contestants(keys: usize) -> Vec<Contestant> {
    let count = i64::try_from(keys).expect("the number of keys is small");
    let rooms = || (1..=count).map(RoomId).map(|id| (id, room(id)));
    let raw = Arc::new(quick_cache::sync::Cache::<RoomId, Arc<Room>>::new(2 * keys));
    rooms().for_each(|(id, room)| raw.insert(id, room));
    let manager = Manager::new(
        Runtime::new(cache_core::Clock::real(), drop),
        Unknown::Never,
    );
    let policy = Policy::new(TTL, 2 * keys as u64);
    let region: Region<RoomId, Arc<Room>> = manager.region("rooms", policy);
    rooms().for_each(|(id, room)| assert!(region.insert(id, room), "no write is open"));
    let front = Arc::new((region.clone(), region.front(Some)));
    let hashed: HashMap<RoomId, Arc<Room>, DefaultHashBuilder> = rooms().collect();
    let locked = Arc::new(RwLock::new(hashed));
    let sharded: dashmap::DashMap<RoomId, Arc<Room>, DefaultHashBuilder> = rooms().collect();
    let sharded = Arc::new(sharded);
    let lock_free: papaya::HashMap<RoomId, Arc<Room>, DefaultHashBuilder> = rooms().collect();
    let lock_free = Arc::new(lock_free);
    let moka = moka::sync::Cache::builder()
        .max_capacity(2 * keys as u64)
        .time_to_live(TTL)
        .build();
    rooms().for_each(|(id, room)| moka.insert(id, room));
    vec![
        contestant!(
            "quick_cache, raw",
            cache = raw,
            |key| cache.get(key).map(|room| room.id),
            |key| {
                cache.remove(&key);
                cache.insert(key, room(key));
            }
        ),
        contestant!(
            "`Region::look_up`",
            region = region,
            |key| region
                .look_up(key)
                .and_then(|read| read.value)
                .map(|room| room.id),
            |key| {
                region.remove(&key);
                region.insert(key, room(key));
            }
        ),
        contestant!(
            "`Front::glance`",
            cache = front,
            |key| cache
                .1
                .glance(key, |room: &Arc<Room>| Some(room.id))
                .and_then(|read| read.value),
            |key| {
                cache.0.remove(&key);
                cache.0.insert(key, room(key));
            }
        ),
        contestant!(
            "moka, sync",
            cache = moka,
            |key| cache.get(key).map(|room| room.id),
            |key| {
                cache.invalidate(&key);
                cache.insert(key, room(key));
            }
        ),
        contestant!(
            "DashMap",
            map = sharded,
            |key| map.get(key).map(|room| room.id),
            |key| {
                map.remove(&key);
                map.insert(key, room(key));
            }
        ),
        contestant!(
            "papaya",
            map = lock_free,
            |key| map.pin().get(key).map(|room| room.id),
            |key| {
                map.pin().remove(&key);
                map.pin().insert(key, room(key));
            }
        ),
        contestant!(
            "`RwLock<HashMap>`",
            map = locked,
            |key| map
                .read()
                .expect("no holder panics")
                .get(key)
                .map(|room| room.id),
            |key| {
                map.write().expect("no holder panics").remove(&key);
                map.write()
                    .expect("no holder panics")
                    .insert(key, room(key));
            }
        ),
    ]
}
