//! Writes: what the guard adds to one, and what a key that is written all the time does to the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cache_adapter::{Cache, NAMES, Options};
use domain::{NewMessage, NewRoom, Repositories, RoomChange, RoomId, RoomName, UserId};
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::{
    Run,
    measure::{Estimate, micros, number, zipf},
    report::{Goal, Part, Ratio, Table},
    store,
};

const WRITES: usize = 2_000;
const ROOMS: usize = 1_000;
const EVERY: Duration = Duration::from_millis(1);

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    let runtime = run.runtime();
    let mut part = Part::default();
    runtime.block_on(guard(run, &mut part));
    runtime.block_on(neighbours(run, &mut part));
    Ok(part)
}

/// Microseconds per write, in memory and on SQLite, bare and behind the cache, in turn.
async fn guard(run: Run, part: &mut Part) {
    let rounds = run.rounds(21, 7);
    let mut table = Table::new([
        &format!("per write, median of {rounds}"),
        "bare, µs",
        "behind the cache, µs",
        "the guard adds, µs",
    ]);
    let mut raw = Vec::new();
    let progress = run.progress("rounds", 2 * rounds);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let sqlite = store::sqlite(folder.path()).await;
    for (of, store, writes) in [
        ("memory", contract::memory::repositories(), WRITES),
        ("SQLite", sqlite, WRITES / 10),
    ] {
        let cache = Cache::new(store.clone(), Options::default());
        let room = cache
            .repositories
            .rooms
            .create(new_room(0))
            .await
            .expect("it is stored")
            .id;
        let (mut reads, mut messages) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for round in 0..=rounds {
            let kept = round > 0;
            for (ports, reads, messages) in [
                (&store, &mut reads.0, &mut messages.0),
                (&cache.repositories, &mut reads.1, &mut messages.1),
            ] {
                let (read, message) = (
                    mark(ports, room, writes).await,
                    append(ports, room, writes / 4).await,
                );
                if kept {
                    reads.push(read);
                    messages.push(message);
                }
            }
            progress.inc(1);
        }
        for (what, (bare, cached)) in [("a reading position", &reads), ("a message", &messages)] {
            let added: Vec<_> = cached
                .iter()
                .zip(bare)
                .map(|(cached, bare)| cached - bare)
                .collect();
            let [bare_median, cached_median, added_median] =
                [bare, cached, &added].map(|rounds| Estimate::of(rounds).median);
            table.row([
                format!("{what}, {of}"),
                format!("{bare_median:.2}"),
                format!("{cached_median:.2}"),
                format!("{added_median:.2}"),
            ]);
            raw.push(json!({ "what": what, "store": of, "bare_us": bare, "cached_us": cached }));
            if of == "SQLite" {
                let ratios = crate::measure::ratios(cached, bare);
                part.ratios.push(Ratio::new(
                    format!("{what} behind the cache, times bare, SQLite"),
                    Estimate::of(&ratios),
                    Goal::Less,
                ));
            }
        }
    }
    progress.finish_and_clear();
    part.tables.push(table);
    part.raw = json!({ "guard": raw });
}

fn new_room(number: usize) -> NewRoom {
    NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse(&format!("room {number}")).expect("a name"),
        max_interactions: None,
    }
}

async fn mark(ports: &Repositories, room: RoomId, writes: usize) -> f64 {
    let reads = ports.read_positions.clone();
    // In a task, as handlers are.
    let written = tokio::spawn(async move {
        let began = Instant::now();
        for _ in 0..writes {
            reads
                .mark(UserId::admin(), room)
                .await
                .expect("it is stored");
        }
        micros(began.elapsed()) / number(writes)
    });
    written.await.expect("it does not panic")
}

async fn append(ports: &Repositories, room: RoomId, writes: usize) -> f64 {
    let messages = ports.messages.clone();
    let written = tokio::spawn(async move {
        let began = Instant::now();
        for _ in 0..writes {
            let new =
                NewMessage::from_user(room, "a message of usual length, as people write them");
            messages.append(new).await.expect("it is stored");
        }
        micros(began.elapsed()) / number(writes)
    });
    written.await.expect("it does not panic")
}

