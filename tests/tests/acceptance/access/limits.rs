//! Tests of the server's limits, and of the refusal that exceeding each limit causes.

use std::{io::Cursor, time::Duration};

use app::Settings;
use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};
use tests::{server::TestServer, wait::soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sets rate limits that admit 30 requests at once, then one per second.
fn admit_burst_of_30(settings: &mut Settings) {
    settings.limits.requests_per_second = 1;
    settings.limits.request_burst = 30;
    settings.limits.guest_requests_per_second = 1;
    settings.limits.guest_request_burst = 30;
}

/// A number of requests that exceeds the burst, even if sending them takes some seconds.
const MORE_THAN_THE_BURST: usize = 40;

#[tokio::test]
async fn a_token_with_too_many_requests_gets_retry_after_and_other_tokens_do_not() {
    let server = TestServer::start(admit_burst_of_30).await;
    // Two clients with different tokens of one user, as after two logins.
    let (eager, patient) = (server.client(), server.client());
    let mut refused = None;
    for _ in 0..MORE_THAN_THE_BURST {
        let response = eager.get("/rooms").await;
        if response.status == 429 {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("requests beyond the burst are refused");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    patient.get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn guests_of_one_address_share_its_rate_limit() {
    let server = TestServer::start(admit_burst_of_30).await;
    let mut statuses = Vec::new();
    for _ in 0..MORE_THAN_THE_BURST {
        statuses.push(server.guest().get("/rooms").await.status.as_u16());
    }
    assert_eq!(
        (statuses[0], *statuses.last().unwrap()),
        (200, 429),
        "a new login must not reset the limit"
    );
    server.client().get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn one_kind_of_request_does_not_use_up_the_limit_of_another() {
    let server = TestServer::start(admit_burst_of_30).await;
    let (stranger, guest) = (server.stranger(), server.guest());
    let used_up = async |path: &str| {
        let mut status = 0;
        for _ in 0..MORE_THAN_THE_BURST {
            status = stranger.get(path).await.status.as_u16();
        }
        assert_eq!(status, 429, "{path}");
    };
    used_up("/rooms").await;
    used_up("/nowhere").await;
    guest.get("/rooms").await.ok();
    stranger.get("/health").await.ok();
    stranger
        .post("/auth/login", json!({ "password": "wrong" }))
        .await
        .refused(401);
    for path in ["/docs/", "/openapi.json", "/agents/Ada/profile-pic"] {
        stranger.get(path).await.refused(429);
    }
    let wrong_method = stranger.call(reqwest::Method::PUT, "/rooms", None).await;
    wrong_method.refused(429);
    server.end().await;
}

#[tokio::test]
async fn files_of_a_front_end_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "<p>hello").unwrap();
    let frontend = folder.path().to_owned();
    let server = TestServer::start(|settings| {
        admit_burst_of_30(settings);
        settings.frontend = Some(frontend);
    })
    .await;
    let stranger = server.stranger();
    let mut statuses = Vec::new();
    for _ in 0..MORE_THAN_THE_BURST {
        statuses.push(stranger.get("/index.html").await.status.as_u16());
    }
    assert_eq!((statuses[0], *statuses.last().unwrap()), (200, 429));
    server.end().await;
}

#[tokio::test]
async fn requests_with_tickets_are_limited_by_address_so_that_tickets_cannot_be_guessed() {
    let server = TestServer::start(admit_burst_of_30).await;
    let stranger = server.stranger();
    let mut statuses = Vec::new();
    for _ in 0..MORE_THAN_THE_BURST {
        statuses.push(
            stranger
                .get("/rooms/1/events?ticket=x")
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!((statuses[0], *statuses.last().unwrap()), (401, 429));
    server.end().await;
}

#[tokio::test]
async fn the_forwarded_address_is_limited_behind_a_trusted_proxy_and_the_peers_address_otherwise() {
    for is_trusted in [true, false] {
        let server = TestServer::start(|settings| {
            if is_trusted {
                settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            }
        })
        .await;
        let stranger = server.stranger();
        let mut status = 0;
        for n in 0..25 {
            let body = json!({ "password": "wrong" }).to_string();
            let request = stranger
                .request(reqwest::Method::POST, "/auth/login")
                .header("x-forwarded-for", format!("10.0.0.{n}:{}", 4_000 + n))
                .body(body);
            status = stranger.send("/auth/login", request).await.status.as_u16();
        }
        assert_eq!(status, if is_trusted { 401 } else { 429 });
        server.end().await;
    }
}

#[tokio::test]
async fn texts_rooms_and_images_have_limits() {
    let change = |settings: &mut Settings| {
        settings.limits.message_chars = 10;
        settings.limits.persona_chars = 20;
        settings.limits.rooms_per_guest = 2;
        settings.limits.image_pixels = 100;
    };
    let server = TestServer::start(change).await;
    let (admin, guest) = (server.client(), server.guest());
    admin.post("/agents", json!({ "name": "Ada" })).await.ok();
    for name in ["a", "b"] {
        guest.post("/rooms", json!({ "name": name })).await.ok();
    }
    guest
        .post("/rooms", json!({ "name": "c" }))
        .await
        .refused(403);
    guest.get("/agents/1/direct-room").await.refused(403);
    admin.post("/rooms", json!({ "name": "c" })).await.ok();
    let send = async |body: Value| admin.post("/rooms/1/messages/send", body).await;
    send(json!({ "content": "0123456789", "role": "user" }))
        .await
        .ok();
    send(json!({ "content": "하늘하늘하늘하늘하늘", "role": "user" }))
        .await
        .ok();
    send(json!({ "content": "0123456789a", "role": "user" }))
        .await
        .refused(422);
    send(json!({ "content": "x", "role": "user", "participant_name": "x".repeat(201) }))
        .await
        .refused(422);
    admin
        .post(
            "/agents",
            json!({ "name": "Bob", "characteristics": "x".repeat(21) }),
        )
        .await
        .refused(422);
    admin
        .post("/agents/1/memory", json!({ "text": "x".repeat(11) }))
        .await
        .refused(422);
    admin
        .post("/rooms", json!({ "name": "x".repeat(201) }))
        .await
        .refused(422);
    let picture = |width: u32, height: u32| {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height)
            .write_to(&mut bytes, ImageFormat::Png)
            .unwrap();
        STANDARD.encode(bytes.into_inner())
    };
    let image = |data: String, media_type: &str| {
        json!({
            "content": "x",
            "role": "user",
            "image_data": data,
            "image_media_type": media_type,
        })
    };
    send(image(picture(10, 10), "image/png")).await.ok();
    send(image(picture(10, 11), "image/png")).await.refused(413);
    send(image(picture(10, 10), "image/jpeg"))
        .await
        .refused(422);
    send(image(STANDARD.encode("<svg/>"), "image/png"))
        .await
        .refused(422);
    let url = |data: String| json!({ "profile_pic": format!("data:image/png;base64,{data}") });
    admin
        .patch("/agents/1", url(picture(11, 10)))
        .await
        .refused(413);
    admin
        .patch("/agents/1", url(STANDARD.encode("<svg/>")))
        .await
        .refused(422);
    admin.patch("/agents/1", url(picture(10, 10))).await.ok();
    server.end().await;
}

#[tokio::test]
async fn beyond_the_limit_only_administrators_and_health_checks_are_served() {
    let server = TestServer::start(|settings| settings.limits.connections = 2).await;
    let idle = [
        TcpStream::connect(server.address()).await.unwrap(),
        TcpStream::connect(server.address()).await.unwrap(),
    ];
    let refused = server.guest().get("/rooms").await;
    assert!(refused.refused(429).contains("too many connections"));
    assert_eq!(
        (refused.header("retry-after"), refused.header("connection")),
        ("1", "close")
    );
    server.stranger().get("/docs/").await.refused(429);
    server.stranger().get("/health").await.ok();
    server.client().get("/rooms").await.ok();
    drop(idle);
    let free = async { while server.guest().get("/rooms").await.status != 200 {} };
    soon("a connection is admitted again", free).await;
    server.end().await;
}

#[tokio::test]
async fn a_guest_has_a_bounded_number_of_streams_and_waiting_polls() {
    let server = TestServer::start(|settings| settings.limits.waits_per_guest = 2).await;
    let (guest, other) = (server.guest(), server.guest());
    let room = guest.create_room("tea").await;
    let others_room = other.create_room("tea").await;
    let stream = guest.open_events(room, None).await;
    let poll = {
        let guest = guest.clone();
        tokio::spawn(async move {
            let path = format!("/rooms/{room}/messages/poll?since_id=0&wait=30");
            guest.get(&path).await
        })
    };
    server.wait_for_listeners(room, 2).await;
    let events = format!("/rooms/{room}/events");
    guest.get(&events).await.refused(429);
    let waiting = format!("/rooms/{room}/messages/poll?since_id=0&wait=1");
    guest.get(&waiting).await.refused(429);
    guest.get(&format!("/rooms/{room}")).await.ok();
    drop(other.open_events(others_room, None).await);
    let metrics = server.client().get("/metrics").await.text();
    assert!(metrics.contains("greenroom_waiting_polls 1"), "{metrics}");
    guest.send_message(room, "hello").await;
    assert_eq!(poll.await.unwrap().items().len(), 1);
    drop(stream);
    let free = async { while guest.get(&waiting).await.status != 200 {} };
    soon("a poll may wait again", free).await;
    server.end().await;
}

#[tokio::test]
async fn slow_clients_are_disconnected() {
    let change = |settings: &mut Settings| {
        settings.limits.header_timeout = Duration::from_millis(200);
        settings.limits.body_timeout = Duration::from_millis(200);
    };
    let server = TestServer::start(change).await;
    let token = server.client().token().to_owned();
    // Sends part of a request and returns the response before the server closes the connection.
    let send_slowly = async |bytes: &str| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        soon("the server closes the connection", read)
            .await
            .unwrap();
        text
    };
    for silent in [
        "",
        "GET /rooms HTT",
        "GET /rooms HTTP/1.1\r\nhost: x\r\nx-a",
    ] {
        let response = send_slowly(silent).await;
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 408"),
            "{silent:?}: {response}"
        );
    }
    let half = format!(
        "POST /rooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {token}\r\n\
         content-length: 100\r\n\r\n{{\"name\""
    );
    let response = send_slowly(&half).await;
    assert!(
        response.starts_with("HTTP/1.1 408") && response.contains("did not arrive in time"),
        "{response}"
    );
    let huge = format!(
        "GET /rooms HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let response = send_slowly(&huge).await;
    assert!(response.starts_with("HTTP/1.1 431"), "{response}");
    server.end().await;
}
