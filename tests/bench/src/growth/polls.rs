//! The time of polls through the cached ports on SQLite, by the length of the room and by the
//! number of rooms.

use std::time::Instant;

use cache_adapter::{Cache, Options, Preset};
use domain::{MessageId, RoomId};
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::{
    measure::{Estimate, micros, ratios},
    report::{
        plot::{Figures, Line, Plot},
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::{RunMode, progress_bar},
    store,
};

/// The numbers of rows in a store.
#[derive(Clone, Copy)]
struct StoreSize {
    rooms: u32,
    /// The number of messages in the first room. The other rooms are empty.
    messages: u32,
}

const fn size(rooms: u32, messages: u32) -> StoreSize {
    StoreSize { rooms, messages }
}

/// The sizes that are measured. The ratio compares the other sizes with the first one.
const SIZES: [StoreSize; 7] = [
    size(10, 100),
    size(10, 1_000),
    size(10, 10_000),
    size(10, 100_000),
    size(10, 1_000_000),
    size(1_000, 100),
    size(100_000, 100),
];
/// The number of messages that the load of a tail reads. The tail of a shorter room contains all
/// messages of the room.
const FILL: u32 = 200;
/// The number of messages that a poll returns.
const PAGE: usize = 20;
/// The room that is polled.
const ROOM: RoomId = RoomId(1);

/// The durations of each kind of poll in microseconds, one figure for each round.
#[derive(Default)]
struct PollTimes {
    /// Polls while the room and its tail are cached.
    cached: Vec<f64>,
    /// Polls after the room and its tail were invalidated, which load both again.
    filling: Vec<f64>,
    /// Polls whose messages begin in the middle of the log.
    older: Vec<f64>,
    tail_weight: u64,
    /// The number of rooms in memory during the polls.
    cached_rooms: u64,
}

impl PollTimes {
    /// Returns the medians of cached, filling and older polls.
    fn medians(&self) -> [f64; 3] {
        [&self.cached, &self.filling, &self.older].map(|times| Estimate::from_rounds(times).median)
    }
}

/// Measures all sizes and adds the results to the section.
pub(super) async fn measure(mode: RunMode, section: &mut Section) {
    let sizes = mode.choose(SIZES.to_vec(), vec![SIZES[0], SIZES[2], SIZES[6]]);
    let progress = progress_bar("sizes", sizes.len());
    let mut polls = Vec::new();
    for size in &sizes {
        polls.push(measure_size(*size, mode.choose(201, 51)).await);
        progress.inc(1);
    }
    progress.finish_and_clear();
    report(&sizes, &polls, section);
}

async fn measure_size(size: StoreSize, rounds: usize) -> PollTimes {
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    // Opening the store creates the schema.
    drop(store::open_sqlite(folder.path()).await);
    insert_rows(&store::sqlite_address(folder.path()), size).await;
    let options = Options {
        preset: Preset::Coherent,
        ..Options::default()
    };
    let cache = Cache::new(store::open_sqlite(folder.path()).await, options);
    let newest = cache.repositories.messages.recent(ROOM, None, 1).await;
    let newest = newest.expect("the store returns the newest message")[0].id;
    let page_start = MessageId(newest.0 - i64::try_from(PAGE).expect("a page is short"));
    let middle = MessageId(newest.0 - i64::from(size.messages / 2));
    read_all_rooms(&cache, size.rooms).await;
    let mut polls = PollTimes {
        cached_rooms: store::region_stats(&cache, "room_obj").size,
        ..PollTimes::default()
    };
    for _ in 0..rounds {
        // This poll loads the tail. Its time is not recorded.
        poll_micros(&cache, page_start).await;
        polls.cached.push(poll_micros(&cache, page_start).await);
        polls.older.push(poll_micros(&cache, middle).await);
        for key in ["room_obj:1", "room_messages:1"] {
            assert_eq!(
                cache.manager.invalidate_key(key),
                1,
                "{key} must be in memory"
            );
        }
        polls.filling.push(poll_micros(&cache, page_start).await);
    }
    polls.tail_weight = store::region_stats(&cache, "room_messages").weight;
    polls
}

/// Reads all other rooms, so that the region of rooms is as large as possible.
async fn read_all_rooms(cache: &Cache, rooms: u32) {
    let others: Vec<_> = (2..=i64::from(rooms)).map(RoomId).collect();
    for chunk in others.chunks(1_000) {
        let rooms = cache.repositories.rooms.find_many(chunk).await;
        assert_eq!(
            rooms.expect("the store returns the rooms").len(),
            chunk.len()
        );
    }
}

/// Reads the room and a page of messages, as a poll does. Returns the duration in microseconds.
async fn poll_micros(cache: &Cache, after: MessageId) -> f64 {
    let ports = &cache.repositories;
    let start = Instant::now();
    let room = ports.rooms.find(ROOM).await;
    assert!(room.expect("the store returns the room").is_some());
    let messages = ports.messages.since(ROOM, after, PAGE).await;
    assert_eq!(
        messages.expect("the store returns the messages").len(),
        PAGE
    );
    micros(start.elapsed())
}

/// Inserts all rooms with one statement, and all messages with another. The ports would need
/// minutes for a million messages.
async fn insert_rows(address: &str, size: StoreSize) {
    let StoreSize { rooms, messages } = size;
    let database = Database::connect(address).await.expect("SQLite opens");
    let statements = [
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rooms}) \
             INSERT INTO rooms \
             (owner, name, created_at, last_seq, last_message_seq, last_user_seq) \
             SELECT 'admin', 'room ' || i, 0, CASE i WHEN 1 THEN {messages} ELSE 0 END, \
             CASE i WHEN 1 THEN {messages} ELSE 0 END, 0 FROM n"
        ),
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {messages}) \
             INSERT INTO messages (room_id, seq, content, role, participant_type, timestamp) \
             SELECT 1, i, 'message ' || i || ', of some usual length as people write', \
             'user', 'user', 0 FROM n"
        ),
    ];
    for statement in statements {
        database
            .execute_unprepared(&statement)
            .await
            .expect("SQLite accepts the rows");
    }
    database.close().await.expect("SQLite closes");
}

