//! Access to the server: tokens, permissions, attacks and limits.

mod attacks;
mod bodies;
mod forged_tokens;
mod guests;
mod limits;
mod logins;
mod site;
mod tabs;

use reqwest::Method;
use serde_json::Value;
use tests::client::Client;

/// One operation of the OpenAPI document.
struct Operation {
    method: Method,
    /// The path, with ids in place of its parameters.
    path: String,
    /// True if the operation needs no token.
    is_open: bool,
}

/// Returns every operation of the OpenAPI document, with these ids in its path.
async fn operations(client: &Client, room: i64, agent: &str) -> Vec<Operation> {
    let document = client.get("/openapi.json").await.ok();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{room}", &room.to_string())
            .replace("{agent}", agent);
        for (method, operation) in methods.as_object().unwrap() {
            let security = operation["security"].as_array();
            let is_empty = |scheme: &Value| *scheme == Value::Object(<_>::default());
            found.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                is_open: security.is_some_and(|schemes| schemes.iter().all(is_empty)),
            });
        }
    }
    assert!(
        found.len() > 35,
        "the document must list the whole API, lists {} operations",
        found.len()
    );
    found
}
