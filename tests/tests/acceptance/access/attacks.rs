//! Attacks on paths, texts and requests, each of which must fail.

use reqwest::Method;
use serde_json::json;
use tests::server::TestServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn no_path_leaves_the_agents_folder() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let secret = server.folder().join("secret.png");
    std::fs::write(&secret, b"\x89PNG\r\n\x1a\nsecret").unwrap();
    // U+2044 looks like a slash, but is an ordinary character of a name.
    let harmless = "..\u{2044}x";
    for name in [
        "../secret",
        "..",
        ".",
        "a/b",
        "a\\b",
        "/etc/passwd",
        "C:\\x",
        "a\0b",
        "CON",
        harmless,
        ".deleted",
        " ",
        "a\nb",
    ] {
        let response = client.post("/agents", json!({ "name": name })).await;
        assert!(
            response.status == 422 || name == harmless,
            "{name:?}: {}",
            response.status
        );
        for group in [
            json!({ "name": "Ada", "group": name }),
            json!({ "config_file": format!("{name}/agent.yaml") }),
        ] {
            let response = client.post("/agents", group).await;
            assert!(
                response.status.is_client_error() || name == harmless,
                "{name:?}: {}",
                response.status
            );
        }
    }
    let paths = [
        "..%2fsecret.png",
        "..%2F..%2Fsecret",
        "%2e%2e%2fsecret",
        "..%5csecret",
        "%00",
        "....//secret",
        "Ada%2f..%2f..%2fsecret",
        "%c0%ae%c0%ae",
    ];
    for path in paths {
        let path = format!("/agents/{path}/profile-pic");
        let response = client.request(Method::GET, &path).send().await.unwrap();
        assert!(
            matches!(response.status().as_u16(), 400 | 404),
            "{path}: {}",
            response.status()
        );
        assert!(!response.text().await.unwrap().contains("secret"), "{path}");
    }
    let outside: Vec<_> = std::fs::read_dir(server.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        outside
            .iter()
            .all(|name| ["agents", "secret.png"].contains(&name.as_str())
                || name.starts_with("greenroom")),
        "{outside:?}"
    );
    server.end().await;
}

#[tokio::test]
async fn a_linked_picture_outside_the_folder_is_not_served() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    client.post("/agents", json!({ "name": "Ada" })).await.ok();
    let secret = server.folder().join("secret.png");
    std::fs::write(&secret, b"\x89PNG\r\n\x1a\nsecret").unwrap();
    std::os::unix::fs::symlink(&secret, server.folder().join("agents/Ada/profile.png")).unwrap();
    let response = client
        .request(Method::GET, "/agents/Ada/profile-pic")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
    server.end().await;
}

#[tokio::test]
async fn text_that_looks_like_code_is_stored_and_shown_as_it_is() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let texts = [
        "'; DROP TABLE rooms; --",
        "\" OR 1=1 --",
        "<script>alert(1)</script>",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "%s%n",
    ];
    for text in texts {
        let room = client.post("/rooms", json!({ "name": text })).await;
        assert_eq!(
            (&room.ok()["name"], room.header("content-type")),
            (&json!(text), "application/json"),
            "{text}"
        );
        let path = format!("/rooms/{}/messages", room.ok()["id"]);
        client
            .post(
                &format!("{path}/send"),
                json!({ "content": text, "role": "user", "participant_name": text }),
            )
            .await
            .ok();
        let shown = client.get(&path).await.ok();
        assert_eq!(
            (&shown[0]["content"], &shown[0]["participant_name"]),
            (&json!(text), &json!(text))
        );
    }
    assert_eq!(
        client.get("/rooms").await.ok().as_array().unwrap().len(),
        texts.len()
    );
    server.end().await;
}

#[tokio::test]
async fn oversized_bodies_and_invalid_ids_are_refused() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    client
        .call(Method::POST, "/rooms", Some(deep(30_000)))
        .await
        .refused(422);
    client
        .call(
            Method::POST,
            "/rooms",
            Some(format!(r#"{{"name":{}}}"#, deep(100))),
        )
        .await
        .refused(422);
    client
        .call(Method::POST, "/rooms", Some("x".repeat(11 << 20)))
        .await
        .refused(413);
    for id in [
        "-1",
        "0",
        "9223372036854775808",
        "99999999999999999999999999",
        "1e3",
        "0x1",
        "1.0",
        "%20",
        "+1",
        "１",
    ] {
        let path = format!("/rooms/{id}");
        assert_eq!(
            client.get(&path).await.status.as_u16(),
            // A number with a plus sign is a valid id.
            if id == "+1" { 200 } else { 422 },
            "{path}"
        );
    }
    client.get("/rooms/9223372036854775807").await.refused(404);
    for since in ["-1", "x", "1.5", ""] {
        client
            .get(&format!("/rooms/1/messages/poll?since_id={since}"))
            .await
            .refused(422);
    }
    server.end().await;
}

/// Sends `bytes` on a new connection. Returns everything that the server sends before it closes the
/// connection.
async fn send_raw(server: &TestServer, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = Vec::new();
    // The server may reset the connection instead of closing it, which `read_to_end` reports as an
    // error.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn no_request_hides_behind_another() {
    let server = TestServer::start(|_| {}).await;
    let token = server.client().token().to_owned();
    let hidden = format!(
        "POST /rooms HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\ncontent-length: 17\r\n\r\n\
         {{\"name\":\"hidden\"}}"
    );
    let attacks = [
        format!(
            "GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\
             content-length: {}\r\n\r\n{hidden}",
            hidden.len()
        ),
        format!(
            "POST /auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\
             content-length: 3\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("POST /auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: x\r\n\r\n{hidden}"),
        format!("POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{hidden}"),
        format!("GET /health HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n{hidden}"),
        format!("GET /health\r\nhost: x\r\n\r\n{hidden}"),
    ];
    for attack in attacks {
        let response = send_raw(&server, &attack).await;
        assert!(!response.contains("hidden"), "{attack}\n{response}");
        assert!(
            response.is_empty()
                || response.starts_with("HTTP/1.1 4")
                || response.starts_with("HTTP/1.0 4"),
            "{attack}\n{response}"
        );
    }
    assert_eq!(server.client().get("/rooms").await.ok(), json!([]));
    server.end().await;
}
