//! Reads of other rooms. They are measured while one room is written a thousand times a second, and
//! while no room is written, in turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cache_adapter::{Cache, Options};
use domain::{RoomChange, RoomId};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::new_room::new_room;
use crate::{
    measure::{Estimate, float, ratios, zipf},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar},
    store::region_stats,
};

const ROOMS: usize = 1_000;
/// The only room that the benchmark writes.
const WRITTEN_ROOM: RoomId = RoomId(1);
const WRITE_INTERVAL: Duration = Duration::from_millis(1);
const ROUND: Duration = Duration::from_millis(500);
/// The number of reads between two checks of the time.
const READS_PER_CHUNK: usize = 1_000;

/// The figures of all rounds.
#[derive(Default)]
struct Figures {
    reads_per_second_without_writes: Vec<f64>,
    reads_per_second_with_writes: Vec<f64>,
    hit_percent: Vec<f64>,
    writes_per_second: Vec<f64>,
}

/// Measures all rounds and adds the results to the section.
pub(super) async fn measure(mode: RunMode, section: &mut Section) {
    let rounds = mode.choose(11, 5);
    let cache = filled_cache().await;
    // Shifted by one, so that no read is of the written room.
    let keys: Vec<_> = zipf(ROOMS - 1, 100_000)
        .into_iter()
        .map(|RoomId(id)| RoomId(id + 1))
        .collect();
    let mut figures = Figures::default();
    let progress = progress_bar("rounds", rounds);
    for _ in 0..rounds {
        figures
            .reads_per_second_without_writes
            .push(reads_per_second(&cache, &keys).await);
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(write_until_stopped(cache.clone(), stop.clone()));
        let before = region_stats(&cache, "room_obj");
        figures
            .reads_per_second_with_writes
            .push(reads_per_second(&cache, &keys).await);
        let after = region_stats(&cache, "room_obj");
        // Relaxed: the flag publishes no other memory.
        stop.store(true, Ordering::Relaxed);
        let write_count = writer.await.expect("the writing task does not panic");
        figures
            .writes_per_second
            .push(float(write_count) / ROUND.as_secs_f64());
        let requests = difference(after.total_requests(), before.total_requests());
        let misses = difference(after.misses, before.misses);
        figures.hit_percent.push(100.0 - 100.0 * misses / requests);
        progress.inc(1);
    }
    progress.finish_and_clear();
    report(&figures, section);
}

async fn filled_cache() -> Cache {
    let cache = Cache::new(contract::memory::repositories(), Options::default());
    let rooms = &cache.repositories.rooms;
    for number in 0..ROOMS {
        let room = rooms.create(new_room(number)).await;
        let room = room.expect("the store accepts the room");
        rooms
            .find(room.id)
            .await
            .expect("the store returns the room");
    }
    cache
}

fn difference(after: u64, before: u64) -> f64 {
    float(usize::try_from(after - before).expect("the number of requests fits"))
}

/// Reads keys on a dedicated thread for one round. Returns the reads per second.
async fn reads_per_second(cache: &Cache, keys: &[RoomId]) -> f64 {
    let rooms = cache.repositories.rooms.clone();
    let keys = keys.to_vec();
    let runtime = tokio::runtime::Handle::current();
    let reader = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let (start, mut reads) = (Instant::now(), 0);
            for chunk in keys
                .chunks(READS_PER_CHUNK)
                .cycle()
                .take_while(|_| start.elapsed() < ROUND)
            {
                for key in chunk {
                    let room = rooms.find(*key).await.expect("the store returns the room");
                    assert!(room.is_some());
                }
                reads += chunk.len();
            }
            float(reads) / start.elapsed().as_secs_f64()
        })
    });
    reader.await.expect("the reading thread does not panic")
}

/// Writes to [`WRITTEN_ROOM`] at each interval until `stop` is set. Returns the number of writes.
async fn write_until_stopped(cache: Cache, stop: Arc<AtomicBool>) -> usize {
    let mut ticks = tokio::time::interval(WRITE_INTERVAL);
    // Late ticks follow immediately after each other, so that the mean rate is kept.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut writes = 0;
    // Relaxed: the flag publishes no other memory.
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        writes += 1;
        let change = RoomChange {
            max_interactions: Some(Some(writes)),
            ..RoomChange::default()
        };
        cache
            .repositories
            .rooms
            .update(WRITTEN_ROOM, change)
            .await
            .expect("the store accepts the change");
    }
    writes as usize
}

fn report(figures: &Figures, section: &mut Section) {
    let median = |rounds: &[f64]| Estimate::from_rounds(rounds).median;
    let relative_reads = ratios(
        &figures.reads_per_second_with_writes,
        &figures.reads_per_second_without_writes,
    );
    let mut table = Table::new([
        "reads of 999 rooms by one thread while another room is written",
        "value",
    ]);
    table.row([
        "writes per second to the other room".into(),
        format!("{:.0}", median(&figures.writes_per_second)),
    ]);
    table.row([
        "hit rate of the 999 rooms".into(),
        format!("{:.4} %", median(&figures.hit_percent)),
    ]);
    table.row([
        "reads per second relative to a round without writes".into(),
        format!("{:.2}", median(&relative_reads)),
    ]);
    section.tables.push(table);
    section.ratios.push(Ratio::new(
        "hit rate of other keys while one key is written 1,000 times per second (%)",
        Estimate::from_rounds(&figures.hit_percent),
        Goal::AtLeast(99.99),
    ));
    section.raw["neighbors"] = json!({
        "reads_per_second_without_writes": figures.reads_per_second_without_writes,
        "reads_per_second_with_writes": figures.reads_per_second_with_writes,
        "hits_percent": figures.hit_percent,
        "writes_per_second": figures.writes_per_second,
    });
}
