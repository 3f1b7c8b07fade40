//! Messages: sent, shown, polled, waited for.

use serde_json::{Value, json};

use super::{MESSAGE, PNG, has_exactly, is_time, send, serve, serve_with, shown, soon, waits};

#[tokio::test]
async fn messages_are_sent_shown_and_cleared() {
    serve(async |client| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"].as_i64().unwrap();
        let path = format!("/rooms/{room}/messages");
        let body = json!({
            "content": "hello", "role": "user", "participant_type": "character", "participant_name": "Queen",
            "image_data": PNG, "image_media_type": "image/png", "mentioned_agent_ids": [1],
        });
        let sent = client.post(&format!("{path}/send"), body.clone()).await.ok();
        has_exactly(&sent, &MESSAGE);
        for (field, value) in body.as_object().unwrap().iter().filter(|(field, _)| *field != "mentioned_agent_ids") {
            assert_eq!(sent[field], *value, "{field}");
        }
        assert_eq!((&sent["room_id"], &sent["interrupted"], &sent["agent_id"]), (&json!(room), &json!(false), &Value::Null));
        is_time(&sent["timestamp"]);
        assert_eq!(client.get(&path).await.ok(), json!([sent]));
        assert_eq!(client.get(&format!("/rooms/{room}")).await.ok()["messages"], json!([sent]));
        assert_eq!(client.get(&format!("/rooms/{room}")).await.ok()["last_activity_at"], sent["timestamp"]);
        let mut ids = vec![sent["id"].as_i64().unwrap()];
        for number in 1..6 {
            ids.push(send(client, room, &number.to_string()).await);
        }
        assert_eq!(shown(&client.get(&format!("{path}?limit=2")).await), ids[4..]);
        assert_eq!(shown(&client.get(&format!("{path}?limit=2&before={}", ids[3])).await), ids[1..3]);
        assert_eq!(shown(&client.get(&format!("{path}?before={}", ids[3])).await), ids[..3]);
        assert_eq!(shown(&client.get(&format!("{path}?limit=99999999999999999999999")).await), ids, "above the greatest is the greatest");
        assert_eq!(client.get(&format!("/rooms/{room}/critic-messages")).await.ok(), json!([]));
        assert_eq!(client.get(&format!("/rooms/{room}/chatting-agents")).await.ok(), json!({ "chatting_agents": [] }));
        has_exactly(&client.delete(&path).await.ok(), &["message"]);
        assert_eq!(client.get(&path).await.ok(), json!([]));
        assert!(send(client, room, "again").await > ids[5], "an id is never used twice");
    })
    .await;
}

