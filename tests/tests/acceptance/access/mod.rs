//! Who may come in, what is refused, and how much anybody may ask.

mod attacks;
mod guests;
mod limits;
mod logins;
mod tabs;

use reqwest::Method;
use serde_json::Value;
use tests::server::Client;

/// Every operation of the OpenAPI document: method, path with these ids in it, and whether it is open to everybody.
async fn operations(client: &Client, room: i64, agent: &str) -> Vec<(Method, String, bool)> {
    let document = client.get("/openapi.json").await.ok();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{room}", &room.to_string())
            .replace("{agent}", agent);
        for (method, operation) in methods.as_object().unwrap() {
            let is_open = operation["security"]
                .as_array()
                .is_some_and(|ways| ways.iter().all(|way| *way == Value::Object(<_>::default())));
            found.push((
                method.to_uppercase().parse().unwrap(),
                path.clone(),
                is_open,
            ));
        }
    }
    assert!(found.len() > 35, "{found:?}");
    found
}
