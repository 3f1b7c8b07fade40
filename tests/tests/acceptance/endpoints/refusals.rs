//! What is wrong with a request is told by its status.

use reqwest::Method;
use serde_json::{Value, json};
use tests::server::Running;

use super::{PNG, has_exactly, serve};

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_its_status() {
    serve(async |client| {
        client.post("/rooms", json!({ "name": "taken" })).await.ok();
        client.post("/rooms", json!({ "name": "tea" })).await.ok();
        client.post("/agents", json!({ "name": "Taken" })).await.ok();
        client.post("/agents", json!({ "name": "Ada" })).await.ok();
        let send = |change: Value| {
            let mut body = json!({ "content": "hello", "role": "user" });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            body
        };
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
            ("POST",   "/rooms/99/messages/send", send(json!({})), 404),
            ("POST",   "/rooms/2/messages/send", json!({ "role": "user" }), 422),
            ("POST",   "/rooms/2/messages/send", json!({ "content": "hello" }), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "role": "assistant" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "role": "nobody" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "participant_type": "agent" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "participant_type": "system" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "participant_type": "x" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "image_data": PNG })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "image_data": "!", "image_media_type": "image/png" })), 422),
            ("POST",   "/rooms/2/messages/send", send(json!({ "mentioned_agent_ids": "x" })), 422),
            ("POST",   "/agents", json!({ "name": "Taken" }), 409),
            ("POST",   "/agents", json!({}), 422),
            ("POST",   "/agents", json!({ "name": "../x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "group": "../x" }), 422),
            ("POST",   "/agents", json!({ "name": "a", "profile_pic": "data:image/png;base64,AAAA" }), 422),
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
            ("POST",   "/cache/invalidate", json!({ "key": "room_obj:1", "region": "room_obj" }), 422),
            ("POST",   "/cache/invalidate", json!({ "room_id": "x" }), 422),
            ("POST",   "/cache/invalidate", json!({ "region": "nowhere" }), 404),
            ("GET",    "/nowhere", none.clone(), 404),
            ("PUT",    "/rooms", none.clone(), 405),
        ];
        for (method, path, body, status) in rows {
            let text = (!body.is_null()).then(|| body.to_string());
            let answer = client.ask(method.parse().unwrap(), path, text, false).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.json());
            let detail = answer.refused(status);
            assert!(!detail.is_empty() && !detail.contains("SELECT"), "{method} {path} {body}: {detail}");
            assert_eq!(answer.header("cache-control"), "no-store", "{method} {path}");
            has_exactly(&answer.json(), &["detail"]);
        }
        let posts =
            ["/rooms", "/rooms/2/messages/send", "/agents", "/agents/2/memory", "/cache/invalidate"].map(|path| (Method::POST, path));
        for (method, path) in posts.into_iter().chain([(Method::PATCH, "/rooms/2"), (Method::PATCH, "/agents/2")]) {
            client.ask(method, path, Some("{".into()), false).await.refused(400);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let server = Running::start(|settings| settings.max_body_bytes = 1_000).await;
    let client = server.client();
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    let path = "/rooms/1/messages/send";
    client
        .post(
            path,
            json!({ "content": "x".repeat(1_001), "role": "user" }),
        )
        .await
        .refused(413);
    client
        .post(path, json!({ "content": "x".repeat(900), "role": "user" }))
        .await
        .ok();
    server.end().await;
}
