//! Logging in, and what a token is good for.

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tests::server::{ADMIN_PASSWORD, Answer, Client, GUEST_PASSWORD, Running};

use super::operations;

async fn log_in(client: &Client, password: &str) -> Answer {
    client
        .post("/auth/login", json!({ "password": password }))
        .await
}

#[tokio::test]
async fn whoever_has_a_password_gets_a_token_of_its_role() {
    let server = Running::start(|_| {}).await;
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
    assert_ne!(id(&guests[0]), id(&guests[1]), "new at each login");
    assert!(
        id(&guests[0])
            .strip_prefix("guest-")
            .is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()))
    );
    for login in [&admin, &guests[0]] {
        let client = stranger.with_token(login["api_key"].as_str().unwrap());
        let known = client.get("/auth/verify").await.ok();
        assert_eq!(
            (&known["role"], &known["user_id"], &known["success"]),
            (&login["role"], &login["user_id"], &json!(true))
        );
        let bearer = stranger
            .request(Method::GET, "/auth/verify")
            .bearer_auth(client.token());
        assert_eq!(stranger.send("/auth/verify", bearer).await.ok(), known);
    }
    server.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_401_none_is_400_and_the_21st_login_of_a_minute_429() {
    let server = Running::start(|_| {}).await;
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
        .ask(Method::POST, "/auth/login", Some("{".into()), false)
        .await
        .refused(400);
    stranger
        .post("/auth/login", json!({ "password": 7 }))
        .await
        .refused(422);
    for _ in 8..20 {
        log_in(&stranger, "x").await.refused(401);
    }
    let answer = log_in(&stranger, ADMIN_PASSWORD).await;
    answer.refused(429);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    server.client().get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn without_a_guests_password_there_are_no_guests() {
    let server = Running::start(|settings| settings.auth.guest_password_hash = None).await;
    log_in(&server.stranger(), GUEST_PASSWORD)
        .await
        .refused(401);
    log_in(&server.stranger(), ADMIN_PASSWORD).await.ok();
    server.end().await;
}

#[tokio::test]
async fn a_missing_identity_is_nobody_at_every_address_that_is_not_open() {
    let server = Running::start(|_| {}).await;
    let (client, stranger) = (server.client(), server.stranger());
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    client.post("/agents", json!({ "name": "Ada" })).await.ok();
    let mut open = Vec::new();
    for (method, path, is_open) in operations(&client, 1, "1").await {
        let answer = stranger.ask(method.clone(), &path, None, false).await;
        if is_open {
            assert_ne!(
                (answer.status.as_u16(), path.as_str()),
                (401, path.as_str())
            );
            open.push(path);
        } else {
            answer.refused(401);
            assert_eq!(
                answer.header("www-authenticate"),
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
            "/health"
        ]
    );
    assert_eq!(
        client.get("/rooms").await.ok().as_array().unwrap().len(),
        1,
        "nothing was done"
    );
    server.end().await;
}

#[tokio::test]
async fn all_tokens_of_a_role_are_revoked_by_the_administrator() {
    let server = Running::start(|_| {}).await;
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
async fn a_ticket_opens_one_rooms_events_without_a_header() {
    let server = Running::start(|_| {}).await;
    let (guest, stranger) = (server.guest(), server.stranger());
    let mut rooms = Vec::new();
    for name in ["tea", "cake"] {
        rooms.push(
            guest.post("/rooms", json!({ "name": name })).await.ok()["id"]
                .as_i64()
                .unwrap(),
        );
    }
    let ticket = guest
        .post(&format!("/rooms/{}/events/ticket", rooms[0]), Value::Null)
        .await
        .ok()["ticket"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask = async |room: i64, ticket: &str| {
        let path = format!("/rooms/{room}/events?ticket={ticket}");
        stranger.request(Method::GET, &path).send().await.unwrap()
    };
    let mut opened = ask(rooms[0], &ticket).await;
    assert_eq!(opened.headers()["content-type"], "text/event-stream");
    assert!(opened.chunk().await.unwrap().is_some());
    assert_eq!(ask(rooms[1], &ticket).await.status(), 401);
    assert_eq!(ask(rooms[0], "x").await.status(), 401);
    assert_eq!(
        ask(rooms[0], guest.token()).await.status(),
        401,
        "a token is no ticket"
    );
    server
        .guest()
        .post(&format!("/rooms/{}/events/ticket", rooms[0]), Value::Null)
        .await
        .refused(403);
    drop(opened);
    server.end().await;
}

#[tokio::test]
async fn a_pages_origin_is_answered_if_it_is_allowed_on_errors_too() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    let ask = async |method: Method, path: &str, origin: &str| {
        let request = client.request(method, path).header("origin", origin);
        let wishes = "content-type,x-api-key,authorization,ngrok-skip-browser-warning";
        let request = request
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", wishes);
        request.send().await.unwrap()
    };
    let allowed = |headers: &HeaderMap| {
        headers
            .get("access-control-allow-origin")
            .map(|origin| origin.to_str().unwrap().to_owned())
    };
    let mine = "http://localhost:5173";
    let preflight = ask(Method::OPTIONS, "/rooms/1", mine).await;
    assert_eq!(
        (preflight.status().as_u16(), allowed(preflight.headers())),
        (200, Some(mine.into()))
    );
    let headers = preflight.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .to_lowercase();
    for header in [
        "content-type",
        "x-api-key",
        "authorization",
        "ngrok-skip-browser-warning",
    ] {
        assert!(headers.contains(header), "{header} is not in {headers}");
    }
    for path in ["/rooms", "/rooms/99", "/nowhere"] {
        assert_eq!(
            allowed(ask(Method::GET, path, mine).await.headers()),
            Some(mine.into()),
            "{path}"
        );
        assert_eq!(
            allowed(
                ask(Method::GET, path, "http://evil.example")
                    .await
                    .headers()
            ),
            None,
            "{path}"
        );
    }
    server.end().await;
}

#[tokio::test]
async fn what_is_refused_can_be_found_in_the_log_by_its_id() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    let ids = [client.get("/rooms/99").await, client.get("/rooms/98").await]
        .map(|answer| answer.header("x-request-id").to_owned());
    assert!(ids[0].len() == 16 && ids[0] != ids[1], "{ids:?}");
    assert_eq!(client.get("/rooms").await.header("x-request-id"), "");
    server.end().await;
}

#[tokio::test]
async fn metrics_are_text_with_the_figures_of_each_region() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    client.get("/rooms").await.ok();
    client.get("/rooms").await.ok();
    let answer = client.get("/metrics").await;
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    for line in [
        r#"greenroom_cache_hits_total{region="room_list"} 1"#,
        r#"greenroom_answers_total{status="2xx"} "#,
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    server.end().await;
}

#[tokio::test]
async fn the_documentation_needs_nothing_from_outside() {
    let server = Running::start(|_| {}).await;
    let stranger = server.stranger();
    let page = stranger
        .request(Method::GET, "/docs/")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    let sources: Vec<_> = html
        .split("src=\"")
        .skip(1)
        .chain(html.split("href=\"").skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(
        sources.len() > 2 && sources.iter().all(|source| !source.contains("//")),
        "{sources:?}"
    );
    for source in sources {
        let path = format!("/docs/{}", source.trim_start_matches("./"));
        assert_eq!(
            stranger
                .request(Method::GET, &path)
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{path}"
        );
    }
    assert_eq!(
        stranger.get("/openapi.json").await.ok()["info"]["title"],
        "Greenroom"
    );
    server.end().await;
}

#[tokio::test]
async fn a_built_front_end_is_served_at_the_same_origin() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>front</title>").unwrap();
    std::fs::write(folder.path().join("app.js"), "1").unwrap();
    std::fs::write(
        folder
            .path()
            .parent()
            .unwrap()
            .join("greenroom-outside.txt"),
        "outside",
    )
    .unwrap();
    let frontend = folder.path().to_owned();
    let server = Running::start(|settings| settings.frontend = Some(frontend)).await;
    let stranger = server.stranger();
    for (path, text) in [
        ("/", "<title>front</title>"),
        ("/app.js", "1"),
        ("/rooms/of/mine", "<title>front</title>"),
    ] {
        let answer = stranger.request(Method::GET, path).send().await.unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.headers()["cache-control"].to_str().unwrap()
            ),
            (200, "no-cache"),
            "{path}"
        );
        assert_eq!(answer.text().await.unwrap(), text, "{path}");
    }
    for path in [
        "/..%2fgreenroom-outside.txt",
        "/%2e%2e/greenroom-outside.txt",
        "/a/..%2f..%2fgreenroom-outside.txt",
    ] {
        let answer = stranger.request(Method::GET, path).send().await.unwrap();
        assert!(!answer.text().await.unwrap().contains("outside"), "{path}");
    }
    stranger.get("/rooms").await.refused(401);
    server.end().await;
}
