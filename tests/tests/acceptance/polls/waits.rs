//! Long polls: polls that wait until a message arrives.

use std::time::Duration;

use cache_core::Clock;
use serde_json::json;
use tests::{server::TestServer, wait::before_a_poll_ends};

#[tokio::test]
async fn with_the_clock_stopped_a_waiting_client_is_answered_by_the_write_alone() {
    let (clock, hand) = Clock::manual();
    let server = TestServer::start_with_clock(clock, |_| {}).await;
    let client = server.client();
    let room = client.create_room("quiet").await;
    let poll = || {
        let client = server.client();
        tokio::spawn(async move {
            let path = format!("/rooms/{room}/messages/poll?since_id=0&wait=30");
            client.get(&path).await
        })
    };
    let answered = poll();
    server.wait_for_listeners(room, 1).await;
    let sent = client.send_message(room, "hi").await;
    let response = before_a_poll_ends("the write's answer", answered).await;
    assert_eq!(response.unwrap().ids(), [sent]);

    client.delete(&format!("/rooms/{room}/messages")).await.ok();
    // This poll loads the room's log into memory. The next poll then needs no load, and has read
    // the log by the time it listens.
    let path = format!("/rooms/{room}/messages/poll?since_id=0");
    client.get(&path).await.ok();
    let empty = poll();
    server.wait_for_listeners(room, 1).await;
    hand.advance(Duration::from_secs(29));
    tokio::task::yield_now().await;
    assert!(!empty.is_finished(), "the poll must wait for 30 seconds");
    hand.advance(Duration::from_secs(1));
    let response = before_a_poll_ends("the end of the wait", empty).await;
    assert_eq!(response.unwrap().ok(), json!([]));
    server.end().await;
}
