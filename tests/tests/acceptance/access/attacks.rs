//! A list of attacks, each of which must come to nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tests::server::{Running, SECRET};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn claims(change: Value) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut claims = json!({ "aud": "greenroom", "sub": "admin", "role": "admin", "epoch": 0, "exp": now + 3_600 });
    claims
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    claims
}

fn signed(claims: &Value, secret: &str, algorithm: Algorithm) -> String {
    encode(
        &Header::new(algorithm),
        claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .unwrap()
}

fn unsigned(header: &str, claims: &Value) -> String {
    format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

#[tokio::test]
async fn no_forged_token_is_anybody() {
    let server = Running::start(|_| {}).await;
    let stranger = server.stranger();
    let good = signed(&claims(json!({})), SECRET, Algorithm::HS256);
    stranger.with_token(&good).get("/rooms").await.ok();
    let of_guest = server.guest().token().to_owned();
    let parts: Vec<_> = of_guest.split('.').collect();
    let promoted = {
        let mut claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        claims["role"] = json!("admin");
        claims["sub"] = json!("admin");
        format!(
            "{}.{}.{}",
            parts[0],
            URL_SAFE_NO_PAD.encode(claims.to_string()),
            parts[2]
        )
    };
    let attacks = [
        ("nothing", String::new()),
        ("not a token", "admin".into()),
        (
            "another secret",
            signed(
                &claims(json!({})),
                "another secret, which is long enough, too",
                Algorithm::HS256,
            ),
        ),
        (
            "no algorithm",
            unsigned(r#"{"alg":"none","typ":"JWT"}"#, &claims(json!({}))),
        ),
        (
            "no algorithm, in capitals",
            unsigned(r#"{"alg":"NONE"}"#, &claims(json!({}))),
        ),
        (
            "another algorithm",
            signed(&claims(json!({})), SECRET, Algorithm::HS512),
        ),
        (
            "a signature cut off",
            good.rsplit_once('.').unwrap().0.to_owned() + ".",
        ),
        (
            "expired",
            signed(&claims(json!({ "exp": 1 })), SECRET, Algorithm::HS256),
        ),
        (
            "for another audience",
            signed(&claims(json!({ "aud": "x" })), SECRET, Algorithm::HS256),
        ),
        (
            "without an audience",
            signed(&claims(json!({ "aud": null })), SECRET, Algorithm::HS256),
        ),
        (
            "of another epoch",
            signed(&claims(json!({ "epoch": 1 })), SECRET, Algorithm::HS256),
        ),
        (
            "a ticket",
            signed(&claims(json!({ "room": 1 })), SECRET, Algorithm::HS256),
        ),
        (
            "a role of one and a name of the other",
            signed(
                &claims(json!({ "sub": "guest-1" })),
                SECRET,
                Algorithm::HS256,
            ),
        ),
        (
            "an unknown role",
            signed(&claims(json!({ "role": "root" })), SECRET, Algorithm::HS256),
        ),
        ("a guest's with a forged role", promoted),
        ("far too long", "x".repeat(20_000)),
    ];
    for (what, token) in attacks {
        let answer = stranger.with_token(&token).get("/rooms").await;
        assert_eq!(answer.status.as_u16(), 401, "{what}");
        let bearer = stranger.request(Method::GET, "/rooms").bearer_auth(&token);
        assert_eq!(
            stranger.send("/rooms", bearer).await.status.as_u16(),
            401,
            "{what}"
        );
    }
    for (name, value) in [
        ("x-user-id", "admin"),
        ("x-role", "admin"),
        ("x-forwarded-user", "admin"),
        ("cookie", "api_key=admin"),
    ] {
        let request = stranger.request(Method::GET, "/rooms").header(name, value);
        stranger.send("/rooms", request).await.refused(401);
    }
    server.end().await;
}

#[tokio::test]
async fn no_path_leaves_the_agents_folder() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    let secret = server.folder().join("secret.png");
    std::fs::write(&secret, b"\x89PNG\r\n\x1a\nsecret").unwrap();
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
        "..\u{2044}x",
        ".deleted",
        " ",
        "a\nb",
    ] {
        let answer = client.post("/agents", json!({ "name": name })).await;
        assert!(
            answer.status == 422 || name == "..\u{2044}x",
            "{name:?}: {}",
            answer.status
        );
        for group in [
            json!({ "name": "Ada", "group": name }),
            json!({ "config_file": format!("{name}/agent.yaml") }),
        ] {
            let answer = client.post("/agents", group).await;
            assert!(
                answer.status.is_client_error() || name == "..\u{2044}x",
                "{name:?}: {}",
                answer.status
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
        let answer = client.request(Method::GET, &path).send().await.unwrap();
        assert!(
            matches!(answer.status().as_u16(), 400 | 404),
            "{path}: {}",
            answer.status()
        );
        assert!(!answer.text().await.unwrap().contains("secret"), "{path}");
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
    let server = Running::start(|_| {}).await;
    let client = server.client();
    client.post("/agents", json!({ "name": "Ada" })).await.ok();
    let secret = server.folder().join("secret.png");
    std::fs::write(&secret, b"\x89PNG\r\n\x1a\nsecret").unwrap();
    std::os::unix::fs::symlink(&secret, server.folder().join("agents/Ada/profile.png")).unwrap();
    let answer = client
        .request(Method::GET, "/agents/Ada/profile-pic")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 404);
    server.end().await;
}

#[tokio::test]
async fn text_stays_text_whatever_it_looks_like() {
    let server = Running::start(|_| {}).await;
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
async fn bodies_and_ids_that_are_too_much_get_a_clear_refusal() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    client.post("/rooms", json!({ "name": "tea" })).await.ok();
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    client
        .ask(Method::POST, "/rooms", Some(deep(100_000)), false)
        .await
        .refused(400);
    client
        .ask(
            Method::POST,
            "/rooms",
            Some(format!(r#"{{"name":{}}}"#, deep(100))),
            false,
        )
        .await
        .refused(422);
    client
        .ask(Method::POST, "/rooms", Some("x".repeat(11 << 20)), false)
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

/// What one connection gets for `bytes`, until it is closed or silent.
async fn raw(server: &Running, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = Vec::new();
    // A connection that is reset is as good as one that is closed.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn no_request_hides_behind_another() {
    let server = Running::start(|_| {}).await;
    let token = server.client().token().to_owned();
    let hidden = format!(
        "POST /rooms HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\ncontent-length: 17\r\n\r\n{{\"name\":\"hidden\"}}"
    );
    let attacks = [
        format!(
            "GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: {}\r\n\r\n{hidden}",
            hidden.len()
        ),
        format!(
            "POST /auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\ncontent-length: 3\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("POST /auth/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: x\r\n\r\n{hidden}"),
        format!("POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{hidden}"),
        format!("GET /health HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n{hidden}"),
        format!("GET /health\r\nhost: x\r\n\r\n{hidden}"),
    ];
    for attack in attacks {
        let answer = raw(&server, &attack).await;
        assert!(!answer.contains("hidden"), "{attack}\n{answer}");
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 4")
                || answer.starts_with("HTTP/1.0 4"),
            "{attack}\n{answer}"
        );
    }
    assert_eq!(server.client().get("/rooms").await.ok(), json!([]));
    server.end().await;
}
