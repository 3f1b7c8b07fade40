//! Rooms and their members.

use serde_json::{Value, json};

use super::{AGENT, ROOM, assert_has_exactly, assert_is_time, on_each_database};

#[tokio::test]
async fn rooms_are_created_shown_changed_and_deleted() {
    on_each_database(async |client| {
        let room = client
            .post(
                "/rooms",
                json!({ "name": "tea", "max_interactions": 5, "unknown": 1 }),
            )
            .await
            .ok();
        assert_has_exactly(&room, &ROOM);
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
        assert_is_time(&room["created_at"]);
        let path = format!("/rooms/{}", room["id"]);
        assert_eq!(client.get(&path).await.ok(), room);
        let summaries = client.get("/rooms").await.ok();
        let summary: Vec<_> = ROOM[..10].iter().copied().chain(["has_unread"]).collect();
        assert_has_exactly(&summaries[0], &summary);

        let changed = client.patch(&path, json!({ "name": "coffee" })).await.ok();
        assert_eq!(
            (&changed["name"], &changed["max_interactions"]),
            (&json!("coffee"), &json!(5)),
            "a missing field must not change"
        );
        let changed = client
            .patch(&path, json!({ "max_interactions": null }))
            .await
            .ok();
        assert_eq!(
            changed["max_interactions"],
            Value::Null,
            "null must remove the limit"
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
            "a user's message must reset it"
        );

        assert_eq!(client.get("/rooms").await.ok()[0]["has_unread"], true);
        let marked = client
            .post(&format!("{path}/mark-read"), Value::Null)
            .await
            .ok();
        assert_has_exactly(&marked, &["message", "last_read_at"]);
        assert_is_time(&marked["last_read_at"]);
        let read = client.get("/rooms").await.ok();
        assert_eq!(
            (&read[0]["has_unread"], &read[0]["last_read_at"]),
            (&json!(false), &marked["last_read_at"])
        );

        assert_has_exactly(&client.delete(&path).await.ok(), &["message"]);
        client.get(&path).await.refused(404);
        assert_eq!(client.get("/rooms").await.ok(), json!([]));
        let next = client
            .post("/rooms", json!({ "name": "coffee" }))
            .await
            .ok();
        assert!(
            next["id"].as_i64() > room["id"].as_i64(),
            "an id must not be used twice"
        );
    })
    .await;
}

#[tokio::test]
async fn rooms_with_unread_messages_come_first_and_then_the_most_recently_active() {
    on_each_database(async |client| {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(client.create_room(name).await);
        }
        for id in [ids[1], ids[0]] {
            client.send_message(id, "hello").await;
        }
        client
            .post(&format!("/rooms/{}/mark-read", ids[0]), Value::Null)
            .await
            .ok();
        let order = client.get("/rooms").await.ids();
        assert_eq!(order, [ids[1], ids[0], ids[2]]);
    })
    .await;
}

#[tokio::test]
async fn agents_join_and_leave_rooms() {
    on_each_database(async |client| {
        let agent = client.post("/agents", json!({ "name": "Ada" })).await.ok();
        let room = client.create_room("tea").await;
        let members = format!("/rooms/{room}/agents");
        let member = format!("{members}/{}", agent["id"]);
        assert_eq!(client.get(&members).await.ok(), json!([]));
        for _ in 0..2 {
            let shown = client.post(&member, Value::Null).await.ok();
            assert_has_exactly(&shown, &ROOM);
            assert_eq!(
                (
                    shown["agents"].as_array().unwrap().len(),
                    &shown["messages"]
                ),
                (1, &json!([]))
            );
        }
        assert_has_exactly(&client.get(&members).await.ok()[0], &AGENT);
        assert_has_exactly(&client.delete(&member).await.ok(), &["message"]);
        client.delete(&member).await.refused(404);
        client.send_message(room, "hello").await;
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
