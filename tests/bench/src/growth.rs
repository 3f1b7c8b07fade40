//! Polls as rooms grow: the time of a poll from memory, of one that fills memory, and of one far behind, and the bytes
//! that a room keeps, by the length of the room and the number of rooms; what an entry takes; and a cleanup of a million.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use cache_adapter::{Cache, NAMES, Options, Preset};
use cache_core::{Clock, Manager, Policy, Region, Runtime};
use domain::{MessageId, RoomId};
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::{
    Run, hits,
    measure::{Estimate, micros, percentile},
    plot::{Kind, Plot},
    report::{Goal, Part, Ratio, Table},
    stats_of, store,
};

/// Rooms, and messages in the first of them.
const SIZES: [(u32, u32); 7] = [
    (10, 100),
    (10, 1_000),
    (10, 10_000),
    (10, 100_000),
    (10, 1_000_000),
    (1_000, 100),
    (100_000, 100),
];
/// A room of fewer messages is in memory as a whole.
const FILL: u32 = 200;
/// What docs/architecture.md says that an entry takes besides its key and value.
const FORMULA: f64 = 72.0 + 40.0;
/// And a region, however few entries are in it.
const OF_A_REGION: f64 = 16.0 * 1024.0;
const KEY_AND_VALUE: f64 = 16.0;

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    let mut part = Part::default();
    run.runtime().block_on(polls(run, &mut part));
    entries(&mut part)?;
    sweeps(run, &mut part);
    Ok(part)
}

/// Microseconds of each kind of poll.
#[derive(Default)]
struct Polls {
    warm: Vec<f64>,
    cold: Vec<f64>,
    behind: Vec<f64>,
    kept: u64,
    /// In memory meanwhile.
    rooms: u64,
}

