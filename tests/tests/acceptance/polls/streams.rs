//! The contents and the order of the events in event streams.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{
    server::TestServer,
    sse::{EventStream, ServerEvent},
    wait::before_a_poll_ends,
};

/// The longest time of a stream in a test that waits for its end.
const STREAM_TIME: Duration = Duration::from_millis(300);

/// Waits for the next event of a stream and returns it.
async fn next_event(stream: &mut EventStream) -> ServerEvent {
    before_a_poll_ends("the next event", stream.next())
        .await
        .expect("the stream must go on")
}

/// Waits for the next message of a stream and returns its id.
async fn next_message_id(stream: &mut EventStream) -> i64 {
    let message = before_a_poll_ends("the next message", stream.next_named("message")).await;
    let message = message.expect("the stream must go on");
    message.id.parse().unwrap()
}

#[tokio::test]
async fn a_stream_sends_the_current_state_first_and_then_what_changes() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let agent = client.create_agent("Ada").await;
    let send = async |content: &str| {
        let body = json!({ "content": content, "role": "user" });
        let path = format!("/rooms/{room}/messages/send");
        client.post(&path, body).await.ok()
    };
    let before = send("before").await;
    let mut stream = client.open_events(room, None).await;
    assert_eq!(
        (
            stream.header("content-type"),
            stream.header("x-accel-buffering")
        ),
        ("text/event-stream", "no")
    );
    let mut next = async |name: &str| {
        let event = next_event(&mut stream).await;
        assert_eq!(event.name, name, "{}", event.data);
        let data: Value = serde_json::from_str(&event.data).unwrap();
        (event.id, data)
    };
    let shown = client.get(&format!("/rooms/{room}")).await.ok();
    assert_eq!(next("room").await.1, shown);
    assert_eq!(next("agents").await.1, json!([]));
    assert_eq!(next("chatting").await.1, json!({ "chatting_agents": [] }));

    let now = send("now").await;
    assert_eq!(next("message").await, (now["id"].to_string(), now.clone()));
    client
        .post(&format!("/rooms/{room}/pause"), Value::Null)
        .await
        .ok();
    assert_eq!(next("room").await.1["is_paused"], true);
    client.add_member(room, agent).await;
    assert_eq!(next("agents").await.1[0]["name"], "Ada");
    assert_eq!(next("message").await.1["content"], "Ada joined the chat");
    client
        .patch(
            &format!("/agents/{agent}"),
            json!({ "name": "Ada Lovelace" }),
        )
        .await
        .ok();
    assert_eq!(next("agents").await.1[0]["name"], "Ada Lovelace");
    client.delete(&format!("/rooms/{room}/messages")).await.ok();
    assert_eq!(next("cleared").await.1, json!({ "room_id": room }));
    let after = send("after").await;
    assert_eq!(next("message").await.1["id"], after["id"]);
    client.delete(&format!("/rooms/{room}")).await.ok();
    let end = before_a_poll_ends("the end of the stream", stream.next()).await;
    assert_eq!(end, None, "the stream of a deleted room must end");
    assert!(before["id"].as_i64() < now["id"].as_i64());
    server.end().await;
}

#[tokio::test]
async fn a_browser_resumes_a_stream_with_a_new_ticket() {
    let server = TestServer::start(|_| {}).await;
    let (client, stranger) = (server.client(), server.stranger());
    let room = client.create_room("tea").await;
    let first = client.send_message(room, "one").await;
    let second = client.send_message(room, "two").await;
    let ticket = client
        .post(&format!("/rooms/{room}/events/ticket"), Value::Null)
        .await
        .ok();
    let ticket = ticket["ticket"].as_str().unwrap();
    let path = format!("/rooms/{room}/events?ticket={ticket}&since_id={first}");
    for (header, expected) in [(None, second), (Some(""), second), (Some("0"), first)] {
        let mut stream = stranger.open_events_at(&path, header).await;
        assert_eq!(stream.header("cache-control"), "no-store");
        assert_eq!(next_message_id(&mut stream).await, expected, "{header:?}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked_and_when_its_time_is_over() {
    let change = |settings: &mut app::Settings| settings.limits.stream_time = STREAM_TIME;
    let server = TestServer::start(change).await;
    let (admin, guest) = (server.client(), server.guest());
    let room = guest.create_room("tea").await;
    let mut stream = admin.open_events(room, None).await;
    let ended = async { while stream.next().await.is_some() {} };
    before_a_poll_ends("the end of the stream's time", ended).await;
    server.end().await;

    let server = TestServer::start(|_| {}).await;
    let (admin, guest) = (server.client(), server.guest());
    let room = guest.create_room("tea").await;
    let mut stream = guest.open_events(room, None).await;
    assert_eq!(next_event(&mut stream).await.name, "room");
    admin
        .post("/auth/revoke", json!({ "role": "guest" }))
        .await
        .ok();
    admin
        .send_message(room, "a secret after the revocation")
        .await;
    let rest = async {
        let mut names = Vec::new();
        while let Some(event) = stream.next().await {
            names.push(event.name);
        }
        names
    };
    let rest = before_a_poll_ends("the end of the stream", rest).await;
    assert!(!rest.contains(&"message".to_owned()), "{rest:?}");
    server.end().await;
}

#[tokio::test]
async fn a_stream_that_is_resumed_after_a_clear_begins_with_the_clear() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let first = client.send_message(room, "one").await;
    let second = client.send_message(room, "two").await;
    let mut stream = client.open_events(room, Some(first)).await;
    assert_eq!(next_message_id(&mut stream).await, second);
    client.delete(&format!("/rooms/{room}/messages")).await.ok();
    let third = client.send_message(room, "three").await;
    // The room has no message with the second id, as if its log had been restored from an older
    // copy.
    for last in [second, third + 1_000] {
        let mut stream = client.open_events(room, Some(last)).await;
        assert_eq!(next_event(&mut stream).await.name, "cleared");
        assert_eq!(next_message_id(&mut stream).await, third);
    }
    let status = client.events_status(room, "last").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    server.end().await;
}
