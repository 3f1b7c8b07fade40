//! Whoever follows a room gets each message once and in order, however it follows and however far it is behind.

use std::{sync::Arc, time::Duration};

use app::Settings;
use cache_core::Clock;
use domain::RoomId;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{
    random::Random,
    server::{Client, Running},
    sse::Stream,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Barrier, watch},
    task::JoinSet,
    time::timeout,
};

const WRITERS: usize = 8;

/// How a reader follows.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Polls that answer at once.
    Plain,
    /// Polls that wait.
    Wait,
    /// An event stream.
    Stream,
    /// An event stream that is dropped again and again, and resumed behind the last message it told.
    Resumed,
    /// Polls that begin when it is far behind.
    Late,
}

const WAYS: [(Way, usize); 5] = [
    (Way::Plain, 4),
    (Way::Wait, 8),
    (Way::Stream, 8),
    (Way::Resumed, 6),
    (Way::Late, 6),
];

/// How many messages are written, and how many of them before the late readers begin.
#[derive(Clone, Copy)]
struct Load {
    messages: usize,
    behind: usize,
}

impl Load {
    /// The long form under `GREENROOM_PROOF`.
    fn of_this_run() -> Self {
        match std::env::var_os("GREENROOM_PROOF") {
            Some(_) => Self {
                messages: 60_000,
                behind: 5_000,
            },
            None => Self {
                messages: 3_000,
                behind: 1_000,
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reader_gets_every_message_once_and_in_order_on_sqlite() {
    follow(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reader_gets_every_message_once_and_in_order_on_postgres() {
    if let Some(database) = tests::postgres::database("polls on PostgreSQL").await {
        follow(|settings| settings.database = database).await;
    }
}

async fn follow(change: impl FnOnce(&mut Settings)) {
    let load = Load::of_this_run();
    let server = Running::start(change).await;
    let client = server.client();
    let room = client.post("/rooms", json!({ "name": "busy" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let count: usize = WAYS.iter().map(|(_, count)| count).sum();
    let (begin, (told, written)) = (Arc::new(Barrier::new(count + 1)), watch::channel(0));
    let mut readers = JoinSet::new();
    for way in WAYS.iter().flat_map(|(way, count)| vec![*way; *count]) {
        let reader = Reader {
            way,
            client: server.client(),
            room,
            load,
            seen: Vec::new(),
        };
        readers.spawn(reader.run(begin.clone(), written.clone()));
    }
    begin.wait().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, told) = (server.client(), told.clone());
        writers.spawn(async move {
            for n in 0..load.messages / WRITERS {
                let body = json!({ "content": format!("{writer}/{n}"), "role": "user" });
                client
                    .post(&format!("/rooms/{room}/messages/send"), body)
                    .await
                    .ok();
                told.send_modify(|written| *written += 1);
            }
        });
    }
    writers.join_all().await;
    let log = client
        .get_past(&format!("/rooms/{room}/messages"))
        .await
        .ok();
    let log: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_i64().unwrap())
        .collect();
    assert_eq!(log.len(), load.messages);
    let within = Duration::from_secs(60 + load.messages as u64 / 100);
    for (way, seen) in timeout(within, readers.join_all())
        .await
        .expect("readers keep up")
    {
        assert!(
            seen == log,
            "{way:?}: {} messages of {}, first difference at {:?}",
            seen.len(),
            log.len(),
            seen.iter().zip(&log).position(|(a, b)| a != b)
        );
    }
    let stats = client.get("/cache/stats").await.ok();
    println!(
        "{load}: fills of the room's log: {}",
        stats["regions"]["room_messages"]["loads"],
        load = load.messages
    );
    server.end().await;
}

struct Reader {
    way: Way,
    client: Client,
    room: i64,
    load: Load,
    seen: Vec<i64>,
}

impl Reader {
    async fn run(
        mut self,
        begin: Arc<Barrier>,
        mut written: watch::Receiver<usize>,
    ) -> (Way, Vec<i64>) {
        match self.way {
            Way::Plain | Way::Wait => {
                begin.wait().await;
                self.poll().await;
            }
            Way::Late => {
                begin.wait().await;
                let behind = self.load.behind;
                written
                    .wait_for(|written| *written >= behind)
                    .await
                    .unwrap();
                self.poll().await;
            }
            Way::Stream | Way::Resumed => {
                let mut stream = self.open().await;
                begin.wait().await;
                let random = Random::new(self.room.cast_unsigned());
                while self.seen.len() < self.load.messages {
                    let until = if matches!(self.way, Way::Resumed) {
                        self.seen.len() + 1 + random.below(300)
                    } else {
                        self.load.messages
                    };
                    while self.seen.len() < until.min(self.load.messages) {
                        let message = stream
                            .next_named("message")
                            .await
                            .expect("the stream goes on");
                        assert_eq!(
                            serde_json::from_str::<Value>(&message.data).unwrap()["id"].to_string(),
                            message.id
                        );
                        self.seen.push(message.id.parse().unwrap());
                    }
                    if self.seen.len() < self.load.messages {
                        stream = self
                            .client
                            .events(self.room, self.seen.last().copied())
                            .await;
                    }
                }
            }
        }
        (self.way, self.seen)
    }

    /// A stream that is known to listen.
    async fn open(&self) -> Stream {
        let mut stream = self.client.events(self.room, None).await;
        stream
            .next_named("chatting")
            .await
            .expect("the present state is told first");
        stream
    }

    async fn poll(&mut self) {
        let wait = if matches!(self.way, Way::Plain) {
            ""
        } else {
            "&wait=30"
        };
        while self.seen.len() < self.load.messages {
            let since = self.seen.last().copied().unwrap_or(0);
            let found = self
                .client
                .get(&format!(
                    "/rooms/{}/messages/poll?since_id={since}{wait}",
                    self.room
                ))
                .await
                .ok();
            self.seen.extend(
                found
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|message| message["id"].as_i64().unwrap()),
            );
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn with_the_clock_stopped_a_waiting_client_is_answered_by_the_write_alone() {
    let (clock, hand) = Clock::manual();
    let server = Running::start_at(clock, |_| {}).await;
    let client = server.client();
    let room = client.post("/rooms", json!({ "name": "quiet" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let waiting = || {
        let client = server.client();
        tokio::spawn(async move {
            client
                .get(&format!("/rooms/{room}/messages/poll?since_id=0&wait=30"))
                .await
        })
    };
    let answered = waiting();
    listening(&server, room, 1).await;
    let sent = client
        .post(
            &format!("/rooms/{room}/messages/send"),
            json!({ "content": "hi", "role": "user" }),
        )
        .await
        .ok();
    assert_eq!(soon(answered).await.unwrap().ok()[0]["id"], sent["id"]);

    client.delete(&format!("/rooms/{room}/messages")).await.ok();
    // Read once, so that the next read is over as soon as it listens.
    client
        .get(&format!("/rooms/{room}/messages/poll?since_id=0"))
        .await
        .ok();
    let empty = waiting();
    listening(&server, room, 1).await;
    hand.advance(Duration::from_secs(29));
    tokio::task::yield_now().await;
    assert!(!empty.is_finished(), "not a second too early");
    hand.advance(Duration::from_secs(1));
    assert_eq!(soon(empty).await.unwrap().ok(), json!([]));
    server.end().await;
}

#[tokio::test]
async fn a_stream_tells_the_present_state_first_and_then_what_changes() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let agent = client.post("/agents", json!({ "name": "Ada" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let said = client
        .post(
            &format!("/rooms/{room}/messages/send"),
            json!({ "content": "before", "role": "user" }),
        )
        .await
        .ok();
    let mut stream = client.events(room, None).await;
    assert_eq!(
        (
            stream.header("content-type"),
            stream.header("x-accel-buffering")
        ),
        ("text/event-stream", "no")
    );
    let mut next = async |name: &str| {
        let event = soon(stream.next()).await.expect("the stream goes on");
        assert_eq!(event.name, name, "{}", event.data);
        (
            event.id,
            serde_json::from_str::<Value>(&event.data).unwrap(),
        )
    };
    let shown = client.get(&format!("/rooms/{room}")).await.ok();
    assert_eq!(next("room").await.1, shown);
    assert_eq!(next("agents").await.1, json!([]));
    assert_eq!(next("chatting").await.1, json!({ "chatting_agents": [] }));

    let sent = client
        .post(
            &format!("/rooms/{room}/messages/send"),
            json!({ "content": "now", "role": "user" }),
        )
        .await
        .ok();
    assert_eq!(
        next("message").await,
        (sent["id"].to_string(), sent.clone())
    );
    client
        .post(&format!("/rooms/{room}/pause"), Value::Null)
        .await
        .ok();
    assert_eq!(next("room").await.1["is_paused"], true);
    client
        .post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
        .await
        .ok();
    assert_eq!(next("agents").await.1[0]["name"], "Ada");
    assert_eq!(next("message").await.1["content"], "Ada joined the chat");
    client
        .patch(
            &format!("/agents/{agent}"),
            json!({ "name": "Ada Lovelace" }),
        )
        .await
        .ok();
    assert_eq!(next("agents").await.1[0]["name"], "Ada Lovelace");
    client.delete(&format!("/rooms/{room}/messages")).await.ok();
    assert_eq!(next("cleared").await.1, json!({ "room_id": room }));
    let after = client
        .post(
            &format!("/rooms/{room}/messages/send"),
            json!({ "content": "after", "role": "user" }),
        )
        .await
        .ok();
    assert_eq!(next("message").await.1["id"], after["id"]);
    client.delete(&format!("/rooms/{room}")).await.ok();
    assert_eq!(soon(stream.next()).await, None, "the room is gone");
    assert!(said["id"].as_i64() < sent["id"].as_i64());
    server.end().await;
}

#[tokio::test]
async fn a_stream_resumed_after_a_clear_is_told_of_it_first() {
    let server = Running::start(|_| {}).await;
    let client = server.client();
    let room = client.post("/rooms", json!({ "name": "tea" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let send = async |content: &str| {
        let body = json!({ "content": content, "role": "user" });
        client
            .post(&format!("/rooms/{room}/messages/send"), body)
            .await
            .ok()["id"]
            .as_i64()
            .unwrap()
    };
    let (first, second) = (send("one").await, send("two").await);
    let mut stream = client.events(room, Some(first)).await;
    assert_eq!(
        soon(stream.next_named("message")).await.unwrap().id,
        second.to_string()
    );
    client.delete(&format!("/rooms/{room}/messages")).await.ok();
    let third = send("three").await;
    let mut stream = client.events(room, Some(second)).await;
    assert_eq!(soon(stream.next()).await.unwrap().name, "cleared");
    assert_eq!(
        soon(stream.next_named("message")).await.unwrap().id,
        third.to_string()
    );
    // An id that was never told, as of a log that was restored from an older one.
    let mut stream = client.events(room, Some(third + 1_000)).await;
    assert_eq!(soon(stream.next()).await.unwrap().name, "cleared");
    assert_eq!(
        soon(stream.next_named("message")).await.unwrap().id,
        third.to_string()
    );
    let answer = client.ask_events(room, "last").await;
    assert_eq!(answer, StatusCode::UNPROCESSABLE_ENTITY);
    server.end().await;
}

#[tokio::test]
async fn a_silent_stream_gives_signs_of_life() {
    let server = Running::start(|_| {}).await;
    let room = server
        .client()
        .post("/rooms", json!({ "name": "silent" }))
        .await
        .ok()["id"]
        .as_i64()
        .unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(ask_for_events(&server, room).as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    let mut read_until = async |wanted: &str| {
        while !text.contains(wanted) {
            let mut chunk = [0; 4_096];
            let read = stream.read(&mut chunk).await.unwrap();
            assert!(read > 0, "cut off behind {text}");
            text += std::str::from_utf8(&chunk[..read]).unwrap();
        }
    };
    // The present state is told, and nobody asks the store any more.
    read_until("chatting_agents").await;
    // From here on time passes as soon as nobody has anything to do.
    tokio::time::pause();
    read_until("\n:\n\n").await;
    tokio::time::resume();
    drop(stream);
    server.end().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let change = |settings: &mut Settings| {
        settings.write_timeout = Duration::from_secs(1);
        settings.limits.message_chars = 1_000_000;
    };
    let server = Running::start(change).await;
    let client = server.client();
    let room = client.post("/rooms", json!({ "name": "loud" })).await.ok()["id"]
        .as_i64()
        .unwrap();
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    slow.write_all(ask_for_events(&server, room).as_bytes())
        .await
        .unwrap();
    listening(&server, room, 1).await;
    let content = "x".repeat(500_000);
    // More than the buffers of two sockets and a connection hold, in messages that each are read again.
    for _ in 0..40 {
        client
            .post(
                &format!("/rooms/{room}/messages/send"),
                json!({ "content": content, "role": "user" }),
            )
            .await
            .ok();
    }
    listening(&server, room, 0).await;
    drop(slow);
    server.end().await;
}

fn ask_for_events(server: &Running, room: i64) -> String {
    format!(
        "GET /rooms/{room}/events HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\n\r\n",
        server.client().token()
    )
}

/// Returns when so many listen to the room.
async fn listening(server: &Running, room: i64, count: usize) {
    let reached = async {
        while server.app().cache.message_listeners(RoomId(room)) != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), reached)
        .await
        .expect("they begin or end to listen");
}

async fn soon<T>(answer: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), answer)
        .await
        .expect("it comes at once")
}