async fn polls(run: Run, part: &mut Part) {
    let mut table = Table::new([
        "rooms",
        "of them in memory",
        "messages in the room",
        "from memory, µs",
        "filling memory, µs",
        "far behind, µs",
        "bytes kept, as weighed",
    ]);
    let (mut lines, mut raw, mut warm) =
        ([Vec::new(), Vec::new(), Vec::new()], Vec::new(), Vec::new());
    let sizes = if run.is_quick() {
        vec![SIZES[0], SIZES[2], SIZES[6]]
    } else {
        SIZES.to_vec()
    };
    let progress = run.progress("sizes", sizes.len());
    for (rooms, messages) in sizes {
        let polls = polls_of(rooms, messages, run.rounds(201, 51)).await;
        let medians =
            [&polls.warm, &polls.cold, &polls.behind].map(|times| Estimate::of(times).median);
        let [memory, fill, mut behind] = medians.map(|median| format!("{median:.1}"));
        if messages < FILL {
            behind = "from memory".into();
        }
        table.row([
            rooms.to_string(),
            polls.rooms.to_string(),
            messages.to_string(),
            memory,
            fill,
            behind,
            polls.kept.to_string(),
        ]);
        if rooms == SIZES[0].0 {
            for (line, median) in lines.iter_mut().zip(medians) {
                line.push((f64::from(messages), median));
            }
        }
        raw.push(json!({ "rooms": rooms, "messages": messages, "warm_us": polls.warm, "cold_us": polls.cold, "behind_us": polls.behind }));
        warm.push(polls.warm);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let largest = warm
        .iter()
        .skip(1)
        .map(|times| crate::measure::ratios(times, &warm[0]))
        .max_by(|a, b| {
            let [a, b] = [a, b].map(|ratios| Estimate::of(ratios).median);
            a.total_cmp(&b)
        });
    let found = Estimate::of(&largest.expect("there is more than one size"));
    part.ratios.push(Ratio::new(
        "the slowest poll from memory of all sizes, times that of the smallest",
        found,
        Goal::AtMost(1.5),
    ));
    part.tables.push(table);
    let names = ["from memory", "filling memory", "far behind"].map(str::to_owned);
    part.plots.push(Plot {
        file: "growth",
        title: "Microseconds per poll of 20 messages, by the length of the room".into(),
        kind: Kind::Lines(
            "messages in the room",
            names.into_iter().zip(lines).collect(),
        ),
    });
    part.raw = json!({ "polls": raw });
}

async fn polls_of(rooms: u32, messages: u32, rounds: usize) -> Polls {
    let folder = tempfile::tempdir().expect("a folder can be made");
    drop(store::sqlite(folder.path()).await);
    grow(&store::address(folder.path()), rooms, messages).await;
    let cache = Cache::new(
        store::sqlite(folder.path()).await,
        Options {
            preset: Preset::Coherent,
            ..Options::default()
        },
    );
    let ports = &cache.repositories;
    let room = RoomId(1);
    let newest = ports
        .messages
        .recent(room, None, 1)
        .await
        .expect("it is read")[0]
        .id;
    let poll = async |after: MessageId| {
        let began = Instant::now();
        assert!(ports.rooms.find(room).await.expect("it is read").is_some());
        let found = ports
            .messages
            .since(room, after, 20)
            .await
            .expect("it is read");
        assert_eq!(found.len(), 20);
        micros(began.elapsed())
    };
    let mut polls = Polls::default();
    // All rooms are read, so that what is in memory is as large as it gets.
    let others: Vec<_> = (2..=i64::from(rooms)).map(RoomId).collect();
    for some in others.chunks(1_000) {
        assert_eq!(
            ports
                .rooms
                .find_many(some)
                .await
                .expect("they are read")
                .len(),
            some.len()
        );
    }
    polls.rooms = stats_of(&cache, NAMES.room_obj).size;
    for _ in 0..rounds {
        poll(MessageId(newest.0 - 20)).await;
        polls.warm.push(poll(MessageId(newest.0 - 20)).await);
        polls
            .behind
            .push(poll(MessageId(newest.0 - i64::from(messages / 2))).await);
        for name in [NAMES.room_obj, NAMES.room_messages] {
            let key = format!("{name}:1");
            assert_eq!(cache.manager.invalidate_key(&key), 1, "it is in memory");
        }
        polls.cold.push(poll(MessageId(newest.0 - 20)).await);
    }
    polls.kept = stats_of(&cache, NAMES.room_messages).weight;
    polls
}

/// Rooms by one statement, and messages by another.
async fn grow(url: &str, rooms: u32, messages: u32) {
    let database = Database::connect(url).await.expect("SQLite opens");
    let statements = [
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rooms}) \
             INSERT INTO rooms (owner, name, created_at, last_seq, last_message_seq, last_user_seq) \
             SELECT 'admin', 'room ' || i, 0, CASE i WHEN 1 THEN {messages} ELSE 0 END, CASE i WHEN 1 THEN {messages} ELSE 0 END, 0 FROM n"
        ),
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {messages}) \
             INSERT INTO messages (room_id, seq, content, role, participant_type, timestamp) \
             SELECT 1, i, 'message ' || i || ', of some usual length as people write', 'user', 'user', 0 FROM n"
        ),
    ];
    for statement in statements {
        database
            .execute_unprepared(&statement)
            .await
            .expect("SQLite takes it");
    }
    database.close().await.expect("it closes");
}