/// Reads of other rooms while one room is written all the time, and while none is, in turn.
async fn neighbours(run: Run, part: &mut Part) {
    let rounds = run.rounds(11, 5);
    let during = Duration::from_millis(500);
    let cache = Cache::new(contract::memory::repositories(), Options::default());
    for number in 0..ROOMS {
        let room = cache
            .repositories
            .rooms
            .create(new_room(number))
            .await
            .expect("it is stored");
        cache
            .repositories
            .rooms
            .find(room.id)
            .await
            .expect("memory answers");
    }
    // The first is the one that is written.
    let keys: Vec<_> = zipf(ROOMS - 1, 100_000)
        .into_iter()
        .map(|RoomId(id)| RoomId(id + 1))
        .collect();
    let (mut quiet, mut busy, mut hits, mut written) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let progress = run.progress("rounds", rounds);
    for _ in 0..rounds {
        quiet.push(read_for(&cache, &keys, during).await);
        let ends = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(write_until(cache.clone(), ends.clone()));
        let before = of_rooms(&cache);
        busy.push(read_for(&cache, &keys, during).await);
        let after = of_rooms(&cache);
        ends.store(true, Ordering::Relaxed);
        written.push(number(writer.await.expect("it does not panic")) / during.as_secs_f64());
        let asked = number(usize::try_from(after.0 - before.0).expect("few"));
        hits.push(
            100.0 - 100.0 * number(usize::try_from(after.1 - before.1).expect("few")) / asked,
        );
        progress.inc(1);
    }
    progress.finish_and_clear();
    let slower = crate::measure::ratios(&busy, &quiet);
    let mut table = Table::new([
        "reads of 999 rooms by one thread, one other room written",
        "",
    ]);
    table.row([
        "writes a second to that room".into(),
        format!("{:.0}", Estimate::of(&written).median),
    ]);
    table.row([
        "hits of the others".into(),
        format!("{:.4} %", Estimate::of(&hits).median),
    ]);
    table.row([
        "reads a second, times those without the writes".into(),
        format!("{:.2}", Estimate::of(&slower).median),
    ]);
    part.tables.push(table);
    part.ratios.push(Ratio::new(
        "percent of hits of other keys while one is written 1,000 times a second",
        Estimate::of(&hits),
        Goal::AtLeast(99.99),
    ));
    part.raw["neighbours"] = json!({ "quiet_reads_a_second": quiet, "busy_reads_a_second": busy, "hits_percent": hits, "writes_a_second": written });
}

/// Requests and misses of rooms.
fn of_rooms(cache: &Cache) -> (u64, u64) {
    let stats = crate::stats_of(cache, NAMES.room_obj);
    (stats.total_requests(), stats.misses)
}

/// Reads a second of a thread of its own.
async fn read_for(cache: &Cache, keys: &[RoomId], during: Duration) -> f64 {
    let (rooms, keys, runtime) = (
        cache.repositories.rooms.clone(),
        keys.to_vec(),
        tokio::runtime::Handle::current(),
    );
    let reading = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            let (began, mut reads) = (Instant::now(), 0);
            for some in keys
                .chunks(1_000)
                .cycle()
                .take_while(|_| began.elapsed() < during)
            {
                for key in some {
                    assert!(rooms.find(*key).await.expect("memory answers").is_some());
                }
                reads += some.len();
            }
            number(reads) / began.elapsed().as_secs_f64()
        })
    });
    reading.await.expect("it does not panic")
}

/// Writes to the first room, once every millisecond. How often.
async fn write_until(cache: Cache, ends: Arc<AtomicBool>) -> usize {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut written = 0;
    while !ends.load(Ordering::Relaxed) {
        every.tick().await;
        written += 1;
        let change = RoomChange {
            max_interactions: Some(Some(written)),
            ..RoomChange::default()
        };
        cache
            .repositories
            .rooms
            .update(RoomId(1), change)
            .await
            .expect("it is stored");
    }
    written as usize
}
