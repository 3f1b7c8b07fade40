//! Tests that each kind of invalid request is refused with its status.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{client::body_text, records::PIXEL_PNG, server::TestServer};

use super::{assert_has_exactly, on_each_database};

/// The path for sending messages to the second room.
const SEND: &str = "/rooms/2/messages/send";

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn each_invalid_request_is_refused_with_its_status() {
    on_each_database(async |client| {
        client.post("/rooms", json!({ "name": "taken" })).await.ok();
        client.post("/rooms", json!({ "name": "tea" })).await.ok();
        client
            .post("/agents", json!({ "name": "Taken" }))
            .await
            .ok();
        client.post("/agents", json!({ "name": "Ada" })).await.ok();
        client.post("/rooms/2/agents/2", Value::Null).await.ok();
        // Returns the body of a valid message, with changed fields.
        let message = |change: Value| {
            let mut body = json!({ "content": "hello", "role": "user" });
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
            body
        };
        let bad_image = message(json!({ "image_data": "!", "image_media_type": "image/png" }));
        let bad_picture = json!({ "name": "a", "profile_pic": "data:image/png;base64,AAAA" });
        let two_selectors = json!({ "key": "room_obj:1", "region": "room_obj" });
        let none = Value::Null;
        #[rustfmt::skip] // One row a line.
        let rows = [
            ("POST",   "/rooms", json!({ "name": "taken" }), 409),
            ("POST",   "/rooms", json!({ "name": "  " }), 422),
            ("POST",   "/rooms", json!({}), 422),
            ("POST",   "/rooms", json!({ "name": 7 }), 422),
            ("POST",   "/rooms", json!([]), 422),
            ("POST",   "/rooms", json!({ "name": "a", "max_interactions": -1 }), 422),
            ("GET",    "/rooms/99", none.clone(), 404),
            ("GET",    "/rooms/0", none.clone(), 422),
            ("GET",    "/rooms/-1", none.clone(), 422),
            ("GET",    "/rooms/x", none.clone(), 422),
            ("PATCH",  "/rooms/99", json!({}), 404),
            ("PATCH",  "/rooms/2", json!({ "name": "taken" }), 409),
            ("PATCH",  "/rooms/2", json!({ "name": "" }), 422),
            ("PATCH",  "/rooms/2", json!({ "max_interactions": -1 }), 422),
            ("PATCH",  "/rooms/2", json!({ "is_paused": "yes" }), 422),
            ("POST",   "/rooms/99/pause", none.clone(), 404),
            ("POST",   "/rooms/99/resume", none.clone(), 404),
            ("POST",   "/rooms/99/retry", none.clone(), 404),
            ("POST",   "/rooms/99/mark-read", none.clone(), 404),
            ("DELETE", "/rooms/99", none.clone(), 404),
            ("DELETE", "/rooms/x", none.clone(), 422),
            ("GET",    "/rooms/99/agents", none.clone(), 404),
            ("POST",   "/rooms/2/agents/99", none.clone(), 404),
            ("POST",   "/rooms/99/agents/1", none.clone(), 404),
            ("POST",   "/rooms/2/agents/x", none.clone(), 422),
            ("DELETE", "/rooms/2/agents/1", none.clone(), 404),
            ("DELETE", "/rooms/99/agents/1", none.clone(), 404),
            ("GET",    "/rooms/99/messages", none.clone(), 404),
            ("GET",    "/rooms/2/messages?limit=0", none.clone(), 422),
            ("GET",    "/rooms/2/messages?limit=x", none.clone(), 422),
            ("GET",    "/rooms/2/messages?before=x", none.clone(), 422),
            ("DELETE", "/rooms/99/messages", none.clone(), 404),
            ("GET",    "/rooms/99/messages/poll", none.clone(), 404),
            ("GET",    "/rooms/2/messages/poll?since_id=x", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?limit=0", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?wait=-1", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?wait=x", none.clone(), 422),
            ("GET",    "/rooms/2/messages/poll?wait=NaN", none.clone(), 422),
            ("GET",    "/rooms/99/chatting-agents", none.clone(), 404),
            ("GET",    "/rooms/99/critic-messages", none.clone(), 404),
            ("POST",   "/rooms/99/messages/send", message(json!({})), 404),
            ("POST",   SEND, json!({ "role": "user" }), 422),
            ("POST",   SEND, json!({ "content": "hello" }), 422),
            ("POST",   SEND, message(json!({ "role": "assistant" })), 422),
            ("POST",   SEND, message(json!({ "role": "nobody" })), 422),
            ("POST",   SEND, message(json!({ "participant_type": "agent" })), 422),
            ("POST",   SEND, message(json!({ "participant_type": "system" })), 422),
            ("POST",   SEND, message(json!({ "participant_type": "x" })), 422),
            ("POST",   SEND, message(json!({ "content": " \n" })), 422),
            ("POST",   SEND, message(json!({ "participant_name": "a\nb" })), 422),
            ("POST",   SEND, message(json!({ "participant_name": "\u{1b}[31m" })), 422),
            ("POST",   SEND, message(json!({ "participant_name": "a\u{2028}b" })), 422),
            ("POST",   SEND, message(json!({ "participant_name": " ada" })), 422),
            ("POST",   SEND, message(json!({ "participant_name": "Ada:" })), 422),
            ("POST",   SEND, message(json!({ "participant_name": "System" })), 422),
            ("POST",   SEND, message(json!({ "image_data": PIXEL_PNG })), 422),
            ("POST",   SEND, bad_image, 422),
            ("POST",   SEND, message(json!({ "mentioned_agent_ids": "x" })), 422),
            ("POST",   "/agents", json!({ "name": "Taken" }), 409),
            ("POST",   "/agents", json!({}), 422),
            ("POST",   "/agents", json!({ "name": "../x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "group": "../x" }), 422),
            ("POST",   "/agents", bad_picture, 422),
            ("POST",   "/agents", json!({ "name": "a", "profile_pic": "x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "is_critic": 1 }), 422),
            ("GET",    "/agents/99", none.clone(), 404),
            ("GET",    "/agents/x", none.clone(), 422),
            ("PATCH",  "/agents/99", json!({}), 404),
            ("PATCH",  "/agents/2", json!({ "name": "Taken" }), 409),
            ("PATCH",  "/agents/2", json!({ "name": "" }), 422),
            ("PATCH",  "/agents/2", json!({ "priority": "high" }), 422),
            ("DELETE", "/agents/99", none.clone(), 404),
            ("POST",   "/agents/99/reload", none.clone(), 404),
            ("POST",   "/agents/99/memory", json!({ "text": "hm" }), 404),
            ("POST",   "/agents/2/memory", json!({}), 422),
            ("POST",   "/agents/2/memory", json!({ "text": " " }), 422),
            ("GET",    "/agents/99/direct-room", none.clone(), 404),
            ("GET",    "/agents/Ada/profile-pic", none.clone(), 404),
            ("POST",   "/cache/invalidate", json!({}), 422),
            ("POST",   "/cache/invalidate", two_selectors, 422),
            ("POST",   "/cache/invalidate", json!({ "room_id": "x" }), 422),
            ("POST",   "/cache/invalidate", json!({ "region": "nowhere" }), 404),
            ("GET",    "/nowhere", none.clone(), 404),
            ("PUT",    "/rooms", none.clone(), 405),
        ];
        for (method, path, body, status) in rows {
            let request = format!("{method} {path} {body}");
            let text = body_text(&body);
            let response = client.call(method.parse().unwrap(), path, text).await;
            assert_eq!(
                response.status.as_u16(),
                status,
                "{request}: {}",
                response.json()
            );
            let detail = response.refused(status);
            assert!(
                !detail.is_empty() && !detail.contains("SELECT"),
                "{request} must have a detail without SQL: {detail}"
            );
            assert_eq!(response.header("cache-control"), "no-store", "{request}");
            let mut body = response.json();
            // The error of a field also says where the field is.
            body.as_object_mut().unwrap().remove("loc");
            assert_has_exactly(&body, &["detail"]);
        }
        for (method, path) in [
            (Method::POST, "/rooms"),
            (Method::POST, SEND),
            (Method::POST, "/agents"),
            (Method::POST, "/agents/2/memory"),
            (Method::POST, "/cache/invalidate"),
            (Method::PATCH, "/rooms/2"),
            (Method::PATCH, "/agents/2"),
        ] {
            let malformed = client.call(method, path, Some("{".into()));
            malformed.await.refused(400);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let server = TestServer::start(|settings| settings.max_body_bytes = 1_000).await;
    let client = server.client();
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    let path = "/rooms/1/messages/send";
    let message = |length: usize| json!({ "content": "x".repeat(length), "role": "user" });
    client.post(path, message(1_001)).await.refused(413);
    client.post(path, message(900)).await.ok();
    server.end().await;
}
