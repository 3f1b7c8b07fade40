//! Images of messages: their encoding, their own address, and their place in lists.

use std::io::Cursor;

use app::Settings;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::{Value, json};
use tests::{client::Client, server::TestServer, wait::soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Returns a JPEG whose neighboring pixels differ, which compresses badly.
fn noise(edge: u32) -> String {
    let pixel = |x: u32, y: u32| {
        let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).to_le_bytes();
        image::Rgb([mixed[1], mixed[2], mixed[3]])
    };
    encode(RgbImage::from_fn(edge, edge, pixel))
}

/// Returns a JPEG whose colors change slowly, which compresses well.
fn gradient(width: u32, height: u32) -> String {
    let shade = |x: u32, y: u32| [x * 255 / width, y * 255 / height, 128];
    let pixel = |x: u32, y: u32| image::Rgb(shade(x, y).map(|shade| shade.to_le_bytes()[0]));
    encode(RgbImage::from_fn(width, height, pixel))
}

fn encode(picture: RgbImage) -> String {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture)
        .write_to(&mut bytes, ImageFormat::Jpeg)
        .unwrap();
    STANDARD.encode(bytes.into_inner())
}

async fn send_image(client: &Client, room: i64, data: &str) -> Value {
    let body = json!({
        "content": "look",
        "role": "user",
        "image_data": data,
        "image_media_type": "image/jpeg",
    });
    client
        .post(&format!("/rooms/{room}/messages/send"), body)
        .await
        .ok()
}

#[tokio::test]
async fn an_image_is_stored_small_and_has_its_own_address() {
    let server = TestServer::start(|_| {}).await;
    let (guest, other) = (server.guest(), server.guest());
    let room = guest.create_room("tea").await;
    let message = send_image(&guest, room, &gradient(3_000, 1_000)).await;
    assert_eq!(message["image_media_type"], "image/jpeg");
    let url = message["image_url"].as_str().unwrap();
    assert_eq!(
        url,
        format!("/rooms/{room}/messages/{}/image", message["id"])
    );
    let image = guest.get(url).await;
    assert_eq!(image.status, 200);
    assert_eq!(
        (image.header("content-type"), image.header("cache-control")),
        ("image/jpeg", "private, no-cache")
    );
    assert_eq!(
        STANDARD.encode(&image.body),
        message["image_data"].as_str().unwrap()
    );
    assert!(image.body.len() <= 1 << 20, "{} bytes", image.body.len());
    let stored = image::load_from_memory(&image.body).unwrap();
    assert_eq!(stored.width().max(stored.height()), 1_568);
    let tag = image.header("etag");
    assert_eq!(guest.get_if_none_match(url, tag).await.status, 304);
    other.get(url).await.refused(403);
    server.stranger().get(url).await.refused(401);
    let text = guest.send_message(room, "no image").await;
    guest
        .get(&format!("/rooms/{room}/messages/{text}/image"))
        .await
        .refused(404);
    let elsewhere = guest.create_room("cake").await;
    let path = format!("/rooms/{elsewhere}/messages/{}/image", message["id"]);
    guest.get(&path).await.refused(404);
    server.end().await;
}

#[tokio::test]
async fn an_answer_contains_the_newest_images_and_stays_small() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let data = noise(1_100);
    for _ in 0..12 {
        send_image(&client, room, &data).await;
    }
    for path in [
        format!("/rooms/{room}"),
        format!("/rooms/{room}/messages"),
        format!("/rooms/{room}/messages?limit=100"),
        format!("/rooms/{room}/messages/poll"),
    ] {
        let response = client.get(&path).await;
        assert!(
            response.body.len() <= 8 << 20,
            "{path}: {} bytes",
            response.body.len()
        );
        let body = response.ok();
        let messages = if body.is_array() {
            &body
        } else {
            &body["messages"]
        };
        let messages = messages.as_array().unwrap();
        assert_eq!(messages.len(), 12, "{path}");
        assert!(
            messages
                .iter()
                .all(|message| message["image_url"].is_string()),
            "{path}"
        );
        let is_inline: Vec<_> = messages
            .iter()
            .map(|message| message["image_data"].is_string())
            .collect();
        assert!(!is_inline[0] && is_inline[11], "{path}: {is_inline:?}");
        assert!(is_inline.is_sorted(), "{path}: {is_inline:?}");
        let separator = if path.contains('?') { '&' } else { '?' };
        let without = client.get(&format!("{path}{separator}images=none")).await;
        assert!(
            without.body.len() < 20_000,
            "{path}: {} bytes",
            without.body.len()
        );
        client
            .get(&format!("{path}{separator}images=all"))
            .await
            .refused(422);
    }
    server.end().await;
}

/// Sends a GET on a connection with a small buffer, and reads only the head of the response.
/// Returns the connection and the length of the body.
async fn read_head(server: &TestServer, path: &str, token: &str) -> (TcpStream, usize) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket
        .connect(server.address().parse().unwrap())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    (stream, length.lines().next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn slow_readers_of_images_do_not_fill_the_memory() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let data = noise(1_100);
    // More than fit into one answer, so that the first answer uses up the bytes of all.
    for _ in 0..12 {
        send_image(&client, room, &data).await;
    }
    // These responses are not read. Those that do not fit into the buffers of the connections stay
    // in memory, until the server sends no more images.
    let path = format!("/rooms/{room}/messages/poll");
    let mut unread = Vec::new();
    let without_images = async {
        loop {
            let (stream, length) = read_head(&server, &path, client.token()).await;
            unread.push(stream);
            if length < 20_000 {
                return;
            }
        }
    };
    soon("an answer without images", without_images).await;
    assert!(unread.len() < 10, "{} answers with images", unread.len());
    let last = client.get(&path).await.ok();
    assert!(last[11]["image_data"].is_null() && last[11]["image_url"].is_string());
    drop(unread);
    let freed = async { while client.get(&path).await.ok()[11]["image_data"].is_null() {} };
    soon("the images are sent again", freed).await;
    server.end().await;
}

#[tokio::test]
async fn the_images_of_a_guest_have_a_quota() {
    let change = |settings: &mut Settings| settings.limits.image_bytes_per_guest = 300_000;
    let server = TestServer::start(change).await;
    let (guest, admin) = (server.guest(), server.client());
    let room = guest.create_room("tea").await;
    let data = noise(400);
    let sent = send_image(&guest, room, &data).await;
    let size = sent["image_data"].as_str().unwrap().len() / 4 * 3;
    assert!((150_000..300_000).contains(&size), "{size} bytes");
    let body = json!({
        "content": "look",
        "role": "user",
        "image_data": data,
        "image_media_type": "image/jpeg",
    });
    let path = format!("/rooms/{room}/messages/send");
    guest.post(&path, body.clone()).await.refused(403);
    guest.send_message(room, "a text is accepted").await;
    server.guest().create_room("tea").await;
    admin.post(&path, body.clone()).await.ok();
    admin.delete(&format!("/rooms/{room}/messages")).await.ok();
    guest.post(&path, body).await.ok();
    server.end().await;
}