/// Bytes per entry, counted at the allocator.
fn entries(part: &mut Part) -> Result<(), String> {
    let counted = hits::counted("entries")?;
    let mut table = Table::new([
        "entries of 16 bytes of key and value",
        "bytes each",
        "besides key and value",
        "times the formula",
    ]);
    let mut most = 0.0_f64;
    for (entries, bytes) in &counted {
        let besides = bytes - KEY_AND_VALUE;
        let of_formula = besides
            / (FORMULA
                + OF_A_REGION / entries.parse::<f64>().map_err(|error| error.to_string())?);
        table.row([
            entries.clone(),
            format!("{bytes:.1}"),
            format!("{besides:.1}"),
            format!("{of_formula:.2}"),
        ]);
        most = most.max(of_formula);
    }
    let found = Estimate {
        drift: 0.01,
        ..Estimate::exact(most)
    };
    part.ratios.push(Ratio::new(
        "the most bytes of an entry besides key and value, times the formula",
        found,
        Goal::AtMost(1.0),
    ));
    part.tables.push(table);
    part.raw["bytes_per_entry"] = json!(counted);
    Ok(())
}

/// Cleanups of expired entries, and how long a reader that reads all the time is held up by one.
fn sweeps(run: Run, part: &mut Part) {
    let count = run.size(1_000_000_u64, 200_000);
    let rounds = run.rounds(9, 3);
    let ttl = Duration::from_mins(1);
    let (clock, hand) = Clock::manual();
    let runtime = run.runtime();
    let manager = runtime.block_on(async { Manager::builder(Runtime::tokio_with(clock)).build() });
    let region: Region<u64, u64> = manager.region("swept", Policy::new(ttl, 2 * count));
    let (mut took, mut paused, mut usual) = (Vec::new(), Vec::new(), Vec::new());
    let progress = run.progress("sweeps", rounds);
    for _ in 0..rounds {
        for key in 0..count {
            assert!(region.insert(key, key), "nothing is written");
        }
        hand.advance(2 * ttl);
        // What is read is fresh.
        for key in 0..1_000 {
            assert!(region.insert(count + key, key), "nothing is written");
        }
        let read = |ends: &AtomicBool| {
            let (mut longest, mut key, mut last) = (0.0_f64, 0, Instant::now());
            while !ends.load(Ordering::Relaxed) {
                key = (key + 1) % 1_000;
                assert!(region.look_up(&(count + key)).is_some(), "it is fresh");
                let now = Instant::now();
                longest = longest.max(micros(now - last));
                last = now;
            }
            longest
        };
        let beside = |work: &mut dyn FnMut()| {
            let ends = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| read(&ends));
                work();
                ends.store(true, Ordering::Relaxed);
                reader.join().expect("the reader does not panic")
            })
        };
        let mut seconds = 0.0;
        paused.push(beside(&mut || {
            let began = Instant::now();
            let removed = runtime.block_on(manager.cleanup());
            seconds = began.elapsed().as_secs_f64();
            assert!(removed as u64 >= count, "{removed} of {count} were expired");
        }));
        // The same reader beside a thread that computes as long, and touches no cache.
        usual.push(beside(&mut || {
            let began = Instant::now();
            while began.elapsed().as_secs_f64() < seconds {
                std::hint::spin_loop();
            }
        }));
        took.push(seconds * 1e3);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let mut table = Table::new([
        &format!("a cleanup of {count} expired entries, {rounds} times"),
        "median",
        "longest",
    ]);
    let row = |name: &str, values: &[f64]| {
        [
            name.to_owned(),
            format!("{:.1}", Estimate::of(values).median),
            format!("{:.1}", percentile(values, 100.0)),
        ]
    };
    table.row(row("the cleanup, ms", &took));
    table.row(row("the longest pause of a reader beside it, µs", &paused));
    table.row(row(
        "its longest pause beside a thread that only computes, µs",
        &usual,
    ));
    part.tables.push(table);
    let per_entry: Vec<_> = paused
        .iter()
        .zip(&took)
        .map(|(paused, took)| paused / 1e3 / took)
        .collect();
    part.ratios.push(Ratio::new(
        "a reader's longest pause, as a share of the cleanup",
        Estimate::of(&per_entry),
        Goal::AtMost(0.1),
    ));
    part.raw["cleanup"] = json!({ "entries": count, "took_ms": took, "paused_us": paused, "paused_without_us": usual });
}
