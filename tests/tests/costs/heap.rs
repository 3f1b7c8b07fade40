//! Bytes on the heap: of an append, and of ten thousand clients that wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use cache_adapter::{Cache, Options, TailLimits, Topic};
use domain::{LogEnd, MessageId, MockMessages, NewMessage, Repositories, RoomId, Seq, contract::memory};
use futures_util::{FutureExt, future::select_all};
use stats_alloc::Region;
use tests::server::Running;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::HEAP;

const ROOM: RoomId = RoomId(1);

/// Bytes that an append to a room with so many messages in memory allocates, on average.
async fn bytes_of_an_append(kept: i64) -> usize {
    const APPENDS: usize = 200;
    let (mut messages, next) = (MockMessages::new(), AtomicI64::new(0));
    // The first fill, and the appends by which the tail grows to its size.
    messages.expect_end().returning(|_, _| Ok(Some(LogEnd { last_seq: Seq(0), messages: Vec::new() })));
    messages.expect_append().returning(move |_| Ok(tests::message(ROOM, next.fetch_add(1, Ordering::SeqCst) + 1)));
    let store = Repositories { messages: Arc::new(messages), ..memory::repositories() };
    let tail = TailLimits { messages: 20_000, bytes: usize::MAX };
    let cache = Cache::new(store, Options { tail, preset: cache_adapter::Preset::Coherent, ..Options::default() });
    let ports = &cache.repositories.messages;
    ports.recent(ROOM, None, 10).await.unwrap();
    for _ in 0..kept {
        ports.append(NewMessage::from_user(ROOM, "x")).await.unwrap();
    }
    assert_eq!(ports.since(ROOM, MessageId(0), usize::MAX).await.unwrap().len(), usize::try_from(kept).unwrap());
    let region = Region::new(HEAP);
    for _ in 0..APPENDS {
        ports.append(NewMessage::from_user(ROOM, "x")).await.unwrap();
    }
    region.change().bytes_allocated / APPENDS
}

#[tokio::test]
async fn an_append_allocates_the_same_at_10_and_at_10_000_messages_kept() {
    let _alone = crate::alone().await;
    let (few, many) = (bytes_of_an_append(10).await, bytes_of_an_append(10_000).await);
    tests::report("costs.txt", &format!("an append allocates {few} bytes with 10 messages kept and {many} with 10,000"));
    assert!(few.abs_diff(many) <= few / 20, "{few} bytes with 10 messages kept, {many} with 10,000");
}

fn held(region: &Region<'_, std::alloc::System>) -> usize {
    let change = region.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

#[tokio::test]
async fn ten_thousand_registrations_and_timers_cost_at_most_a_kibibyte_each() {
    const CLIENTS: usize = 10_000;
    let _alone = crate::alone().await;
    let cache = Cache::new(memory::repositories(), Options::default());
    let region = Region::new(HEAP);
    let mut waiting: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut listener, late) = (cache.listen(Topic::Messages(ROOM)), cache.manager.clock().sleep(Duration::from_secs(30)));
            async move {
                tokio::select! { () = listener.rung() => {}, () = late => {} }
            }
            .boxed()
        })
        .collect();
    for waits in &mut waiting {
        assert!(waits.now_or_never().is_none());
    }
    let each = held(&region) / CLIENTS;
    tests::report("costs.txt", &format!("registration and timer of a waiting client take {each} bytes"));
    assert!(each <= 1_024, "{each} bytes");
    drop(select_all(waiting));
    assert_eq!(cache.waiting(ROOM), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_wait_over_http_are_all_answered_by_one_write() {
    // Two descriptors each, and a process may have 1,024 at least.
    const CLIENTS: usize = 400;
    let _alone = crate::alone().await;
    let server = Running::start(|_| {}).await;
    let client = server.client();
    let room = client.post("/rooms", serde_json::json!({ "name": "full" })).await.ok()["id"].as_i64().unwrap();
    let mut connections = Vec::new();
    let request = |wait: u32| format!("GET /rooms/{room}/messages/poll?since_id=0&wait={wait} HTTP/1.1\r\nhost: x\r\n\r\n");
    for _ in 0..CLIENTS {
        let mut connection = TcpStream::connect(server.address()).await.unwrap();
        connection.write_all(request(0).as_bytes()).await.unwrap();
        assert!(answer(&mut connection).await.ends_with("[]"));
        connections.push(connection);
    }
    let region = Region::new(HEAP);
    for connection in &mut connections {
        connection.write_all(request(30).as_bytes()).await.unwrap();
    }
    while server.app().cache.waiting(RoomId(room)) < CLIENTS {
        tokio::task::yield_now().await;
    }
    let each = held(&region) / CLIENTS;
    tests::report(
        "costs.txt",
        &format!("a client waiting over HTTP takes {each} bytes more than the same connection idle, the handler's future among them"),
    );
    let sent = client.post(&format!("/rooms/{room}/messages/send"), serde_json::json!({ "content": "hi", "role": "user" })).await.ok();
    for connection in &mut connections {
        assert!(answer(connection).await.contains(&format!("[{{\"id\":{}", sent["id"])));
    }
    drop(connections);
    server.end().await;
}

/// The next answer on a connection, head and body.
async fn answer(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let length =
                text[..head].lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            let length: usize = length.expect("the answer has a length").parse().unwrap();
            if bytes.len() >= head + 4 + length {
                return text;
            }
        }
        let mut more = [0; 4_096];
        let read = connection.read(&mut more).await.unwrap();
        assert!(read > 0, "cut off behind {text}");
        bytes.extend_from_slice(&more[..read]);
    }
}
