//! Bytes on the heap: of an append, and of ten thousand clients that wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use cache_adapter::{Cache, ListenTarget, Options, Preset, TailLimits};
use cache_core::{Clock, Manager, Policy, Runtime};
use contract::memory;
use domain::{
    AgentId, LogEnd, MessageId, MockMessages, NewMessage, NewRoom, Repositories, RoomId, RoomName,
    Seq, UserId,
};
use futures_util::{FutureExt, future::select_all};
use serde_json::{Value, json};
use stats_alloc::Region;
use tests::server::Running;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
};

use crate::HEAP;

const ROOM: RoomId = RoomId(1);

/// Bytes that an append to a room with so many messages in memory allocates, on average.
async fn bytes_of_an_append(kept: i64) -> usize {
    const APPENDS: usize = 200;
    let (mut messages, next) = (MockMessages::new(), AtomicI64::new(0));
    // The first fill, and the appends by which the tail grows to its size.
    messages.expect_end().returning(|_, _| {
        Ok(Some(LogEnd {
            last_seq: Seq(0),
            messages: Vec::new(),
        }))
    });
    messages.expect_append().returning(move |_| {
        Ok(tests::message(
            ROOM,
            next.fetch_add(1, Ordering::SeqCst) + 1,
        ))
    });
    let store = Repositories {
        messages: Arc::new(messages),
        ..memory::repositories()
    };
    let tail = TailLimits {
        messages: 20_000,
        bytes: usize::MAX,
    };
    let cache = Cache::new(
        store,
        Options {
            tail,
            preset: Preset::Coherent,
            ..Options::default()
        },
    );
    let ports = &cache.repositories.messages;
    ports.recent(ROOM, None, 10).await.unwrap();
    for _ in 0..kept {
        ports
            .append(NewMessage::from_user(ROOM, "x"))
            .await
            .unwrap();
    }
    assert_eq!(
        ports
            .since(ROOM, MessageId(0), usize::MAX)
            .await
            .unwrap()
            .len(),
        usize::try_from(kept).unwrap()
    );
    let region = Region::new(HEAP);
    for _ in 0..APPENDS {
        ports
            .append(NewMessage::from_user(ROOM, "x"))
            .await
            .unwrap();
    }
    region.change().bytes_allocated / APPENDS
}

#[tokio::test]
async fn an_append_allocates_the_same_at_10_and_at_10_000_messages_kept() {
    let _alone = crate::alone().await;
    let (few, many) = (
        bytes_of_an_append(10).await,
        bytes_of_an_append(10_000).await,
    );
    tests::report(
        "costs.txt",
        &format!("an append allocates {few} bytes with 10 messages kept and {many} with 10,000"),
    );
    assert!(
        few.abs_diff(many) <= few / 20,
        "{few} bytes with 10 messages kept, {many} with 10,000"
    );
}

fn held(region: &Region<'_, std::alloc::System>) -> usize {
    let change = region.change();
    change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated)
}

#[tokio::test]
async fn rooms_and_what_polls_make_of_them_take_no_more_than_they_weigh() {
    const ROOMS: usize = 20;
    let _alone = crate::alone().await;
    // As much as a page holds, of what JSON escapes and what it does not.
    for text in [
        "plain words ".repeat(40),
        "\"\n".repeat(240),
        "\u{1}".repeat(480),
        "x".to_owned(),
    ] {
        let server = Running::start(|settings| settings.cache.preset = Preset::Coherent).await;
        let (client, cache) = (server.client(), &server.app().cache);
        let author = client
            .post(
                "/agents",
                json!({ "name": "Ada", "characteristics": "kind" }),
            )
            .await
            .ok()["id"]
            .as_i64()
            .unwrap();
        let mut polls = Vec::new();
        for name in 0..ROOMS {
            let id = client
                .post("/rooms", json!({ "name": name.to_string() }))
                .await
                .ok()["id"]
                .as_i64()
                .unwrap();
            client
                .post(&format!("/rooms/{id}/agents/{author}"), Value::Null)
                .await
                .ok();
            for _ in 0..100 {
                let new = NewMessage::from_agent(RoomId(id), AgentId(author), text.as_str());
                cache.repositories.messages.append(new).await.unwrap();
            }
            polls.push(format!("/rooms/{id}/messages/poll?since_id=0"));
            client.get(polls.last().unwrap()).await.ok();
        }
        assert_eq!(cache.manager.invalidate_prefix("room_messages:"), ROOMS);
        let rendered = &server.app().rendered;
        rendered.clear();
        let region = Region::new(HEAP);
        for poll in &polls {
            client.get(poll).await.ok();
        }
        let stats = cache.manager.stats();
        let messages = stats
            .iter()
            .find(|(name, ..)| *name == "room_messages")
            .unwrap()
            .2
            .weight;
        let weight = messages + rendered.weight();
        assert!(rendered.weight() <= app::RENDER_CACHE_BYTES);
        let held = held(&region) as u64;
        tests::report(
            "costs.txt",
            &format!(
                "{ROOMS} rooms of 100 messages of {} bytes hold {held} bytes and weigh {weight}",
                text.len()
            ),
        );
        assert!(
            (weight / 3..=weight).contains(&held),
            "{held} bytes are held, of {weight}"
        );
        server.end().await;
    }
}