#[tokio::test]
async fn critics_messages_are_those_of_agents_that_are_critics_now() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let ports = &server.app().cache.repositories;
        let mut said = Vec::new();
        for (name, is_critic) in [("Ada", true), ("Bob", false)] {
            let agent = client
                .post("/agents", json!({ "name": name, "is_critic": is_critic }))
                .await
                .ok()["id"]
                .as_i64()
                .unwrap();
            client
                .post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
                .await
                .ok();
            let new =
                domain::NewMessage::from_agent(domain::RoomId(room), domain::AgentId(agent), name);
            said.push((agent, ports.messages.append(new).await.unwrap().id.0));
        }
        let path = format!("/rooms/{room}/critic-messages");
        let answer = client.get(&path).await;
        has_exactly(&answer.ok()[0], &MESSAGE);
        assert_eq!(
            (shown(&answer), &answer.ok()[0]["agent_name"]),
            (vec![said[0].1], &json!("Ada"))
        );
        client
            .patch(
                &format!("/agents/{}", said[1].0),
                json!({ "is_critic": true, "name": "Bobby" }),
            )
            .await
            .ok();
        let answer = client.get(&path).await;
        assert_eq!(
            (shown(&answer), &answer.ok()[1]["agent_name"]),
            (vec![said[0].1, said[1].1], &json!("Bobby"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_poll_gives_the_oldest_messages_above_an_id_or_the_newest() {
    serve(async |client| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let path = format!("/rooms/{room}/messages/poll");
        assert_eq!(client.get(&path).await.ok(), json!([]));
        assert_eq!(
            client.get(&format!("{path}?wait=0.01")).await.ok(),
            json!([]),
            "nothing came"
        );
        let mut ids = Vec::new();
        for number in 0..105 {
            ids.push(send(client, room, &number.to_string()).await);
        }
        assert_eq!(shown(&client.get(&path).await), ids[5..], "the newest 100");
        assert_eq!(
            shown(&client.get(&format!("{path}?since_id=0")).await),
            ids[..100],
            "the oldest 100"
        );
        assert_eq!(
            shown(&client.get(&format!("{path}?limit=3")).await),
            ids[102..]
        );
        assert_eq!(
            shown(
                &client
                    .get(&format!("{path}?since_id={}&limit=3", ids[9]))
                    .await
            ),
            ids[10..13]
        );
        assert_eq!(
            shown(
                &client
                    .get(&format!("{path}?since_id={}&limit=5000", ids[0]))
                    .await
            ),
            ids[1..]
        );
        assert_eq!(
            shown(
                &client
                    .get(&format!("{path}?since_id={}&wait=30", ids[103]))
                    .await
            ),
            ids[104..],
            "there is something at once"
        );
        assert_eq!(
            client
                .get(&format!("{path}?since_id={}", ids[104]))
                .await
                .ok(),
            json!([])
        );
    })
    .await;
}

#[tokio::test]
async fn a_waiting_poll_is_answered_by_a_message_that_is_sent_meanwhile() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let first = send(client, room, "first").await;
        let path = format!("/rooms/{room}/messages/poll?since_id={first}&wait=30");
        let waiting = waits(server, &path, room, false).await;
        let second = send(client, room, "second").await;
        assert_eq!(shown(&soon(waiting).await), [second]);
        let waiting = waits(
            server,
            &format!("/rooms/{room}/messages/poll?since_id={second}&wait=30"),
            room,
            true,
        )
        .await;
        let third = send(client, room, "third").await;
        assert_eq!(shown(&soon(waiting).await), [third]);
    })
    .await;
}

#[tokio::test]
async fn a_wait_in_a_room_that_is_deleted_meanwhile_ends_with_404() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let waiting = waits(
            server,
            &format!("/rooms/{room}/messages/poll?since_id=0&wait=30"),
            room,
            false,
        )
        .await;
        client.delete(&format!("/rooms/{room}")).await.ok();
        soon(waiting).await.refused(404);
    })
    .await;
}

#[tokio::test]
async fn a_room_of_1200_messages_is_streamed_as_one_list() {
    serve_with(async |client, server| {
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let ports = &server.app().cache.repositories;
        let mut ids = Vec::new();
        for number in 0..1_200 {
            let new = domain::NewMessage::from_user(domain::RoomId(room), number.to_string());
            ids.push(ports.messages.append(new).await.unwrap().id.0);
        }
        let answer = client.get(&format!("/rooms/{room}/messages")).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("content-length"), "", "it is streamed");
        assert_eq!(shown(&answer), ids);
        has_exactly(&answer.ok()[1_199], &MESSAGE);
        for end in [500, 501, 1_000] {
            let before = client
                .get(&format!("/rooms/{room}/messages?before={}", ids[end]))
                .await;
            assert_eq!(shown(&before), ids[..end], "before message {end}");
        }
        assert_eq!(
            shown(
                &client
                    .get(&format!("/rooms/{room}/messages?limit=1000"))
                    .await
            ),
            ids[200..]
        );
        assert_eq!(
            client.get(&format!("/rooms/{room}")).await.ok()["messages"]
                .as_array()
                .unwrap()
                .len(),
            200
        );
    })
    .await;
}
