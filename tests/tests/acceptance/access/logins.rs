//! Logins, and the permissions that a token grants.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    client::Client,
    response::HttpResponse,
    server::{ADMIN_PASSWORD, GUEST_PASSWORD, TestServer},
};

use super::{Operation, operations};

async fn log_in(client: &Client, password: &str) -> HttpResponse {
    client
        .post("/auth/login", json!({ "password": password }))
        .await
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_of_its_role() {
    let server = TestServer::start(|_| {}).await;
    let stranger = server.stranger();
    let admin = log_in(&stranger, ADMIN_PASSWORD).await.ok();
    let mut fields: Vec<_> = admin
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    assert_eq!(fields, ["api_key", "message", "role", "success", "user_id"]);
    assert_eq!(
        (&admin["success"], &admin["role"], &admin["user_id"]),
        (&json!(true), &json!("admin"), &json!("admin"))
    );
    let guests = [
        log_in(&stranger, GUEST_PASSWORD).await.ok(),
        log_in(&stranger, GUEST_PASSWORD).await.ok(),
    ];
    let id = |guest: &Value| guest["user_id"].as_str().unwrap().to_owned();
    assert_ne!(
        id(&guests[0]),
        id(&guests[1]),
        "each login of a guest creates a new user"
    );
    assert!(
        id(&guests[0])
            .strip_prefix("guest-")
            .is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()))
    );
    for login in [&admin, &guests[0]] {
        let client = stranger.with_token(login["api_key"].as_str().unwrap());
        let verified = client.get("/auth/verify").await.ok();
        assert_eq!(
            (
                &verified["role"],
                &verified["user_id"],
                &verified["success"]
            ),
            (&login["role"], &login["user_id"], &json!(true))
        );
        let bearer = stranger
            .request(Method::GET, "/auth/verify")
            .bearer_auth(client.token());
        assert_eq!(stranger.send("/auth/verify", bearer).await.ok(), verified);
    }
    server.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_401_a_missing_one_400_and_the_21st_login_of_a_minute_429() {
    let server = TestServer::start(|_| {}).await;
    let stranger = server.stranger();
    for wrong in ["Tea", " tea", "tea\0"] {
        log_in(&stranger, wrong).await.refused(401);
    }
    for missing in [
        json!({}),
        json!({ "password": "" }),
        json!({ "password": null }),
    ] {
        stranger.post("/auth/login", missing).await.refused(400);
    }
    stranger
        .call(Method::POST, "/auth/login", Some("{".into()))
        .await
        .refused(400);
    stranger
        .post("/auth/login", json!({ "password": 7 }))
        .await
        .refused(422);
    for _ in 8..20 {
        log_in(&stranger, "x").await.refused(401);
    }
    let response = log_in(&stranger, ADMIN_PASSWORD).await;
    response.refused(429);
    assert!(response.header("retry-after").parse::<u64>().unwrap() > 0);
    server.client().get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn without_a_guest_password_no_guest_can_log_in() {
    let server = TestServer::start(|settings| settings.auth.guest_password_hash = None).await;
    log_in(&server.stranger(), GUEST_PASSWORD)
        .await
        .refused(401);
    log_in(&server.stranger(), ADMIN_PASSWORD).await.ok();
    server.end().await;
}

#[tokio::test]
async fn every_operation_that_is_not_open_refuses_a_request_without_a_token() {
    let server = TestServer::start(|_| {}).await;
    let (client, stranger) = (server.client(), server.stranger());
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    client.post("/agents", json!({ "name": "Ada" })).await.ok();
    let mut open = Vec::new();
    for Operation {
        method,
        path,
        is_open,
    } in operations(&client, 1, "1").await
    {
        let response = stranger.call(method.clone(), &path, None).await;
        if is_open {
            assert_ne!(response.status.as_u16(), 401, "{method} {path}");
            open.push(path);
        } else {
            response.refused(401);
            assert_eq!(
                response.header("www-authenticate"),
                "Bearer",
                "{method} {path}"
            );
        }
    }
    open.sort_unstable();
    assert_eq!(
        open,
        [
            "/agents/1/profile-pic",
            "/auth/health",
            "/auth/login",
            "/health",
            "/health/live",
            "/health/ready"
        ]
    );
    assert_eq!(
        client.get("/rooms").await.ok().as_array().unwrap().len(),
        1,
        "the refused requests must have no effect"
    );
    server.end().await;
}

#[tokio::test]
async fn the_administrator_revokes_all_tokens_of_a_role() {
    let server = TestServer::start(|_| {}).await;
    let (admin, guest) = (server.client(), server.guest());
    guest
        .post("/auth/revoke", json!({ "role": "guest" }))
        .await
        .refused(403);
    guest.get("/rooms").await.ok();
    admin
        .post("/auth/revoke", json!({ "role": "guest" }))
        .await
        .ok();
    guest.get("/rooms").await.refused(401);
    server.guest().get("/rooms").await.ok();
    admin
        .post("/auth/revoke", json!({ "role": "nobody" }))
        .await
        .refused(422);
    admin.get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn a_renewed_token_belongs_to_the_same_user() {
    let server = TestServer::start(|_| {}).await;
    let guest = server.guest();
    let room = guest.create_room("tea").await;
    let renewed = guest.post("/auth/renew", Value::Null).await.ok();
    let before = guest.get("/auth/verify").await.ok();
    assert_eq!(
        (&renewed["user_id"], &renewed["role"]),
        (&before["user_id"], &json!("guest"))
    );
    let token = renewed["api_key"].as_str().unwrap();
    assert_ne!(token, guest.token());
    assert_eq!(guest.with_token(token).get("/rooms").await.ids(), [room]);
    assert_eq!(
        guest.get("/rooms").await.ids(),
        [room],
        "the old token stays valid"
    );
    server
        .stranger()
        .post("/auth/renew", Value::Null)
        .await
        .refused(401);
    server.end().await;
}

#[tokio::test]
async fn an_empty_key_does_not_hide_a_bearer_token() {
    let server = TestServer::start(|_| {}).await;
    let stranger = server.stranger();
    let request = stranger
        .request(Method::GET, "/rooms")
        .header("x-api-key", "")
        .bearer_auth(server.client().token());
    stranger.send("/rooms", request).await.ok();
    server.end().await;
}

#[tokio::test]
async fn a_ticket_opens_one_rooms_events_without_a_header() {
    let server = TestServer::start(|_| {}).await;
    let (guest, stranger) = (server.guest(), server.stranger());
    let mut rooms = Vec::new();
    for name in ["tea", "cake"] {
        rooms.push(guest.create_room(name).await);
    }
    let ticket = guest
        .post(&format!("/rooms/{}/events/ticket", rooms[0]), Value::Null)
        .await
        .ok()["ticket"]
        .as_str()
        .unwrap()
        .to_owned();
    let open = async |room: i64, ticket: &str| {
        let path = format!("/rooms/{room}/events?ticket={ticket}");
        stranger.request(Method::GET, &path).send().await.unwrap()
    };
    let mut opened = open(rooms[0], &ticket).await;
    assert_eq!(opened.headers()["content-type"], "text/event-stream");
    assert!(opened.chunk().await.unwrap().is_some());
    assert_eq!(open(rooms[1], &ticket).await.status(), 401);
    assert_eq!(open(rooms[0], "x").await.status(), 401);
    assert_eq!(
        open(rooms[0], guest.token()).await.status(),
        401,
        "a token must not pass as a ticket"
    );
    server
        .guest()
        .post(&format!("/rooms/{}/events/ticket", rooms[0]), Value::Null)
        .await
        .refused(403);
    drop(opened);
    server.end().await;
}