fn report(sizes: &[StoreSize], polls: &[PollTimes], section: &mut Section) {
    let mut table = Table::new([
        "rooms",
        "rooms in memory",
        "messages in the room",
        "cached poll, µs",
        "poll with a fill, µs",
        "poll older than the tail, µs",
        "weight of the tail, bytes",
    ]);
    let mut points = [Vec::new(), Vec::new(), Vec::new()];
    let mut raw = Vec::new();
    for (size, polls) in sizes.iter().zip(polls) {
        let medians = polls.medians();
        let [cached, filling, mut older] = medians.map(|median| format!("{median:.1}"));
        if size.messages < FILL {
            older = "in the tail".into();
        }
        table.row([
            size.rooms.to_string(),
            polls.cached_rooms.to_string(),
            size.messages.to_string(),
            cached,
            filling,
            older,
            polls.tail_weight.to_string(),
        ]);
        // The plot shows the length of the room, so the number of rooms is fixed.
        if size.rooms == SIZES[0].rooms {
            for (points, median) in points.iter_mut().zip(medians) {
                points.push((f64::from(size.messages), median));
            }
        }
        raw.push(json!({
            "rooms": size.rooms,
            "messages": size.messages,
            "cached_us": polls.cached,
            "filling_us": polls.filling,
            "older_us": polls.older,
        }));
    }
    section.ratios.push(Ratio::new(
        "slowest cached poll of all sizes relative to the smallest size",
        slowest_relative_to_first(polls),
        Goal::AtMost(1.5),
    ));
    section.tables.push(table);
    let names = ["cached", "with a fill", "older than the tail"];
    section.plots.push(Plot {
        file: "growth",
        title: "Microseconds per poll of 20 messages by the length of the room".into(),
        figures: Figures::Lines {
            axis: "messages in the room",
            lines: names
                .into_iter()
                .zip(points)
                .map(|(name, points)| Line {
                    name: name.to_owned(),
                    points,
                })
                .collect(),
        },
    });
    section.raw = json!({ "polls": raw });
}

fn slowest_relative_to_first(polls: &[PollTimes]) -> Estimate {
    polls
        .iter()
        .skip(1)
        .map(|size| Estimate::from_rounds(&ratios(&size.cached, &polls[0].cached)))
        .max_by(|a, b| a.median.total_cmp(&b.median))
        .expect("more than one size is measured")
}
