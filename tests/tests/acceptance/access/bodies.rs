//! Bodies of requests: their limits, their memory, and errors in their fields.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{server::TestServer, wait::soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends a request whose body is announced with `length` bytes, and `body` of it. Returns what the
/// server sends before it closes the connection.
async fn send_part(
    server: &TestServer,
    path: &str,
    token: &str,
    length: u64,
    body: &str,
) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let read = stream.read_to_end(&mut response);
    soon("the server refuses the body", read).await.unwrap();
    String::from_utf8_lossy(&response).into_owned()
}

#[tokio::test]
async fn a_body_that_is_announced_to_be_too_large_is_refused_before_it_arrives() {
    let server = TestServer::start(|_| {}).await;
    let token = server.client().token().to_owned();
    server.client().create_room("tea").await;
    for (path, length) in [
        ("/auth/login", 4 * 1_024 + 1),
        ("/rooms", 64 * 1_024 + 1),
        ("/rooms/1/messages/send", 10 * 1_024 * 1_024 + 1),
        ("/agents", 10 << 30),
    ] {
        let response = send_part(&server, path, &token, length, "").await;
        assert!(response.starts_with("HTTP/1.1 413"), "{path}: {response}");
    }
    server.end().await;
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_at_its_limit() {
    let server = TestServer::start(|_| {}).await;
    let token = server.client().token().to_owned();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /rooms HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let mut response = [0; 12];
    for _ in 0..17 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    soon("the refusal", stream.read_exact(&mut response))
        .await
        .unwrap();
    assert_eq!(&response, b"HTTP/1.1 413");
    server.end().await;
}

#[tokio::test]
async fn a_login_is_counted_before_its_body_is_read() {
    let server = TestServer::start(|settings| settings.limits.logins_per_minute = 3).await;
    for _ in 0..3 {
        let response = send_part(&server, "/auth/login", "", 1 << 20, "").await;
        assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    }
    let response = send_part(&server, "/auth/login", "", 10, "").await;
    assert!(response.starts_with("HTTP/1.1 429"), "{response}");
    server.end().await;
}

#[tokio::test]
async fn the_bytes_of_all_bodies_together_have_a_bound() {
    let change = |settings: &mut app::Settings| {
        settings.limits.body_bytes_at_once = 256 * 1_024;
        settings.limits.body_timeout = Duration::from_mins(1);
    };
    let server = TestServer::start(change).await;
    let client = server.client();
    client.create_room("tea").await;
    let token = client.token().to_owned();
    // A body of which 150 KiB have arrived and the rest has not. Large bodies may take 224 KiB.
    let mut waiting = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /rooms/1/messages/send HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\
         content-length: 300000\r\n\r\n{}",
        " ".repeat(150 * 1_024)
    );
    waiting.write_all(head.as_bytes()).await.unwrap();
    let large = json!({ "content": "x", "role": "user", "ignored": "x".repeat(100 * 1_024) });
    let refused = async {
        loop {
            let response = client.post("/rooms/1/messages/send", large.clone()).await;
            if response.status == 503 {
                return response;
            }
        }
    };
    let response = soon("a large body is refused", refused).await;
    assert_eq!(response.header("retry-after"), "1");
    client.send_message(1, "a small body is accepted").await;
    drop(waiting);
    let accepted = async {
        while client
            .post("/rooms/1/messages/send", large.clone())
            .await
            .status
            != 200
        {}
    };
    soon("a large body is accepted again", accepted).await;
    server.end().await;
}

#[tokio::test]
async fn the_error_of_a_field_or_a_parameter_says_where_it_is() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    client.create_room("tea").await;
    let send = "/rooms/1/messages/send";
    let message = |change: Value| {
        let mut body = json!({ "content": "hello", "role": "user" });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (method, path, body, loc) in [
        ("POST", "/rooms", json!({}), json!(["body", "name"])),
        (
            "POST",
            "/rooms",
            json!({ "name": 5 }),
            json!(["body", "name"]),
        ),
        (
            "POST",
            "/rooms",
            json!({ "name": "" }),
            json!(["body", "name"]),
        ),
        (
            "POST",
            send,
            message(json!({ "role": "x" })),
            json!(["body", "role"]),
        ),
        (
            "POST",
            send,
            message(json!({ "participant_type": "agent" })),
            json!(["body", "participant_type"]),
        ),
        (
            "POST",
            send,
            message(json!({ "mentioned_agent_ids": [1, "x"] })),
            json!(["body", "mentioned_agent_ids", 1]),
        ),
        (
            "POST",
            send,
            message(json!({ "mentioned_agent_ids": vec![1; 101] })),
            json!(["body", "mentioned_agent_ids"]),
        ),
        (
            "POST",
            "/agents",
            json!({ "name": "../x" }),
            json!(["body", "name"]),
        ),
        ("GET", "/rooms/x", Value::Null, json!(["path", "room"])),
        (
            "GET",
            "/rooms/1/messages?limit=0",
            Value::Null,
            json!(["query", "limit"]),
        ),
    ] {
        let text = tests::client::body_text(&body);
        let response = client.call(method.parse().unwrap(), path, text).await;
        response.refused(422);
        assert_eq!(response.json()["loc"], loc, "{method} {path} {body}");
    }
    server.end().await;
}
