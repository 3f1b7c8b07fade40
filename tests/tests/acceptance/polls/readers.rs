//! Eight concurrent writers and 32 readers of one room.

use std::{env, sync::Arc, time::Duration};

use app::Settings;
use serde_json::Value;
use tests::{client::Client, random::Random, server::TestServer, sse::EventStream, wait::within};
use tokio::{
    sync::{Barrier, watch},
    task::JoinSet,
};

const WRITERS: usize = 8;

/// The way in which a reader follows the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowMode {
    /// Polls that return at once.
    Poll,
    /// Polls that wait for a message.
    WaitingPoll,
    /// An event stream.
    Stream,
    /// An event stream that the reader drops repeatedly, and resumes after the last received
    /// message.
    ResumedStream,
    /// Waiting polls that begin after many messages were written.
    LatePoll,
}

/// The number of readers in each mode.
const READERS: [(FollowMode, usize); 5] = [
    (FollowMode::Poll, 4),
    (FollowMode::WaitingPoll, 8),
    (FollowMode::Stream, 8),
    (FollowMode::ResumedStream, 6),
    (FollowMode::LatePoll, 6),
];

/// The numbers of messages in a run.
#[derive(Clone, Copy)]
struct Load {
    messages: usize,
    /// The number of messages that are written before the late readers begin.
    before_late_readers: usize,
}

impl Load {
    /// Returns the load of a long run if `GREENROOM_PROOF` is set, otherwise of a short run.
    fn of_this_run() -> Self {
        match env::var_os("GREENROOM_PROOF") {
            Some(_) => Self {
                messages: 60_000,
                before_late_readers: 5_000,
            },
            None => Self {
                messages: 2_000,
                before_late_readers: 700,
            },
        }
    }

    /// Returns the time within which the readers must have received all messages. Even in a debug
    /// build on a busy machine, they read far more than a hundred messages a second.
    fn time_limit(self) -> Duration {
        Duration::from_secs(60 + self.messages as u64 / 100)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reader_gets_every_message_once_and_in_order_on_sqlite() {
    assert_readers_get_every_message(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_reader_gets_every_message_once_and_in_order_on_postgres() {
    if let Some(database) = tests::postgres::database("polls on PostgreSQL").await {
        assert_readers_get_every_message(|settings| settings.database = database).await;
    }
}

async fn assert_readers_get_every_message(change: impl FnOnce(&mut Settings)) {
    let load = Load::of_this_run();
    let server = TestServer::start(change).await;
    let client = server.client();
    let room = client.create_room("busy").await;
    let count: usize = READERS.iter().map(|(_, count)| count).sum();
    let begin = Arc::new(Barrier::new(count + 1));
    let (sent, written) = watch::channel(0);
    let mut readers = JoinSet::new();
    for mode in READERS.iter().flat_map(|(mode, count)| vec![*mode; *count]) {
        let reader = Reader {
            mode,
            client: server.client(),
            room,
            load,
            received: Vec::new(),
        };
        readers.spawn(reader.run(begin.clone(), written.clone()));
    }
    begin.wait().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, sent) = (server.client(), sent.clone());
        writers.spawn(async move {
            for number in 0..load.messages / WRITERS {
                client
                    .send_message(room, &format!("{writer}/{number}"))
                    .await;
                sent.send_modify(|written| *written += 1);
            }
        });
    }
    writers.join_all().await;
    let path = format!("/rooms/{room}/messages");
    let log = client.get_bypassing(&path).await.ids();
    assert_eq!(log.len(), load.messages);
    let ended = within(
        load.time_limit(),
        "all readers have all messages",
        readers.join_all(),
    );
    for (mode, received) in ended.await {
        assert!(
            received == log,
            "{mode:?}: {} messages of {}, first difference at {:?}",
            received.len(),
            log.len(),
            received.iter().zip(&log).position(|(a, b)| a != b)
        );
    }
    let stats = client.get("/cache/stats").await.ok();
    println!(
        "{} messages: {} fills of the room's log",
        load.messages, stats["regions"]["room_messages"]["loads"],
    );
    server.end().await;
}

struct Reader {
    mode: FollowMode,
    client: Client,
    room: i64,
    load: Load,
    /// The ids of the messages, in the order of their arrival.
    received: Vec<i64>,
}

impl Reader {
    /// Follows the room until all messages have arrived.
    async fn run(
        mut self,
        begin: Arc<Barrier>,
        mut written: watch::Receiver<usize>,
    ) -> (FollowMode, Vec<i64>) {
        match self.mode {
            FollowMode::Poll | FollowMode::WaitingPoll => {
                begin.wait().await;
                self.poll().await;
            }
            FollowMode::LatePoll => {
                begin.wait().await;
                let count = self.load.before_late_readers;
                written.wait_for(|written| *written >= count).await.unwrap();
                self.poll().await;
            }
            FollowMode::Stream | FollowMode::ResumedStream => {
                let stream = self.open_listening_stream().await;
                begin.wait().await;
                self.follow(stream).await;
            }
        }
        (self.mode, self.received)
    }

    /// Opens a stream and waits for the room's current state, which the server sends first. The
    /// server then listens for events.
    async fn open_listening_stream(&self) -> EventStream {
        let mut stream = self.client.open_events(self.room, None).await;
        stream
            .next_named("chatting")
            .await
            .expect("a stream begins with the current state");
        stream
    }

    async fn follow(&mut self, mut stream: EventStream) {
        let random = Random::new(self.room.cast_unsigned());
        while !self.has_all() {
            let until = match self.mode {
                FollowMode::ResumedStream => self.received.len() + 1 + random.below(300),
                _ => self.load.messages,
            };
            while self.received.len() < until.min(self.load.messages) {
                let message = stream
                    .next_named("message")
                    .await
                    .expect("the stream must go on");
                let shown: Value = serde_json::from_str(&message.data).unwrap();
                assert_eq!(shown["id"].to_string(), message.id);
                self.received.push(message.id.parse().unwrap());
            }
            if !self.has_all() {
                let last = self.received.last().copied();
                stream = self.client.open_events(self.room, last).await;
            }
        }
    }

    async fn poll(&mut self) {
        let wait = match self.mode {
            FollowMode::Poll => "",
            _ => "&wait=30",
        };
        while !self.has_all() {
            let since = self.received.last().copied().unwrap_or(0);
            let room = self.room;
            let path = format!("/rooms/{room}/messages/poll?since_id={since}{wait}");
            self.received.extend(self.client.get(&path).await.ids());
            tokio::task::yield_now().await;
        }
    }

    fn has_all(&self) -> bool {
        self.received.len() >= self.load.messages
    }
}
