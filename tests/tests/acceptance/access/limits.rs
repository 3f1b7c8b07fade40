//! Limits: each with its refusal.

use std::{io::Cursor, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat};
use serde_json::{Value, json};
use tests::server::Running;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn a_credential_that_asks_too_much_is_told_when_to_come_back_and_others_are_not() {
    let change = |settings: &mut app::Settings| {
        (
            settings.limits.requests_per_second,
            settings.limits.request_burst,
        ) = (1, 30);
    };
    let server = Running::start(change).await;
    // Two tokens of the same user, as of two logins.
    let (eager, patient) = (server.client(), server.client());
    let mut refused = None;
    for _ in 0..40 {
        let answer = eager.get("/rooms").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("more than the burst");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    patient.get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn guests_of_one_address_share_what_it_may_ask() {
    let change = |settings: &mut app::Settings| {
        (
            settings.limits.requests_per_second,
            settings.limits.request_burst,
        ) = (1, 30);
    };
    let server = Running::start(change).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(server.guest().get("/rooms").await.status.as_u16());
    }
    assert_eq!(
        (statuses[0], statuses[39]),
        (200, 429),
        "however often one logs in"
    );
    server.client().get("/rooms").await.ok();
    server.end().await;
}

#[tokio::test]
async fn tickets_are_counted_by_address_so_that_nobody_guesses_them() {
    let change = |settings: &mut app::Settings| {
        (
            settings.limits.requests_per_second,
            settings.limits.request_burst,
        ) = (1, 30);
    };
    let server = Running::start(change).await;
    let stranger = server.stranger();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(
            stranger
                .get("/rooms/1/events?ticket=x")
                .await
                .status
                .as_u16(),
        );
    }
    assert_eq!((statuses[0], statuses[39]), (401, 429));
    server.end().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts_and_else_the_peers() {
    let trust = |settings: &mut app::Settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    };
    for is_trusted in [true, false] {
        let server = Running::start(|settings| {
            if is_trusted {
                trust(settings);
            }
        })
        .await;
        let stranger = server.stranger();
        let mut last = 0;
        for n in 0..25 {
            let body = json!({ "password": "wrong" }).to_string();
            let request = stranger
                .request(reqwest::Method::POST, "/auth/login")
                .header("x-forwarded-for", format!("10.0.0.{n}"))
                .body(body);
            last = stranger.send("/auth/login", request).await.status.as_u16();
        }
        assert_eq!(last, if is_trusted { 401 } else { 429 });
        server.end().await;
    }
}

#[tokio::test]
async fn texts_rooms_and_images_have_limits() {
    let change = |settings: &mut app::Settings| {
        (settings.limits.message_chars, settings.limits.persona_chars) = (10, 20);
        (
            settings.limits.rooms_per_guest,
            settings.limits.image_pixels,
        ) = (2, 100);
    };
    let server = Running::start(change).await;
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
    let image = |data: String, kind: &str| json!({ "content": "x", "role": "user", "image_data": data, "image_media_type": kind });
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
async fn connections_beyond_the_limit_are_told_so() {
    let server = Running::start(|settings| settings.limits.connections = 2).await;
    let first = TcpStream::connect(server.address()).await.unwrap();
    let second = TcpStream::connect(server.address()).await.unwrap();
    let mut third = TcpStream::connect(server.address()).await.unwrap();
    third
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    third.read_to_string(&mut text).await.unwrap();
    assert!(
        text.starts_with("HTTP/1.1 429")
            && text.contains("too many connections")
            && text.contains("retry-after"),
        "{text}"
    );
    drop((first, second));
    let free = async {
        while server
            .stranger()
            .request(reqwest::Method::GET, "/health")
            .send()
            .await
            .unwrap()
            .status()
            != 200
        {}
    };
    timeout(Duration::from_secs(10), free)
        .await
        .expect("a place is free again");
    server.end().await;
}

#[tokio::test]
async fn slow_clients_do_not_hold_the_server() {
    let change = |settings: &mut app::Settings| {
        settings.limits.header_timeout = Duration::from_millis(200);
        settings.limits.body_timeout = Duration::from_millis(200);
    };
    let server = Running::start(change).await;
    let token = server.client().token().to_owned();
    let within = async |bytes: &str| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(Duration::from_secs(10), stream.read_to_string(&mut text))
            .await
            .expect("it is cut off")
            .unwrap();
        text
    };
    for silent in [
        "",
        "GET /rooms HTT",
        "GET /rooms HTTP/1.1\r\nhost: x\r\nx-a",
    ] {
        let answer = within(silent).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{silent:?}: {answer}"
        );
    }
    let half = format!(
        "POST /rooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {token}\r\ncontent-length: 100\r\n\r\n{{\"name\""
    );
    let answer = within(&half).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive in time"),
        "{answer}"
    );
    let huge = format!(
        "GET /rooms HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let answer = within(&huge).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    server.end().await;
}
