//! The removal of one message.

use serde_json::{Value, json};
use tests::{server::TestServer, wait::before_a_poll_ends};

#[tokio::test]
async fn a_removed_message_is_gone_and_polls_tell_of_it() {
    for server in TestServer::start_on_each_database("removals on PostgreSQL").await {
        let client = server.client();
        let room = client.create_room("tea").await;
        let mut ids = Vec::new();
        for text in ["one", "two", "three"] {
            ids.push(client.send_message(room, text).await);
        }
        let poll = format!("/rooms/{room}/messages/poll");
        assert_eq!(client.get(&poll).await.header("greenroom-log-version"), "");
        let path = |id: i64| format!("/rooms/{room}/messages/{id}");
        let removed = client.delete(&path(ids[1])).await.ok();
        assert_eq!(removed["message"], "Message deleted successfully");
        let after = client.get(&poll).await;
        assert_eq!(after.ids(), [ids[0], ids[2]]);
        let version = after.header("greenroom-log-version").to_owned();
        assert!(!version.is_empty());
        assert_eq!(client.get_bypassing(&poll).await.body, after.body);
        client.delete(&path(ids[1])).await.refused(404);
        client.delete(&path(0)).await.refused(422);
        client
            .delete(&format!("/rooms/99/messages/{}", ids[0]))
            .await
            .refused(404);

        client.delete(&format!("/rooms/{room}/messages")).await.ok();
        let cleared = client.get(&poll).await;
        assert_ne!(cleared.header("greenroom-log-version"), version);
        assert_eq!(cleared.ok(), json!([]));
        server.end().await;
    }
}

#[tokio::test]
async fn a_waiting_poll_returns_when_a_message_is_removed() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let id = client.send_message(room, "one").await;
    let waiting = {
        let client = client.clone();
        let path = format!("/rooms/{room}/messages/poll?since_id={id}&wait=30");
        tokio::spawn(async move { client.get(&path).await })
    };
    server.wait_for_listeners(room, 1).await;
    // The poll has read the room once before it waits, or it reads the room after the removal.
    client
        .get(&format!("/rooms/{room}/messages/poll?since_id={id}"))
        .await
        .ok();
    client
        .delete(&format!("/rooms/{room}/messages/{id}"))
        .await
        .ok();
    let response = before_a_poll_ends("the poll returns", waiting)
        .await
        .unwrap();
    assert_eq!(response.ok(), json!([]));
    assert_ne!(response.header("greenroom-log-version"), "");
    server.end().await;
}

#[tokio::test]
async fn a_guest_removes_its_messages_only_if_the_settings_allow_it() {
    for is_allowed in [false, true] {
        let change = |settings: &mut app::Settings| settings.limits.guests_delete = is_allowed;
        let server = TestServer::start(change).await;
        let (guest, other) = (server.guest(), server.guest());
        let room = guest.create_room("tea").await;
        let id = guest.send_message(room, "one").await;
        let path = format!("/rooms/{room}/messages/{id}");
        other.delete(&path).await.refused(403);
        let removed = guest.delete(&path).await;
        assert_eq!(removed.status.as_u16(), if is_allowed { 200 } else { 403 });
        server.end().await;
    }
}

#[tokio::test]
async fn a_stream_tells_which_messages_were_removed() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three", "four"] {
        ids.push(client.send_message(room, text).await);
    }
    let remove = async |id: i64| {
        client
            .delete(&format!("/rooms/{room}/messages/{id}"))
            .await
            .ok()
    };
    let mut stream = client.open_events(room, None).await;
    assert_eq!(stream.next().await.unwrap().name, "room");
    remove(ids[0]).await;
    let removed = |data: &str| serde_json::from_str::<Value>(data).unwrap()["message_id"].clone();
    let event = before_a_poll_ends("the removal", stream.next_named("removed"))
        .await
        .unwrap();
    assert_eq!(removed(&event.data), ids[0]);
    let next = client.send_message(room, "five").await;
    let event = before_a_poll_ends("the message", stream.next())
        .await
        .unwrap();
    assert_eq!(
        (event.name.as_str(), event.id),
        ("message", next.to_string())
    );
    drop(stream);
    // A client that was away learns of the removals, also if its last message was removed.
    remove(ids[1]).await;
    remove(next).await;
    for last in [ids[3], next] {
        let mut stream = client.open_events(room, Some(last)).await;
        let mut found = Vec::new();
        while !found.contains(&json!(next)) {
            let event = before_a_poll_ends("a removal", stream.next())
                .await
                .unwrap();
            assert_ne!(event.name, "cleared");
            if event.name == "removed" {
                found.push(removed(&event.data));
            }
        }
        assert!(found.contains(&json!(ids[1])), "{found:?}");
    }
    server.end().await;
}
