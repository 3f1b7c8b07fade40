//! Tests that guests can access their own rooms and no others.

use app::Settings;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::{CacheMode, Client, body_text},
    random::Random,
    server::TestServer,
};

use super::{Operation, operations};

/// Starts a server on each database.
async fn servers() -> Vec<TestServer> {
    TestServer::start_on_each_database("guests on PostgreSQL").await
}

/// The text of the message that [`create_room_with_secret`] sends.
const SECRET: &str = "a secret of the other guest";

/// The number of random requests to each server. It is large enough that each operation is
/// requested with each body and each query several times.
const REQUESTS: usize = 5_000;

async fn create_room_with_secret(guest: &Client, name: &str) -> i64 {
    let room = guest.create_room(name).await;
    guest.send_message(room, SECRET).await;
    room
}

#[tokio::test]
async fn a_guest_sees_and_changes_its_own_rooms_only() {
    for server in servers().await {
        let (admin, one, other) = (server.client(), server.guest(), server.guest());
        let own_room = create_room_with_secret(&one, "same name").await;
        let other_room = create_room_with_secret(&other, "same name").await;
        assert_eq!(one.get("/rooms").await.ids(), [own_room]);
        assert_eq!(other.get("/rooms").await.ids(), [other_room]);
        assert_eq!(admin.get("/rooms").await.items().len(), 2);
        one.patch(&format!("/rooms/{own_room}"), json!({ "name": "mine" }))
            .await
            .ok();
        one.patch(&format!("/rooms/{other_room}"), json!({ "name": "mine" }))
            .await
            .refused(403);
        admin.get(&format!("/rooms/{own_room}")).await.ok();
        admin.mark_read(own_room).await;
        assert_eq!(
            one.get("/rooms").await.ok()[0]["has_unread"],
            true,
            "one user's read position must not move another's"
        );
        server.end().await;
    }
}

#[tokio::test]
async fn guests_may_delete_what_is_theirs_if_the_settings_allow_it() {
    let server = TestServer::start(|settings| settings.limits.guests_delete = true).await;
    let (guest, other) = (server.guest(), server.guest());
    let room = create_room_with_secret(&guest, "mine").await;
    let others_room = create_room_with_secret(&other, "mine").await;
    let agent = server.client().create_agent("Ada").await;
    guest.add_member(room, agent).await;
    for path in ["", "/messages", &format!("/agents/{agent}")] {
        let path = format!("/rooms/{others_room}{path}");
        guest.delete(&path).await.refused(403);
    }
    guest.delete(&format!("/agents/{agent}")).await.refused(403);
    guest
        .delete(&format!("/rooms/{room}/agents/{agent}"))
        .await
        .ok();
    guest.delete(&format!("/rooms/{room}/messages")).await.ok();
    assert_eq!(
        guest.get(&format!("/rooms/{room}/messages")).await.ok(),
        json!([])
    );
    guest.delete(&format!("/rooms/{room}")).await.ok();
    assert_eq!(guest.get("/rooms").await.ok(), json!([]));
    server.end().await;
}

#[tokio::test]
async fn requests_at_the_same_time_do_not_exceed_a_guests_number_of_rooms() {
    let server = TestServer::start(|settings| settings.limits.rooms_per_guest = 5).await;
    let guest = server.guest();
    let requests = (0..30).map(|n| {
        let guest = guest.clone();
        let body = json!({ "name": format!("room {n}") });
        tokio::spawn(async move { guest.post("/rooms", body).await.status.as_u16() })
    });
    let mut created = 0;
    for request in requests.collect::<Vec<_>>() {
        created += usize::from(request.await.unwrap() == 200);
    }
    assert_eq!((created, guest.get("/rooms").await.items().len()), (5, 5));
    server.end().await;
}

#[tokio::test]
async fn only_the_administrator_bypasses_the_cache_unless_the_settings_allow_it() {
    for is_allowed in [false, true] {
        let change = |settings: &mut Settings| settings.limits.guests_bypass_cache = is_allowed;
        let server = TestServer::start(change).await;
        let (admin, guest) = (server.client(), server.guest());
        let room = format!("/rooms/{}", guest.create_room("tea").await);
        guest.get(&room).await.ok();
        assert_eq!(guest.get_bypassing(&room).await.is_hit(), Some(!is_allowed));
        assert_eq!(admin.get_bypassing(&room).await.is_hit(), Some(false));
        server.end().await;
    }
}

#[tokio::test]
async fn operations_of_the_administrator_are_403_for_a_guest() {
    for server in servers().await {
        let (admin, guest) = (server.client(), server.guest());
        let room = create_room_with_secret(&guest, "mine").await;
        let agent = admin.create_agent("Ada").await;
        guest.add_member(room, agent).await;
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
            ("GET",    "/cache/keys?region=room_obj".into(), Value::Null),
            ("POST",   "/cache/invalidate".into(),       json!({ "room_id": 1 })),
            ("POST",   "/cache/clear".into(),            Value::Null),
            ("POST",   "/cache/cleanup".into(),          Value::Null),
            ("GET",    "/metrics".into(),                Value::Null),
            ("POST",   "/auth/revoke".into(),            json!({ "role": "admin" })),
        ];
        for (method, path, body) in rows {
            let body = body_text(&body);
            let response = guest.call(method.parse().unwrap(), &path, body).await;
            assert_eq!(response.status.as_u16(), 403, "{method} {path}");
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
async fn random_requests_of_a_guest_reach_no_room_of_another_guest() {
    for server in servers().await {
        let (admin, guest, other) = (server.client(), server.guest(), server.guest());
        admin.post("/agents", json!({ "name": "Ada" })).await.ok();
        let mut rooms = Vec::new();
        for name in ["a", "b", "c"] {
            rooms.push(create_room_with_secret(&other, name).await);
        }
        let before = admin.get("/rooms").await.ok();
        let seed = Random::seed();
        println!("GREENROOM_TEST_SEED={seed}");
        let random = Random::new(seed);
        let mut room_operations = Vec::new();
        for room in &rooms {
            let found = operations(&admin, *room, "1").await.into_iter();
            room_operations.extend(found.filter(|found| found.path.starts_with("/rooms/")));
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
        for _ in 0..REQUESTS {
            let Operation { method, path, .. } = random.pick(&room_operations);
            let body = *random.pick(&bodies);
            let query = random.pick(&["", "?since_id=0", "?limit=5", "?limit=x", "?wait=0"]);
            let body = (*method != Method::GET && !body.is_empty()).then(|| body.to_owned());
            let mode = if random.percent(25) {
                CacheMode::Bypass
            } else {
                CacheMode::Cached
            };
            let path = format!("{path}{query}");
            let response = guest.call_in(mode, method.clone(), &path, body).await;
            let text = response.text();
            assert!(
                matches!(response.status.as_u16(), 400 | 403 | 422),
                "{method} {path}: {} {text}",
                response.status
            );
            assert!(!text.contains(SECRET), "{method} {path}");
        }
        assert_eq!(
            admin.get("/rooms").await.ok(),
            before,
            "the requests must change nothing"
        );
        server.end().await;
    }
}
