//! Polls as rooms grow: the time of a poll from memory, of one that fills memory, and of one far behind, and the bytes
//! that a room keeps, by the length of the room and the number of rooms.

use std::time::{Duration, Instant};

use cache_adapter::{Cache, Options, Preset};
use domain::{MessageId, RoomId};
use sea_orm::{ConnectionTrait, Database};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(201_usize).max(1);
    println!(
        "| rooms | messages in the room | from memory, µs | filling memory, µs | far behind, µs | bytes kept |\n|---|---|---|---|---|---|"
    );
    for (rooms, messages) in [(10, 100), (10, 10_000), (10, 1_000_000), (100_000, 100)] {
        eprintln!("making {rooms} rooms, one of {messages} messages");
        row(rooms, messages, rounds).await;
    }
}

async fn row(rooms: i64, messages: i64, rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let url = format!("sqlite:{}", folder.path().join("growth.db").display());
    drop(persistence::open(&url, folder.path().join("agents")).await.expect("SQLite opens"));
    grow(&url, rooms, messages).await;
    let store = persistence::open(&url, folder.path().join("agents")).await.expect("SQLite opens");
    let cache = Cache::new(store, Options { preset: Preset::Coherent, ..Options::default() });
    let ports = &cache.repositories;
    let room = RoomId(1);
    let newest = ports.messages.recent(room, None, 1).await.expect("it is read")[0].id;
    let poll = async |after: MessageId| {
        let began = Instant::now();
        assert!(ports.rooms.find(room).await.expect("it is read").is_some());
        let found = ports.messages.since(room, after, 20).await.expect("it is read");
        (began.elapsed(), found.len())
    };
    let (mut warm, mut cold, mut behind) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        poll(MessageId(newest.0 - 20)).await;
        warm.push(poll(MessageId(newest.0 - 20)).await.0);
        // In the midst of the log, or at its beginning where the whole room is in memory.
        behind.push(poll(MessageId(newest.0 - messages / 2)).await.0);
        cache.manager.clear();
        cold.push(poll(MessageId(newest.0 - 20)).await.0);
    }
    let kept = cache.manager.stats().into_iter().find(|(region, ..)| *region == "room_messages").map_or(0, |(.., stats)| stats.weight);
    println!("| {rooms} | {messages} | {:.1} | {:.1} | {:.1} | {kept} |", median(warm), median(cold), median(behind));
}

/// Rooms by one statement, and messages by another.
async fn grow(url: &str, rooms: i64, messages: i64) {
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
        database.execute_unprepared(&statement).await.expect("SQLite takes it");
    }
    database.close().await.expect("it closes");
}

#[expect(clippy::cast_precision_loss, reason = "microseconds")]
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_nanos() as f64 / 1_000.0
}
