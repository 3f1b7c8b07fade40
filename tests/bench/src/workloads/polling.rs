//! A hundred clients on twenty rooms: each asks for messages every two seconds, and who composes; a message a room every
//! ten.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{MessageId, NewMessage, RoomId};
use tokio::net::TcpListener;

use super::{AGENTS, ROOMS, Stage, Taken};
use crate::{counted::Count, wire::Connection};

const CLIENTS: usize = 100;
const EVERY: Duration = Duration::from_secs(2);
const MESSAGE_EVERY: Duration = Duration::from_secs(10);
/// As many as a poll gives when it is not told.
const LIMIT: usize = 100;

/// Where the clients ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Port,
    Http,
}

/// What it took.
#[derive(Default)]
pub(super) struct Polling {
    pub(super) polls: Taken,
    pub(super) chatting: Taken,
    pub(super) writes: Taken,
    pub(super) hits: Vec<(&'static str, f64, u64)>,
    pub(super) warming: Count,
    pub(super) seconds: u64,
    /// Between the operations.
    pub(super) besides: Count,
}

impl Polling {
    /// What polls and questions took together.
    pub(super) fn reads(&self) -> Count {
        let mut count = self.polls.count;
        count += self.chatting.count;
        count
    }

    pub(super) fn all(&self) -> Count {
        let mut count = self.reads();
        count += self.writes.count;
        count
    }
}

/// What happens at a time.
#[derive(Clone, Copy)]
enum Event {
    Poll(usize),
    Chatting(usize),
    Message(usize),
}

/// All that happens in so many seconds, each at its time.
fn events(seconds: u64) -> BTreeMap<(Duration, usize), Event> {
    let mut events = BTreeMap::new();
    let of = |part: usize, parts: usize, every: Duration| {
        every * u32::try_from(part).expect("few") / u32::try_from(parts).expect("few")
    };
    let mut add = |first: Duration, every: Duration, event: Event| {
        let mut at = first;
        while at < Duration::from_secs(seconds) {
            let order = events.len();
            events.insert((at, order), event);
            at += every;
        }
    };
    for client in 0..CLIENTS {
        add(of(client, CLIENTS, EVERY), EVERY, Event::Poll(client));
        add(
            of(client, CLIENTS, EVERY) + EVERY / 2,
            EVERY,
            Event::Chatting(client),
        );
    }
    for room in 0..ROOMS {
        add(
            of(room, ROOMS, MESSAGE_EVERY),
            MESSAGE_EVERY,
            Event::Message(room),
        );
    }
    events
}

/// A browser at its room.
struct Client {
    room: RoomId,
    since: MessageId,
}

/// So many seconds until everything was asked for once; what they took stands apart.
const WARMING: u64 = 20;

/// Runs so many seconds of it, warm.
pub(super) async fn run(stage: &Stage, way: Way, seconds: u64) -> Polling {
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let room = stage.rooms[client % ROOMS];
        let newest = stage
            .ports()
            .messages
            .recent(room, None, 1)
            .await
            .expect("it is read")[0]
            .id;
        clients.push(Client {
            room,
            since: newest,
        });
    }
    let wire = if way == Way::Http {
        Some(Wire::open(stage).await)
    } else {
        None
    };
    let (mut done, mut warming) = (Polling::default(), None);
    let (mut now, mut said, mut before) = (Duration::ZERO, 0, stage.counter.count());
    for ((at, _), event) in events(WARMING + seconds) {
        if at >= Duration::from_secs(WARMING) && warming.is_none() {
            warming = Some(std::mem::take(&mut done).all());
            before = stage.counter.count();
        }
        stage.advance(at.saturating_sub(now)).await;
        now = at;
        match event {
            Event::Poll(client) => {
                let client = &mut clients[client];
                let newest = match &wire {
                    None => done.polls.add(&stage.counter, poll(stage, client)).await,
                    Some(wire) => done.polls.add(&stage.counter, wire.poll(client)).await,
                };
                client.since = newest.unwrap_or(client.since);
            }
            Event::Chatting(client) => match &wire {
                // At the port it is the check of who may enter; what is composed is never stored.
                None => assert!(
                    done.chatting
                        .add(
                            &stage.counter,
                            stage.ports().rooms.find(clients[client].room)
                        )
                        .await
                        .expect("it is read")
                        .is_some()
                ),
                Some(wire) => {
                    drop(
                        done.chatting
                            .add(
                                &stage.counter,
                                wire.ask(format!(
                                    "/rooms/{}/chatting-agents",
                                    clients[client].room
                                )),
                            )
                            .await,
                    );
                }
            },
            Event::Message(room) => {
                // A room's agents speak in turn.
                said += 1;
                let new = NewMessage::from_agent(
                    stage.rooms[room],
                    stage.agents[room * AGENTS + said / ROOMS % AGENTS],
                    format!("news {said}"),
                );
                done.writes
                    .add(&stage.counter, stage.ports().messages.append(new))
                    .await
                    .expect("it is stored");
            }
        }
    }
    done.seconds = seconds;
    done.besides = stage.counter.count() - before - done.all();
    done.hits = stage.hits();
    done.warming = warming.unwrap_or_default();
    done
}

/// What a poll reads: the room, the messages, and who wrote them. The newest id.
async fn poll(stage: &Stage, client: &Client) -> Option<MessageId> {
    let ports = stage.ports();
    assert!(
        ports
            .rooms
            .find(client.room)
            .await
            .expect("it is read")
            .is_some()
    );
    let found = ports
        .messages
        .since(client.room, client.since, LIMIT)
        .await
        .expect("it is read");
    let mut authors: Vec<_> = found.iter().filter_map(|message| message.author).collect();
    authors.sort_unstable();
    authors.dedup();
    if !authors.is_empty() {
        assert_eq!(
            ports
                .configs
                .find_many(&authors)
                .await
                .expect("it is read")
                .len(),
            authors.len()
        );
        assert_eq!(
            ports
                .agents
                .find_many(&authors)
                .await
                .expect("it is read")
                .len(),
            authors.len()
        );
    }
    found.last().map(|message| message.id)
}

/// A server on loopback, and a connection to it.
struct Wire(Arc<std::sync::Mutex<Connection>>);

impl Wire {
    async fn open(stage: &Stage) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let router = app::router(stage.app.clone(), &stage.settings);
        // It ends with the runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        let token = stage.app.auth.issue(&app::Caller::admin());
        Self(Arc::new(std::sync::Mutex::new(Connection::open(
            address, &token,
        ))))
    }

    async fn ask(&self, path: String) -> Vec<u8> {
        let connection = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || {
            connection.lock().expect("nobody panics").ask(&path).1
        });
        asked.await.expect("it is answered")
    }

    async fn poll(&self, client: &Client) -> Option<MessageId> {
        let body = self
            .ask(format!(
                "/rooms/{}/messages/poll?since_id={}",
                client.room, client.since
            ))
            .await;
        let found: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("a list");
        found
            .last()
            .map(|message| MessageId(message["id"].as_i64().expect("a number")))
    }
}
