//! Messages that are sent again under the same `Idempotency-Key`.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{client::Client, response::HttpResponse, server::TestServer};

async fn send(client: &Client, room: i64, key: &str, body: &Value) -> HttpResponse {
    let path = format!("/rooms/{room}/messages/send");
    let request = client
        .request(Method::POST, &path)
        .header("idempotency-key", key)
        .body(body.to_string());
    client.send(&path, request).await
}

#[tokio::test]
async fn a_message_is_stored_once_however_often_it_is_sent() {
    for server in TestServer::start_on_each_database("keys of messages on PostgreSQL").await {
        let (client, guest) = (server.client(), server.guest());
        let room = guest.create_room("tea").await;
        let other_room = guest.create_room("cake").await;
        let body = json!({ "content": "hello", "role": "user" });
        let other = json!({ "content": "bye", "role": "user" });
        let requests = (0..8).map(|_| {
            let (guest, body) = (guest.clone(), body.clone());
            tokio::spawn(async move { send(&guest, room, "a key", &body).await.ok() })
        });
        let mut answers = Vec::new();
        for request in requests.collect::<Vec<_>>() {
            answers.push(request.await.unwrap());
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
        let log = guest.get(&format!("/rooms/{room}/messages")).await.ok();
        assert_eq!(log, json!([answers[0]]));

        send(&guest, room, "a key", &other).await.refused(409);
        send(&guest, other_room, "a key", &body).await.refused(409);
        send(&guest, room, "another key", &body).await.ok();
        send(&client, room, "a key", &other).await.ok();
        let id = &answers[0]["id"];
        client
            .delete(&format!("/rooms/{room}/messages/{id}"))
            .await
            .ok();
        let deleted = send(&guest, room, "a key", &body).await;
        assert!(deleted.refused(409).contains("deleted"));
        for key in ["", "\u{e9}", &"x".repeat(256)] {
            send(&guest, room, key, &body).await.refused(422);
        }
        server.end().await;
    }
}
