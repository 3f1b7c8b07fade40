//! Connections of event streams: keep-alive comments, and clients that stop reading.

use std::time::Duration;

use app::Settings;
use tests::server::TestServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Opens a room's event stream on a new connection, and leaves the response unread.
async fn open_raw_events(server: &TestServer, room: i64) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let token = server.client().token().to_owned();
    let request =
        format!("GET /rooms/{room}/events HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_silent_stream_sends_keep_alive_comments() {
    let server = TestServer::start(|_| {}).await;
    let room = server.client().create_room("silent").await;
    let mut stream = open_raw_events(&server, room).await;
    let mut text = String::new();
    let mut read_until = async |wanted: &str| {
        while !text.contains(wanted) {
            let mut chunk = [0; 4_096];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the stream must go on after {text}");
            text += std::str::from_utf8(&chunk[..read]).unwrap();
        }
    };
    // The current state has arrived, so no read of the store is in progress.
    read_until("chatting_agents").await;
    // tokio advances a paused clock to the next timer whenever all tasks are idle.
    tokio::time::pause();
    read_until("\n:\n\n").await;
    tokio::time::resume();
    drop(stream);
    server.end().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_disconnected() {
    let change = |settings: &mut Settings| {
        settings.write_timeout = Duration::from_secs(1);
        settings.limits.message_chars = 1_000_000;
    };
    let server = TestServer::start(change).await;
    let client = server.client();
    let room = client.create_room("loud").await;
    let slow = open_raw_events(&server, room).await;
    server.wait_for_listeners(room, 1).await;
    // 20 MB are more than the buffers of both sockets and of the connection hold.
    let content = "x".repeat(500_000);
    for _ in 0..40 {
        client.send_message(room, &content).await;
    }
    server.wait_for_listeners(room, 0).await;
    drop(slow);
    server.end().await;
}
