//! The time per write in memory and on SQLite, with and without the cache in turn.

use std::time::Instant;

use cache_adapter::{Cache, Options};
use domain::{NewMessage, Repositories, RoomId, UserId};
use indicatif::ProgressBar;
use serde_json::json;

use super::new_room::new_room;
use crate::{
    measure::{Estimate, float, micros, ratios},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar},
    store,
};

/// The number of read positions that are written in a round in memory.
const WRITES: usize = 2_000;
/// The number of read positions that are written in a round on SQLite. It is smaller, because a
/// write on SQLite takes hundreds of microseconds.
const SQLITE_WRITES: usize = WRITES / 10;
/// The number of read positions that are written for each message. Messages are fewer, because they
/// stay in the store and would fill it.
const READ_POSITIONS_PER_MESSAGE: usize = 4;

/// The times per write of one kind in microseconds, one figure for each round.
#[derive(Default)]
struct WriteTimes {
    uncached: Vec<f64>,
    cached: Vec<f64>,
}

/// The figures of one store.
#[derive(Default)]
struct StoreTimes {
    read_positions: WriteTimes,
    messages: WriteTimes,
}

/// Measures both stores and adds the results to the section.
pub(super) async fn measure(mode: RunMode, section: &mut Section) {
    let rounds = mode.choose(21, 7);
    let mut table = Table::new([
        &format!("time per write, median of {rounds} rounds"),
        "uncached, µs",
        "cached, µs",
        "added by the guard, µs",
    ]);
    let mut raw = Vec::new();
    let progress = progress_bar("rounds", 2 * rounds);
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let sqlite = store::open_sqlite(folder.path()).await;
    let memory = contract::memory::repositories();
    let stores = [
        (
            "memory",
            measure_store(&memory, WRITES, rounds, &progress).await,
        ),
        (
            "SQLite",
            measure_store(&sqlite, SQLITE_WRITES, rounds, &progress).await,
        ),
    ];
    progress.finish_and_clear();
    for (backend, times) in &stores {
        for (kind, times) in [
            ("read position", &times.read_positions),
            ("message", &times.messages),
        ] {
            table.row(table_row(&format!("{kind}, {backend}"), times));
            raw.push(json!({
                "write": kind,
                "store": backend,
                "uncached_us": times.uncached,
                "cached_us": times.cached,
            }));
            if *backend == "SQLite" {
                section.ratios.push(Ratio::new(
                    format!("SQLite, time of a cached {kind} write relative to an uncached one"),
                    Estimate::from_rounds(&ratios(&times.cached, &times.uncached)),
                    Goal::Less,
                ));
            }
        }
    }
    section.tables.push(table);
    section.raw = json!({ "guard": raw });
}

/// Measures the writes to one room of a store. Uncached and cached rounds alternate.
async fn measure_store(
    store: &Repositories,
    writes: usize,
    rounds: usize,
    progress: &ProgressBar,
) -> StoreTimes {
    let cache = Cache::new(store.clone(), Options::default());
    let room = cache.repositories.rooms.create(new_room(0)).await;
    let room = room.expect("the store accepts the room").id;
    let mut times = StoreTimes::default();
    // The first round is a warm-up.
    for round in 0..=rounds {
        let uncached = write_all(store, room, writes).await;
        let cached = write_all(&cache.repositories, room, writes).await;
        if round > 0 {
            times.read_positions.uncached.push(uncached.read_position);
            times.read_positions.cached.push(cached.read_position);
            times.messages.uncached.push(uncached.message);
            times.messages.cached.push(cached.message);
        }
        progress.inc(1);
    }
    times
}

fn table_row(name: &str, times: &WriteTimes) -> [String; 4] {
    let added: Vec<_> = times
        .cached
        .iter()
        .zip(&times.uncached)
        .map(|(cached, uncached)| cached - uncached)
        .collect();
    let [uncached, cached, added] = [&times.uncached, &times.cached, &added]
        .map(|rounds| format!("{:.2}", Estimate::from_rounds(rounds).median));
    [name.to_owned(), uncached, cached, added]
}

/// The mean times per write in one round, in microseconds.
struct RoundTimes {
    read_position: f64,
    message: f64,
}

async fn write_all(ports: &Repositories, room: RoomId, writes: usize) -> RoundTimes {
    RoundTimes {
        read_position: write_read_positions(ports, room, writes).await,
        message: append_messages(ports, room, writes / READ_POSITIONS_PER_MESSAGE).await,
    }
}

/// Writes read positions and returns the mean time per write, in microseconds. The writes run in a
/// task of the runtime, as the server's handlers do.
async fn write_read_positions(ports: &Repositories, room: RoomId, writes: usize) -> f64 {
    let read_positions = ports.read_positions.clone();
    let task = tokio::spawn(async move {
        let start = Instant::now();
        for _ in 0..writes {
            read_positions
                .mark(UserId::admin(), room)
                .await
                .expect("the store accepts the read position");
        }
        micros(start.elapsed()) / float(writes)
    });
    task.await.expect("the writing task does not panic")
}

/// Appends messages and returns the mean time per write, in microseconds. The writes run in a task
/// of the runtime, as the server's handlers do.
async fn append_messages(ports: &Repositories, room: RoomId, writes: usize) -> f64 {
    let messages = ports.messages.clone();
    let task = tokio::spawn(async move {
        let start = Instant::now();
        for _ in 0..writes {
            let new =
                NewMessage::from_user(room, "a message of usual length, as people write them");
            messages
                .append(new)
                .await
                .expect("the store accepts the message");
        }
        micros(start.elapsed()) / float(writes)
    });
    task.await.expect("the writing task does not panic")
}
