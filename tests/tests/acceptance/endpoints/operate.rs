//! The live view of the administrator, and the switches of the cache's regions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{client::Client, server::TestServer, sse::EventStream, wait::soon};

async fn open(client: &Client) -> EventStream {
    client.open_events_at("/admin/events", None).await
}

async fn next(stream: &mut EventStream, name: &str) -> Value {
    let event = soon(name, stream.next_named(name)).await;
    serde_json::from_str(&event.expect("the stream goes on").data).expect("an event is JSON")
}

fn region<'a>(figures: &'a Value, name: &str) -> &'a Value {
    let regions = figures["regions"].as_array().expect("figures have regions");
    let mut regions = regions.iter();
    regions
        .find(|region| region["name"] == name)
        .expect("the region exists")
}

#[tokio::test]
async fn the_overview_counts_as_the_statistics_do() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    for _ in 0..3 {
        client.get(&format!("/rooms/{room}")).await.ok();
    }
    let overview = client.get("/admin/overview").await.ok();
    let stats = client.get("/cache/stats").await.ok();
    for (name, counts) in stats["regions"].as_object().unwrap() {
        let figures = region(&overview, name);
        for count in ["hits", "misses", "loads", "size", "weight", "invalidations"] {
            assert_eq!(figures["stats"][count], counts[count], "{name} {count}");
        }
        assert_eq!(figures["ttl_seconds"], counts["ttl_seconds"], "{name}");
        assert_eq!(figures["is_enabled"], true);
        assert!(overview["history"]["regions"][name].is_array(), "{name}");
    }
    assert_eq!(overview["store_is_healthy"], true);
    assert_eq!(overview["http"]["responses"]["2xx"], json!(4));
    server.end().await;
}

#[tokio::test]
async fn the_live_view_begins_with_an_overview_and_ticks() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let mut stream = open(&client).await;
    assert_eq!(stream.header("cache-control"), "no-store");
    let first = next(&mut stream, "overview").await;
    assert!(first["history"]["every_seconds"].is_u64());
    let room = client.create_room("tea").await;
    loop {
        let tick = next(&mut stream, "tick").await;
        assert!(tick.get("history").is_none());
        client.get(&format!("/rooms/{room}")).await.ok();
        if region(&tick, "room_obj")["stats"]["hits"].as_u64() > Some(1) {
            break;
        }
    }
    server.end().await;
}

#[tokio::test]
async fn sixteen_live_views_are_open_at_most_and_each_ends_with_its_token() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(open(&client).await);
    }
    let refused = client.get("/admin/events").await;
    assert!(!refused.header("retry-after").is_empty());
    refused.refused(429);
    let body = json!({ "role": "admin" });
    client.post("/auth/revoke", body).await.ok();
    for stream in &mut streams {
        let ended = async { while stream.next().await.is_some() {} };
        soon("the stream ends", ended).await;
    }
    let another = server.client();
    another.get("/admin/overview").await.ok();
    open(&another).await;
    server.end().await;
}

#[tokio::test]
async fn a_region_is_switched_off_and_on_and_its_reads_go_past_the_cache_meanwhile() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let path = format!("/rooms/{room}/agents");
    let switch = "/cache/regions/room_agents";
    let off = client.patch(switch, json!({ "enabled": false })).await.ok();
    assert_eq!(off, json!({ "region": "room_agents", "enabled": false }));
    for _ in 0..2 {
        assert_eq!(client.get(&path).await.is_hit(), Some(false));
    }
    let overview = client.get("/admin/overview").await.ok();
    let figures = region(&overview, "room_agents");
    assert_eq!(figures["is_enabled"], false);
    assert_eq!(figures["off_by_hand"]["user"], "admin");
    let on = client.patch(switch, json!({ "enabled": true })).await.ok();
    assert_eq!(on["enabled"], true);
    client.get(&path).await.ok();
    assert_eq!(client.get(&path).await.is_hit(), Some(true));
    let unknown = json!({ "enabled": true });
    let unknown = client.patch("/cache/regions/nothing", unknown).await;
    assert_eq!(unknown.refused(404), "Region nothing not found");
    let wrong = client.patch(switch, json!({ "enabled": "no" })).await;
    assert_eq!(wrong.status, 422);
    server.end().await;
}

#[tokio::test]
async fn a_stream_without_images_names_them_only() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let mut picture = Vec::new();
    let pixels = image::RgbImage::new(2, 2);
    let mut file = std::io::Cursor::new(&mut picture);
    pixels.write_to(&mut file, image::ImageFormat::Png).unwrap();
    let send = json!({
        "content": "look", "role": "user",
        "image_data": STANDARD.encode(&picture), "image_media_type": "image/png"
    });
    let path = format!("/rooms/{room}/messages/send");
    client.post(&path, send).await.ok();
    for (query, has_image) in [("", true), ("&images=none", false)] {
        let path = format!("/rooms/{room}/events?since_id=0{query}");
        let mut stream = client.open_events_at(&path, None).await;
        let shown = next(&mut stream, "room").await;
        let message = next(&mut stream, "message").await;
        for message in [&shown["messages"][0], &message] {
            assert_eq!(message["image_data"].is_string(), has_image, "{query}");
            assert!(message["image_url"].is_string());
        }
    }
    server.end().await;
}
