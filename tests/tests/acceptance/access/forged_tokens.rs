//! Tests that the server refuses tokens that it did not issue.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tests::server::{SECRET, TestServer};

/// Returns the claims of a token of the administrator, with the fields in `change` replaced.
fn claims(change: Value) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut claims = json!({
        "aud": "greenroom",
        "sub": "admin",
        "role": "admin",
        "epoch": 0,
        "exp": now + 3_600,
    });
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
async fn every_forged_token_is_refused() {
    let server = TestServer::start(|_| {}).await;
    let stranger = server.stranger();
    let good = signed(&claims(json!({})), SECRET, Algorithm::HS256);
    stranger.with_token(&good).get("/rooms").await.ok();
    let guest_token = server.guest().token().to_owned();
    let parts: Vec<_> = guest_token.split('.').collect();
    // A guest's token whose claims were changed after it was signed.
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
        ("an empty token", String::new()),
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
            "without a signature",
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
            "from another epoch",
            signed(&claims(json!({ "epoch": 1 })), SECRET, Algorithm::HS256),
        ),
        (
            "a ticket",
            signed(&claims(json!({ "room": 1 })), SECRET, Algorithm::HS256),
        ),
        (
            "an administrator's role with a guest's name",
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
    for (attack, token) in attacks {
        let response = stranger.with_token(&token).get("/rooms").await;
        assert_eq!(response.status.as_u16(), 401, "{attack}");
        let bearer = stranger.request(Method::GET, "/rooms").bearer_auth(&token);
        assert_eq!(
            stranger.send("/rooms", bearer).await.status.as_u16(),
            401,
            "{attack}"
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
