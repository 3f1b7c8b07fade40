//! Rooms, and who is in them.

use serde_json::{Value, json};

use super::{AGENT, ROOM, has_exactly, is_time, send, serve};

#[tokio::test]
async fn rooms_are_made_shown_changed_and_deleted() {
    serve(async |client| {
        let room = client
            .post(
                "/rooms",
                json!({ "name": "tea", "max_interactions": 5, "unknown": 1 }),
            )
            .await
            .ok();
        has_exactly(&room, &ROOM);
        assert_eq!(
            (&room["name"], &room["owner_id"], &room["max_interactions"]),
            (&json!("tea"), &json!("admin"), &json!(5))
        );
        assert_eq!(
            (&room["is_paused"], &room["is_finished"]),
            (&json!(false), &json!(false))
        );
        for field in ["last_activity_at", "last_read_at", "last_error"] {
            assert_eq!(room[field], Value::Null, "{field}");
        }
        is_time(&room["created_at"]);
        let path = format!("/rooms/{}", room["id"]);
        assert_eq!(client.get(&path).await.ok(), room);
        let summaries = client.get("/rooms").await.ok();
        let summary: Vec<_> = ROOM[..10].iter().copied().chain(["has_unread"]).collect();
        has_exactly(&summaries[0], &summary);

        let changed = client.patch(&path, json!({ "name": "coffee" })).await.ok();
        assert_eq!(
            (&changed["name"], &changed["max_interactions"]),
            (&json!("coffee"), &json!(5)),
            "an absent field stays"
        );
        let changed = client
            .patch(&path, json!({ "max_interactions": null }))
            .await
            .ok();
        assert_eq!(
            changed["max_interactions"],
            Value::Null,
            "null removes the limit"
        );
        assert_eq!(
            client
                .post(&format!("{path}/pause"), Value::Null)
                .await
                .ok()["is_paused"],
            true
        );
        assert_eq!(client.get(&path).await.ok()["is_paused"], true);
        assert_eq!(
            client
                .post(&format!("{path}/resume"), Value::Null)
                .await
                .ok()["is_paused"],
            false
        );
        assert_eq!(
            client
                .patch(&path, json!({ "is_finished": true }))
                .await
                .ok()["is_finished"],
            true
        );
        client
            .post(
                &format!("{path}/messages/send"),
                json!({ "content": "more", "role": "user" }),
            )
            .await
            .ok();
        assert_eq!(
            client.get(&path).await.ok()["is_finished"],
            false,
            "a message from a user clears it"
        );

        assert_eq!(client.get("/rooms").await.ok()[0]["has_unread"], true);
        let marked = client
            .post(&format!("{path}/mark-read"), Value::Null)
            .await
            .ok();
        has_exactly(&marked, &["message", "last_read_at"]);
        is_time(&marked["last_read_at"]);
        let read = client.get("/rooms").await.ok();
        assert_eq!(
            (&read[0]["has_unread"], &read[0]["last_read_at"]),
            (&json!(false), &marked["last_read_at"])
        );

        has_exactly(&client.delete(&path).await.ok(), &["message"]);
        client.get(&path).await.refused(404);
        assert_eq!(client.get("/rooms").await.ok(), json!([]));
        let next = client
            .post("/rooms", json!({ "name": "coffee" }))
            .await
            .ok();
        assert!(
            next["id"].as_i64() > room["id"].as_i64(),
            "an id is never used twice"
        );
    })
    .await;
}

#[tokio::test]
async fn rooms_with_unread_messages_come_first_and_then_the_latest_active() {
    serve(async |client| {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(
                client.post("/rooms", json!({ "name": name })).await.ok()["id"]
                    .as_i64()
                    .unwrap(),
            );
        }
        for id in [ids[1], ids[0]] {
            send(client, id, "hello").await;
        }
        client
            .post(&format!("/rooms/{}/mark-read", ids[0]), Value::Null)
            .await
            .ok();
        let order: Vec<_> = client
            .get("/rooms")
            .await
            .ok()
            .as_array()
            .unwrap()
            .iter()
            .map(|room| room["id"].as_i64().unwrap())
            .collect();
        assert_eq!(order, [ids[1], ids[0], ids[2]]);
    })
    .await;
}

#[tokio::test]
async fn agents_join_and_leave_rooms() {
    serve(async |client| {
        let agent = client.post("/agents", json!({ "name": "Ada" })).await.ok();
        let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        let members = format!("/rooms/{room}/agents");
        let member = format!("{members}/{}", agent["id"]);
        assert_eq!(client.get(&members).await.ok(), json!([]));
        for _ in 0..2 {
            let shown = client.post(&member, Value::Null).await.ok();
            has_exactly(&shown, &ROOM);
            assert_eq!(
                (
                    shown["agents"].as_array().unwrap().len(),
                    &shown["messages"]
                ),
                (1, &json!([]))
            );
        }
        has_exactly(&client.get(&members).await.ok()[0], &AGENT);
        has_exactly(&client.delete(&member).await.ok(), &["message"]);
        client.delete(&member).await.refused(404);
        send(client, room, "hello").await;
        client.post(&member, Value::Null).await.ok();
        let joined = &client.get(&format!("/rooms/{room}/messages")).await.ok()[1];
        assert_eq!(
            (&joined["content"], &joined["participant_type"]),
            (&json!("Ada joined the chat"), &json!("system"))
        );
        client
            .delete(&format!("/agents/{}", agent["id"]))
            .await
            .ok();
        assert_eq!(client.get(&members).await.ok(), json!([]));
        client.post(&member, Value::Null).await.refused(404);
        client.delete(&member).await.ok();
    })
    .await;
}
