//! Messages: sending, showing, polling and waiting.

use domain::{AgentId, NewMessage, RoomId};
use serde_json::{Value, json};

use tests::{client::CacheMode, records::PIXEL_PNG, response::id_of, server::TestServer};

use super::{
    MESSAGE, assert_has_exactly, assert_is_time, begin_to_wait, on_each_database, on_each_server,
    response_of,
};

#[tokio::test]
async fn messages_are_sent_shown_and_cleared() {
    on_each_database(async |client| {
        let room = client.create_room("tea").await;
        let path = format!("/rooms/{room}/messages");
        let body = json!({
            "content": "hello",
            "role": "user",
            "participant_type": "character",
            "participant_name": "Queen",
            "image_data": PIXEL_PNG,
            "image_media_type": "image/png",
            "mentioned_agent_ids": [1],
        });
        let sent = client
            .post(&format!("{path}/send"), body.clone())
            .await
            .ok();
        assert_has_exactly(&sent, &MESSAGE);
        // The image is encoded anew, so its bytes differ.
        let unlike = ["mentioned_agent_ids", "image_data"];
        let fields = body.as_object().unwrap().iter();
        for (field, value) in fields.filter(|(field, _)| !unlike.contains(&field.as_str())) {
            assert_eq!(sent[field], *value, "{field}");
        }
        assert_eq!(
            (&sent["room_id"], &sent["interrupted"], &sent["agent_id"]),
            (&json!(room), &json!(false), &Value::Null)
        );
        assert_is_time(&sent["timestamp"]);
        assert_eq!(client.get(&path).await.ok(), json!([sent]));
        let shown = client.get(&format!("/rooms/{room}")).await.ok();
        assert_eq!(shown["messages"], json!([sent]));
        assert_eq!(shown["last_activity_at"], sent["timestamp"]);
        let mut ids = vec![id_of(&sent)];
        for number in 1..6 {
            ids.push(client.send_message(room, &number.to_string()).await);
        }
        let ids_of = async |query: &str| client.get(&format!("{path}{query}")).await.ids();
        assert_eq!(ids_of("?limit=2").await, ids[4..]);
        let before = format!("before={}", ids[3]);
        assert_eq!(ids_of(&format!("?limit=2&{before}")).await, ids[1..3]);
        assert_eq!(ids_of(&format!("?{before}")).await, ids[..3]);
        assert_eq!(
            ids_of("?limit=99999999999999999999999").await,
            ids,
            "a limit above the greatest number must count as the greatest"
        );
        let critics = format!("/rooms/{room}/critic-messages");
        assert_eq!(client.get(&critics).await.ok(), json!([]));
        let chatting = client.get(&format!("/rooms/{room}/chatting-agents")).await;
        assert_eq!(chatting.ok(), json!({ "chatting_agents": [] }));
        assert_has_exactly(&client.delete(&path).await.ok(), &["message"]);
        assert_eq!(client.get(&path).await.ok(), json!([]));
        assert!(
            client.send_message(room, "again").await > ids[5],
            "an id must not be used twice"
        );
    })
    .await;
}

#[tokio::test]
async fn critic_messages_are_those_of_agents_that_are_critics_now() {
    on_each_server(async |client, server| {
        let room = client.create_room("tea").await;
        let messages = &server.app().cache.repositories.messages;
        let mut agents = Vec::new();
        let mut answers = Vec::new();
        for (name, is_critic) in [("Ada", true), ("Bob", false)] {
            let agent = client
                .create_agent_with(name, json!({ "is_critic": is_critic }))
                .await;
            client.add_member(room, agent).await;
            let new = NewMessage::from_agent(RoomId(room), AgentId(agent), name);
            answers.push(messages.append(new).await.unwrap().id.0);
            agents.push(agent);
        }
        let path = format!("/rooms/{room}/critic-messages");
        let response = client.get(&path).await;
        assert_has_exactly(&response.items()[0], &MESSAGE);
        assert_eq!(response.ids(), answers[..1]);
        assert_eq!(response.items()[0]["agent_name"], "Ada");
        let change = json!({ "is_critic": true, "name": "Bobby" });
        let bob = format!("/agents/{}", agents[1]);
        client.patch(&bob, change).await.ok();
        let response = client.get(&path).await;
        assert_eq!(response.ids(), answers);
        assert_eq!(response.items()[1]["agent_name"], "Bobby");
    })
    .await;
}

