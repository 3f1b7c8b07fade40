//! The source of each response (store, memory or bypass), and the operations on the cache.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use cache_core::Clock;
use domain::{AgentId, Effect, Error, Health, NewMessage, RoomId};
use serde_json::{Value, json};
use tests::server::TestServer;

use super::{STATS, assert_has, assert_has_exactly, on_each_database, on_each_server};

#[tokio::test]
async fn a_read_has_the_same_bytes_from_the_store_from_memory_and_bypassing_the_cache() {
    on_each_server(async |client, server| {
        let room = client.create_room("tea").await;
        let agent = client
            .create_agent_with("Ada", json!({ "in_a_nutshell": "calm" }))
            .await;
        client.add_member(room, agent).await;
        client.mark_read(room).await;
        let new = NewMessage::from_agent(RoomId(room), AgentId(agent), "hello");
        let messages = &server.app().cache.repositories.messages;
        messages.append(new).await.unwrap();
        for path in [
            "/rooms".to_owned(),
            format!("/rooms/{room}"),
            format!("/rooms/{room}/agents"),
            format!("/rooms/{room}/messages"),
            format!("/rooms/{room}/messages?limit=5"),
            format!("/rooms/{room}/messages/poll"),
            format!("/rooms/{room}/messages/poll?since_id=0"),
            "/agents".to_owned(),
            format!("/agents/{agent}"),
        ] {
            client.post("/cache/clear", Value::Null).await.ok();
            let bypassed = client.get_bypassing(&path).await;
            let size = client.get("/cache/stats").await.ok()["size"].clone();
            assert_eq!(
                (bypassed.is_hit(), size),
                (Some(false), json!(0)),
                "{path}: a bypass must store nothing"
            );
            let miss = client.get(&path).await;
            let hit = client.get(&path).await;
            let bypassed_again = client.get_bypassing(&path).await;
            assert_eq!(
                (miss.is_hit(), hit.is_hit(), bypassed_again.is_hit()),
                (Some(false), Some(true), Some(false)),
                "{path}"
            );
            for other in [&miss, &hit, &bypassed_again] {
                assert_eq!(other.body, bypassed.body, "{path}");
                let cache_control = if path == "/agents" {
                    "private, no-cache"
                } else {
                    "no-store"
                };
                assert_eq!(
                    (other.status, other.header("cache-control")),
                    (bypassed.status, cache_control),
                    "{path}"
                );
                assert_eq!(other.header("etag"), bypassed.header("etag"), "{path}");
            }
            bypassed.ok();
        }
        let chatting = client.get(&format!("/rooms/{room}/chatting-agents")).await;
        assert_eq!(chatting.is_hit(), Some(true));
        assert_eq!(
            client
                .get(&format!("/rooms/{room}/critic-messages"))
                .await
                .is_hit(),
            Some(false)
        );
    })
    .await;
}

#[tokio::test]
async fn a_bypass_counts_neither_as_a_hit_nor_as_a_miss() {
    on_each_database(async |client| {
        client.post("/rooms", json!({ "name": "tea" })).await.ok();
        client.post("/cache/clear", Value::Null).await.ok();
        let total = |stats: &Value| stats["total_requests"].clone();
        let before = client.get("/cache/stats").await.ok();
        client.get_bypassing("/rooms").await.ok();
        client.get_bypassing("/rooms/1").await.ok();
        let after = client.get("/cache/stats").await.ok();
        assert_eq!(total(&after), total(&before));
    })
    .await;
}

