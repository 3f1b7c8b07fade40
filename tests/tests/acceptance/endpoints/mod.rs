//! Every endpoint on SQLite and on PostgreSQL: status codes, field names, where an answer came from.

mod agents;
mod cache;
mod kept;
mod messages;
mod refusals;
mod rooms;

use std::{future::Future, time::Duration};

use app::Settings;
use reqwest::Method;
use serde_json::{Value, json};
use tests::server::{Answer, Client, Running};

const AGENT: [&str; 15] = [
    "id",
    "name",
    "group",
    "config_file",
    "profile_pic",
    "in_a_nutshell",
    "characteristics",
    "recent_events",
    "is_critic",
    "interrupt_every_turn",
    "priority",
    "transparent",
    "system_prompt",
    "session_id",
    "created_at",
];
const ROOM: [&str; 12] = [
    "id",
    "name",
    "owner_id",
    "max_interactions",
    "is_paused",
    "is_finished",
    "created_at",
    "last_activity_at",
    "last_read_at",
    "last_error",
    "agents",
    "messages",
];
const MESSAGE: [&str; 15] = [
    "id",
    "room_id",
    "agent_id",
    "content",
    "role",
    "participant_type",
    "participant_name",
    "thinking",
    "anthropic_calls",
    "timestamp",
    "agent_name",
    "agent_profile_pic",
    "image_data",
    "image_media_type",
    "interrupted",
];
const STATS: [&str; 6] = [
    "hits",
    "misses",
    "total_requests",
    "hit_rate",
    "size",
    "invalidations",
];
/// One pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Runs a test as the administrator against a server of its own, on each store.
async fn serve(test: impl AsyncFn(&Client)) {
    serve_with(async |client, _| test(client).await).await;
}

async fn serve_with(test: impl AsyncFn(&Client, &Running)) {
    let postgres = tests::postgres::database("endpoints on PostgreSQL").await;
    for database in [None].into_iter().chain(postgres.map(Some)) {
        let change = |settings: &mut Settings| {
            if let Some(database) = database {
                settings.database = database;
            }
        };
        let server = Running::start(change).await;
        test(&server.client(), &server).await;
        server.end().await;
    }
}

async fn send(client: &Client, room: i64, content: &str) -> i64 {
    let body = json!({ "content": content, "role": "user" });
    client
        .post(&format!("/rooms/{room}/messages/send"), body)
        .await
        .ok()["id"]
        .as_i64()
        .unwrap()
}

/// A poll that has begun to wait.
async fn waits(
    server: &Running,
    path: &str,
    room: i64,
    past: bool,
) -> tokio::task::JoinHandle<Answer> {
    let (client, path) = (server.client(), path.to_owned());
    let waiting = tokio::spawn(async move { client.ask(Method::GET, &path, None, past).await });
    while server.app().cache.message_listeners(domain::RoomId(room)) == 0 {
        tokio::task::yield_now().await;
    }
    waiting
}

/// What is answered long before the wait is over.
async fn soon(waiting: impl Future<Output = Result<Answer, tokio::task::JoinError>>) -> Answer {
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("it is answered at once")
        .unwrap()
}

fn shown(answer: &Answer) -> Vec<i64> {
    answer
        .ok()
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_i64().unwrap())
        .collect()
}

fn has(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(
            object.get(field).is_some(),
            "{field} is missing in {object}"
        );
    }
}

fn has_exactly(object: &Value, fields: &[&str]) {
    has(object, fields);
    assert_eq!(
        object.as_object().unwrap().len(),
        fields.len(),
        "{object} has more than {fields:?}"
    );
}

/// ISO 8601 in UTC with a `Z`.
fn is_time(value: &Value) {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a time"));
    assert!(
        text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "{text}"
    );
}