#[tokio::test]
async fn ten_thousand_registrations_and_timers_cost_at_most_a_kibibyte_each() {
    const CLIENTS: usize = 10_000;
    let _alone = crate::alone().await;
    let cache = Cache::new(memory::repositories(), Options::default());
    let region = Region::new(HEAP);
    let mut waiting: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut listener, late) = (
                cache.listen(ListenTarget::Messages(ROOM)),
                cache.manager.clock().sleep(Duration::from_secs(30)),
            );
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
    tests::report(
        "costs.txt",
        &format!("registration and timer of a waiting client take {each} bytes"),
    );
    // A waker, a place in a list and a timer: less was not counted.
    assert!((64..=1_024).contains(&each), "{each} bytes");
    drop(select_all(waiting));
    assert_eq!(cache.message_listeners(ROOM), 0);
}

#[tokio::test]
async fn ten_thousand_clients_that_wait_over_http_are_all_answered_by_one_write() {
    const CLIENTS: usize = 10_000;
    let _alone = crate::alone().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = tests::server::settings(folder.path());
    let app = tests::server::app_over(memory::repositories(), &settings, Clock::real());
    let ports = &app.cache.repositories;
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("full").unwrap(),
        max_interactions: None,
    };
    let room = ports.rooms.create(new).await.unwrap().id;
    let (connect, connected) = mpsc::unbounded_channel();
    let router = app::router(app.clone(), &settings);
    let served = tokio::spawn(axum::serve(InMemory(connected), router).into_future());
    let mut connections = Vec::new();
    let token = app.auth.issue(&app::Caller::admin());
    let request = |wait: u32| {
        format!(
            "GET /rooms/{room}/messages/poll?since_id=0&wait={wait} HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\r\n"
        )
    };
    for _ in 0..CLIENTS {
        let (mut connection, of_server) = duplex(4_096);
        connect.send(of_server).unwrap();
        connection.write_all(request(0).as_bytes()).await.unwrap();
        assert!(answer(&mut connection).await.ends_with("[]"));
        connections.push(connection);
    }
    let region = Region::new(HEAP);
    for connection in &mut connections {
        connection.write_all(request(30).as_bytes()).await.unwrap();
    }
    while app.cache.message_listeners(room) < CLIENTS {
        tokio::task::yield_now().await;
    }
    let each = held(&region) / CLIENTS;
    tests::report(
        "costs.txt",
        &format!(
            "a client waiting over HTTP takes {each} bytes more than the same connection idle, the handler's future among them"
        ),
    );
    assert!(each <= 8_192, "{each} bytes");
    let sent = ports
        .messages
        .append(NewMessage::from_user(room, "hi"))
        .await
        .unwrap();
    for connection in &mut connections {
        assert!(
            answer(connection)
                .await
                .contains(&format!("[{{\"id\":{}", sent.id))
        );
    }
    assert_eq!(app.cache.message_listeners(room), 0);
    served.abort();
    drop((connections, connect));
    // The next test counts bytes: what these connections hold goes before it begins.
    while Arc::strong_count(&app) > 1 {
        tokio::task::yield_now().await;
    }
}

/// Connections without descriptors, of which a process may have no more than a thousand.
struct InMemory(mpsc::UnboundedReceiver<DuplexStream>);

impl axum::serve::Listener for InMemory {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(connection) => (connection, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The next answer on a connection, head and body.
async fn answer(connection: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text[..head].lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")
                    .map(str::to_owned)
            });
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

#[tokio::test]
async fn hits_allocate_nothing_but_the_boxed_future_of_a_port() {
    const HITS: usize = 1_000;
    let _alone = crate::alone().await;
    let manager = Manager::builder(Runtime::tokio()).build();
    let numbers =
        manager.region::<u64, Arc<u64>>("numbers", Policy::new(Duration::from_hours(1), 10));
    assert!(numbers.insert(1, Arc::new(1)));
    let ports = Cache::new(memory::repositories(), Options::default()).repositories;
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").unwrap(),
        max_interactions: None,
    };
    let room = ports.rooms.create(new).await.unwrap().id;
    // The first of a thread makes the cell that counts its hits.
    assert!(numbers.look_up(&1).is_some() && ports.rooms.find(room).await.unwrap().is_some());
    assert!(ports.rooms.find(room).await.unwrap().is_some());

    let of_region = least_allocated(async || {
        for _ in 0..HITS {
            assert!(numbers.look_up(&1).is_some());
        }
    });
    assert_eq!(of_region.await.0, 0, "a hit of a region");

    let of_port = least_allocated(async || {
        for _ in 0..HITS {
            assert!(ports.rooms.find(room).await.unwrap().is_some());
        }
    });
    let (allocations, bytes) = of_port.await;
    tests::report(
        "costs.txt",
        &format!(
            "a hit of a port allocates {} bytes, its boxed future",
            bytes / HITS
        ),
    );
    assert_eq!(allocations, HITS, "one box each");
    assert!(bytes <= 96 * HITS, "{} bytes", bytes / HITS);
}

/// How often `work` allocates, and how many bytes: the least of several times, since other threads, which begin tests that
/// then wait, only add to it.
async fn least_allocated(work: impl AsyncFn()) -> (usize, usize) {
    let mut least = (usize::MAX, usize::MAX);
    for _ in 0..20 {
        let region = Region::new(HEAP);
        work().await;
        let change = region.change();
        least = least.min((change.allocations, change.bytes_allocated));
    }
    least
}