#[tokio::test]
async fn the_cache_reports_its_statistics_and_is_emptied_on_request() {
    on_each_database(async |client| {
        let fresh = client.get("/cache/stats").await.ok();
        assert_has(&fresh, &STATS);
        assert_eq!(
            (&fresh["hits"], &fresh["hit_rate"]),
            (&json!(0), &json!(0.0))
        );
        let regions = fresh["regions"].as_object().unwrap();
        assert_eq!(regions.keys().collect::<Vec<_>>(), {
            let mut names: Vec<_> = cache_adapter::rows().iter().map(|row| row.region).collect();
            names.sort_unstable();
            names
        });
        for region in regions.values() {
            assert_has(region, &STATS);
            assert_has(
                region,
                &[
                    "loads",
                    "load_failures",
                    "refused_stores",
                    "evictions",
                    "weight",
                    "ttl_seconds",
                ],
            );
        }
        for name in ["a", "b"] {
            client.post("/rooms", json!({ "name": name })).await.ok();
        }
        client.post("/cache/clear", Value::Null).await.ok();
        let before = client.get("/cache/stats").await.ok()["regions"]["room_obj"].clone();
        for path in [
            "/rooms/1/agents",
            "/rooms/1/agents",
            "/rooms/1/agents",
            "/rooms/2/agents",
        ] {
            client.get(path).await.ok();
        }
        let after = client.get("/cache/stats").await.ok()["regions"]["room_obj"].clone();
        let gained = |field: &str| after[field].as_u64().unwrap() - before[field].as_u64().unwrap();
        assert_eq!(
            (
                gained("hits"),
                gained("misses"),
                gained("total_requests"),
                gained("loads")
            ),
            (2, 2, 4, 2)
        );
        assert_eq!(after["size"], 2);

        let invalidate = async |body: Value| {
            let removed = client.post("/cache/invalidate", body).await.ok();
            assert_has_exactly(&removed, &["invalidated"]);
            removed["invalidated"].as_u64().unwrap()
        };
        assert_eq!(invalidate(json!({ "key": "room_obj:1" })).await, 1);
        assert_eq!(invalidate(json!({ "key": "room_obj:1" })).await, 0);
        let removed = client.get("/cache/stats").await.ok()["regions"]["room_obj"].clone();
        assert_eq!(
            removed["invalidations"].as_u64().unwrap() - after["invalidations"].as_u64().unwrap(),
            1
        );
        assert_eq!(client.get("/rooms/1").await.is_hit(), Some(false));
        assert_eq!(invalidate(json!({ "prefix": "room_obj:" })).await, 2);
        client.get("/rooms/1").await.ok();
        assert_eq!(invalidate(json!({ "pattern": "room_o?j:*" })).await, 1);
        client.get("/rooms/1").await.ok();
        assert_eq!(
            invalidate(json!({ "region": "room_obj", "key": null })).await,
            1
        );
        client.get("/rooms/1").await.ok();
        assert!(
            invalidate(json!({ "room_id": 1 })).await >= 2,
            "an invalidation by room must reach all regions"
        );
        assert_eq!(client.get("/rooms/1").await.is_hit(), Some(false));
        client.post("/agents", json!({ "name": "Ada" })).await.ok();
        client.get("/agents/1").await.ok();
        assert_eq!(
            invalidate(json!({ "agent_id": 1 })).await,
            2,
            "an invalidation by agent must remove identity and persona"
        );
        let size = client.get("/cache/stats").await.ok()["size"].clone();
        assert_eq!(
            client.post("/cache/clear", Value::Null).await.ok(),
            json!({ "cleared": size })
        );
        assert_eq!(
            client.post("/cache/cleanup", Value::Null).await.ok(),
            json!({ "removed": 0 })
        );
    })
    .await;
}

#[tokio::test]
async fn the_server_reports_that_it_is_healthy() {
    on_each_database(async |client| {
        assert_eq!(
            client.get("/health").await.ok(),
            json!({ "status": "healthy", "config_problems": null })
        );
    })
    .await;
}

/// A store that does not respond.
struct Down;

#[async_trait]
impl Health for Down {
    async fn check(&self) -> domain::Result<()> {
        Err(Error::Unavailable {
            reason: "down".into(),
            effect: Effect::NotApplied,
        })
    }
}

#[tokio::test]
async fn a_server_without_its_store_is_alive_and_not_ready() {
    let mut store = contract::memory::repositories();
    store.health = Arc::new(Down);
    let server = TestServer::start_over(store, |_| {}).await;
    let stranger = server.stranger();
    stranger.get("/health/live").await.ok();
    for path in ["/health", "/health/ready"] {
        stranger.get(path).await.refused(503);
    }
    server.end().await;
}

#[tokio::test]
async fn health_counts_the_files_that_cannot_be_used() {
    let (clock, manual) = Clock::manual();
    let server = TestServer::start_with_clock(clock, |_| {}).await;
    let client = server.client();
    client.create_agent("Ada").await;
    fs::write(server.folder().join("agents/Ada/agent.yaml"), "[").unwrap();
    let counted = async {
        // The job may not sleep yet when the clock is advanced.
        while client.get("/health").await.ok()["config_problems"] != 1 {
            manual.advance(Duration::from_mins(1));
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(20), counted).await;
    assert!(done.is_ok(), "the problem is not counted");
}

#[tokio::test]
async fn the_keys_of_a_region_are_listed_with_their_age_and_without_their_values() {
    on_each_server(async |client, _| {
        for name in ["tea", "coffee", "cocoa"] {
            let room = client.create_room(name).await;
            client.get(&format!("/rooms/{room}")).await.ok();
        }
        let keys = |query: &str| format!("/cache/keys?region=room_obj{query}");
        let all = client.get(&keys("")).await.ok();
        assert_eq!(all["count"], 3);
        let names = all["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| &key["key"]);
        let names: Vec<_> = names.collect();
        assert_eq!(names, ["room_obj:1", "room_obj:2", "room_obj:3"]);
        let first = &all["keys"][0];
        assert!(first["age_seconds"].as_f64() < Some(20.0), "{first}");
        assert!(first["seconds_left"].as_f64() > Some(0.0), "{first}");
        assert_eq!(
            (&first["is_absence"], &first["weight"]),
            (&json!(false), &json!(1))
        );
        assert!(!all.to_string().contains("tea"), "{all}");
        let some = client.get(&keys("&contains=obj:2&limit=1")).await.ok();
        assert_eq!(
            (&some["count"], &some["keys"][0]["key"]),
            (&json!(1), &json!("room_obj:2"))
        );
        let few = client.get(&keys("&limit=2")).await.ok();
        assert_eq!(
            (&few["count"], few["keys"].as_array().unwrap().len()),
            (&json!(3), 2)
        );
        client.get("/cache/keys?region=rooms").await.refused(404);
        client.get("/cache/keys").await.refused(404);
        client.get(&keys("&limit=0")).await.refused(422);
    })
    .await;
}