#[tokio::test]
async fn a_poll_returns_the_oldest_messages_above_an_id_or_the_newest_ones() {
    on_each_database(async |client| {
        let room = client.create_room("tea").await;
        let path = format!("/rooms/{room}/messages/poll");
        let ids_of = async |query: &str| client.get(&format!("{path}{query}")).await.ids();
        assert_eq!(ids_of("").await, [0; 0]);
        assert_eq!(ids_of("?wait=0.01").await, [0; 0], "no message arrived");
        let mut ids = Vec::new();
        for number in 0..105 {
            ids.push(client.send_message(room, &number.to_string()).await);
        }
        let since = |index: usize| format!("?since_id={}", ids[index]);
        assert_eq!(ids_of("").await, ids[5..], "the newest 100");
        assert_eq!(ids_of("?since_id=0").await, ids[..100], "the oldest 100");
        assert_eq!(ids_of("?limit=3").await, ids[102..]);
        assert_eq!(ids_of(&(since(9) + "&limit=3")).await, ids[10..13]);
        assert_eq!(ids_of(&(since(0) + "&limit=5000")).await, ids[1..]);
        assert_eq!(
            ids_of(&(since(103) + "&wait=30")).await,
            ids[104..],
            "a poll must not wait if there are messages"
        );
        assert_eq!(ids_of(&since(104)).await, [0; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_waiting_poll_is_answered_by_a_message_that_is_sent_meanwhile() {
    on_each_server(async |client, server| {
        let room = client.create_room("tea").await;
        let first = client.send_message(room, "first").await;
        let waiting = begin_to_wait(server, room, first, CacheMode::Cached).await;
        let second = client.send_message(room, "second").await;
        assert_eq!(response_of(waiting).await.ids(), [second]);
        let waiting = begin_to_wait(server, room, second, CacheMode::Bypass).await;
        let third = client.send_message(room, "third").await;
        assert_eq!(response_of(waiting).await.ids(), [third]);
    })
    .await;
}

#[tokio::test]
async fn a_wait_in_a_room_that_is_deleted_meanwhile_ends_with_404() {
    on_each_server(async |client, server| {
        let room = client.create_room("tea").await;
        let waiting = begin_to_wait(server, room, 0, CacheMode::Cached).await;
        client.delete(&format!("/rooms/{room}")).await.ok();
        response_of(waiting).await.refused(404);
    })
    .await;
}

#[tokio::test]
async fn a_wait_of_a_guest_whose_token_is_revoked_ends_with_401() {
    let server = TestServer::start(|_| {}).await;
    let guest = server.guest();
    let room = guest.create_room("tea").await;
    let path = format!("/rooms/{room}/messages/poll?since_id=0&wait=30");
    let waiting = tokio::spawn(async move { guest.get(&path).await });
    server.wait_for_listeners(room, 1).await;
    let admin = server.client();
    let role = json!({ "role": "guest" });
    admin.post("/auth/revoke", role).await.ok();
    response_of(waiting).await.refused(401);
    server.end().await;
}

#[tokio::test]
async fn a_room_of_1200_messages_is_streamed_as_one_list() {
    on_each_server(async |client, server| {
        let room = client.create_room("tea").await;
        let messages = &server.app().cache.repositories.messages;
        let mut ids = Vec::new();
        for number in 0..1_200 {
            let new = NewMessage::from_user(RoomId(room), number.to_string());
            ids.push(messages.append(new).await.unwrap().id.0);
        }
        let path = format!("/rooms/{room}/messages");
        let response = client.get(&path).await;
        assert_eq!(response.header("content-type"), "application/json");
        assert_eq!(
            response.header("content-length"),
            "",
            "a streamed response has no length"
        );
        assert_eq!(response.ids(), ids);
        assert_has_exactly(&response.items()[1_199], &MESSAGE);
        for end in [500, 501, 1_000] {
            let older = client.get(&format!("{path}?before={}", ids[end])).await;
            assert_eq!(older.ids(), ids[..end], "before message {end}");
        }
        let limited = client.get(&format!("{path}?limit=1000")).await;
        assert_eq!(limited.ids(), ids[200..]);
        let shown = client.get(&format!("/rooms/{room}")).await.ok();
        assert_eq!(shown["messages"].as_array().unwrap().len(), 200);
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_long_messages_has_a_bounded_size_and_polls_read_the_rest() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let long = "\u{1}".repeat(32_768);
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(client.send_message(room, &long).await);
    }
    let bounded = |response: &tests::response::HttpResponse| {
        let bytes = response.json().to_string().len();
        assert!(bytes < 2 << 20, "{bytes}");
    };
    let mut polled: Vec<i64> = Vec::new();
    while polled.len() < ids.len() {
        let since = polled.last().copied().unwrap_or(0);
        let path = format!("/rooms/{room}/messages/poll?since_id={since}&limit=1000");
        let response = client.get(&path).await;
        bounded(&response);
        polled.extend(response.ids());
    }
    assert_eq!(polled, ids);
    let newest = client
        .get(&format!("/rooms/{room}/messages?limit=1000"))
        .await;
    bounded(&newest);
    assert!(ids.ends_with(&newest.ids()) && newest.ids().len() > 1);
    let shown = client.get(&format!("/rooms/{room}")).await;
    bounded(&shown);
    let shown: Vec<_> = shown.json()["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(id_of)
        .collect();
    assert!(ids.ends_with(&shown) && shown.len() > 1);
    let history = client.get(&format!("/rooms/{room}/messages")).await;
    assert_eq!(history.ids(), ids, "the whole history is streamed in parts");
    server.end().await;
}
