//! Tests of every endpoint on SQLite and on PostgreSQL: status codes, field names, and the source
//! of the response.

mod agents;
mod cache;
mod cached_bodies;
mod images;
mod list_parts;
mod messages;
mod operate;
mod refusals;
mod removals;
mod rooms;
mod sends;

use reqwest::Method;
use serde_json::Value;
use tests::{
    client::{CacheMode, Client},
    response::HttpResponse,
    server::TestServer,
    wait::before_a_poll_ends,
};
use tokio::task::JoinHandle;

/// The fields of an agent.
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
/// The fields of a room.
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
/// The fields of a message.
const MESSAGE: [&str; 16] = [
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
    "image_url",
    "image_media_type",
    "interrupted",
];
/// The counters of the cache and of each region.
const STATS: [&str; 6] = [
    "hits",
    "misses",
    "total_requests",
    "hit_rate",
    "size",
    "invalidations",
];

/// Runs a test as the administrator, against a new server on each database.
async fn on_each_database(test: impl AsyncFn(&Client)) {
    on_each_server(async |client, _| test(client).await).await;
}

/// Runs a test as [`on_each_database`] does, with access to the server.
async fn on_each_server(test: impl AsyncFn(&Client, &TestServer)) {
    for server in TestServer::start_on_each_database("endpoints on PostgreSQL").await {
        test(&server.client(), &server).await;
        server.end().await;
    }
}

/// Begins a poll for messages with ids above `since`, and returns once the poll waits.
async fn begin_to_wait(
    server: &TestServer,
    room: i64,
    since: i64,
    mode: CacheMode,
) -> JoinHandle<HttpResponse> {
    let client = server.client();
    let path = format!("/rooms/{room}/messages/poll?since_id={since}&wait=30");
    let polling = tokio::spawn(async move { client.call_in(mode, Method::GET, &path, None).await });
    server.wait_for_listeners(room, 1).await;
    polling
}

/// Returns the response to a waiting poll. Panics if the response does not come before the poll's
/// wait would end.
async fn response_of(polling: JoinHandle<HttpResponse>) -> HttpResponse {
    let response = before_a_poll_ends("the response to a waiting poll", polling).await;
    response.unwrap()
}

fn assert_has(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(
            object.get(field).is_some(),
            "{field} is missing in {object}"
        );
    }
}

fn assert_has_exactly(object: &Value, fields: &[&str]) {
    assert_has(object, fields);
    assert_eq!(
        object.as_object().unwrap().len(),
        fields.len(),
        "{object} must have no fields besides {fields:?}"
    );
}

/// Asserts that a value is an ISO 8601 time in UTC with a `Z`.
fn assert_is_time(value: &Value) {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a time"));
    assert!(
        text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        "{text} is not a time in UTC"
    );
}
