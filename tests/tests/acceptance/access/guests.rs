//! Guests: their own rooms, and nobody else's.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    random::Random,
    server::{Client, Running},
};

use super::operations;

/// One on each store.
async fn servers() -> Vec<Running> {
    let mut servers = vec![Running::start(|_| {}).await];
    if let Some(database) = tests::postgres::database("guests on PostgreSQL").await {
        servers.push(Running::start(|settings| settings.database = database).await);
    }
    servers
}

const SECRET: &str = "a secret of the other guest";

async fn room_of(guest: &Client, name: &str) -> i64 {
    let room = guest.post("/rooms", json!({ "name": name })).await.ok()["id"]
        .as_i64()
        .unwrap();
    guest
        .post(
            &format!("/rooms/{room}/messages/send"),
            json!({ "content": SECRET, "role": "user" }),
        )
        .await
        .ok();
    room
}

#[tokio::test]
async fn a_guest_sees_and_changes_its_own_rooms_only() {
    for server in servers().await {
        let (admin, one, other) = (server.client(), server.guest(), server.guest());
        let (of_one, of_other) = (
            room_of(&one, "same name").await,
            room_of(&other, "same name").await,
        );
        let listed = |rooms: Value| {
            rooms
                .as_array()
                .unwrap()
                .iter()
                .map(|room| room["id"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(listed(one.get("/rooms").await.ok()), [of_one]);
        assert_eq!(listed(other.get("/rooms").await.ok()), [of_other]);
        assert_eq!(admin.get("/rooms").await.ok().as_array().unwrap().len(), 2);
        one.patch(&format!("/rooms/{of_one}"), json!({ "name": "mine" }))
            .await
            .ok();
        one.patch(&format!("/rooms/{of_other}"), json!({ "name": "mine" }))
            .await
            .refused(403);
        admin.get(&format!("/rooms/{of_one}")).await.ok();
        admin
            .post(&format!("/rooms/{of_one}/mark-read"), Value::Null)
            .await
            .ok();
        assert_eq!(
            one.get("/rooms").await.ok()[0]["has_unread"],
            true,
            "each reads for itself"
        );
        server.end().await;
    }
}

#[tokio::test]
async fn what_is_the_administrators_is_403_for_a_guest() {
    for server in servers().await {
        let (admin, guest) = (server.client(), server.guest());
        let room = room_of(&guest, "mine").await;
        let agent = admin.post("/agents", json!({ "name": "Ada" })).await.ok()["id"]
            .as_i64()
            .unwrap();
        guest
            .post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
            .await
            .ok();
        let (ada, own) = (format!("/agents/{agent}"), format!("/rooms/{room}"));
        #[rustfmt::skip] // One row a line.
        let rows = [
            ("DELETE", own.clone(),                      Value::Null),
            ("DELETE", format!("{own}/agents/{agent}"),  Value::Null),
            ("DELETE", format!("{own}/messages"),        Value::Null),
            ("POST",   "/agents".into(),                 json!({ "name": "Bob" })),
            ("PATCH",  ada.clone(),                      json!({ "priority": 1 })),
            ("POST",   format!("{ada}/reload"),          Value::Null),
            ("POST",   format!("{ada}/memory"),          json!({ "text": "x" })),
            ("DELETE", ada.clone(),                      Value::Null),
            ("GET",    "/cache/stats".into(),            Value::Null),
            ("POST",   "/cache/invalidate".into(),       json!({ "room_id": 1 })),
            ("POST",   "/cache/clear".into(),            Value::Null),
            ("POST",   "/cache/cleanup".into(),          Value::Null),
            ("GET",    "/metrics".into(),                Value::Null),
            ("POST",   "/auth/revoke".into(),            json!({ "role": "admin" })),
        ];
        for (method, path, body) in rows {
            let body = (!body.is_null()).then(|| body.to_string());
            let answer = guest.ask(method.parse().unwrap(), &path, body, false).await;
            assert_eq!(answer.status.as_u16(), 403, "{method} {path}");
        }
        for path in [
            "/agents",
            &ada,
            "/agents/configs",
            &format!("{ada}/direct-room"),
            &format!("{own}/messages"),
            &format!("{own}/agents"),
        ] {
            guest.get(path).await.ok();
        }
        assert_eq!(admin.get(&own).await.ok()["messages"][0]["content"], SECRET);
        server.end().await;
    }
}

#[tokio::test]
async fn ten_thousand_random_requests_of_a_guest_reach_nothing_of_anothers_rooms() {
    for server in servers().await {
        let (admin, guest, other) = (server.client(), server.guest(), server.guest());
        admin.post("/agents", json!({ "name": "Ada" })).await.ok();
        let mut rooms = Vec::new();
        for name in ["a", "b", "c"] {
            rooms.push(room_of(&other, name).await);
        }
        let before = admin.get("/rooms").await.ok();
        let seed = Random::seed();
        println!("seed {seed}");
        let random = Random::new(seed);
        let mut operations_of = Vec::new();
        for room in &rooms {
            let of_room = operations(&admin, *room, "1")
                .await
                .into_iter()
                .filter(|(_, path, _)| path.starts_with("/rooms/"));
            operations_of.extend(of_room);
        }
        let bodies = [
            "",
            "{}",
            r#"{"content":"mine","role":"user"}"#,
            r#"{"name":"mine"}"#,
            r#"{"is_paused":true}"#,
            "[",
            "null",
        ];
        for _ in 0..5_000 {
            let (method, path, _) = &operations_of[random.below(operations_of.len())];
            let body = bodies[random.below(bodies.len())];
            let query = ["", "?since_id=0", "?limit=5", "?limit=x", "?wait=0"][random.below(5)];
            let body = (*method != Method::GET && !body.is_empty()).then(|| body.to_owned());
            let answer = guest
                .ask(
                    method.clone(),
                    &format!("{path}{query}"),
                    body,
                    random.below(4) == 0,
                )
                .await;
            let text = String::from_utf8_lossy(&answer.body);
            assert!(
                matches!(answer.status.as_u16(), 400 | 403 | 422),
                "{method} {path}{query}: {} {text}",
                answer.status
            );
            assert!(!text.contains(SECRET), "{method} {path}{query}");
        }
        assert_eq!(
            admin.get("/rooms").await.ok(),
            before,
            "nothing was changed"
        );
        server.end().await;
    }
}
