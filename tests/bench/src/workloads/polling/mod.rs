//! A workload of polling: a hundred clients in twenty rooms. Each client polls every two seconds,
//! and requests the chatting agents between two polls. Each room gets a message every ten seconds.

mod loopback;
mod schedule;

use std::time::Duration;

use domain::{MessageId, NewMessage, RoomId};

use super::{
    operations::MeasuredOperations,
    sample::{AGENTS, ROOMS},
    workload_bench::WorkloadBench,
};
use crate::{counter::Count, store::RegionHits};
use loopback::LoopbackServer;
use schedule::{CLIENTS, Event, schedule};

/// The maximum number of messages in the response to a poll, by default.
const PAGE: usize = 100;
/// The length of the warm-up, in seconds of the manual clock. After it, every entry was read once.
/// The report separates the warm-up from the rest.
const WARM_UP: u64 = 20;

/// The interface through which clients use the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessPath {
    /// Calls of the cached ports.
    Port,
    /// Requests over loopback.
    Http,
}

/// The results of one polling run.
#[derive(Default)]
pub(super) struct PollingResults {
    pub(super) polls: MeasuredOperations,
    pub(super) chatting_agents: MeasuredOperations,
    pub(super) writes: MeasuredOperations,
    pub(super) hits: Vec<RegionHits>,
    pub(super) warm_up: Count,
    /// The seconds of the manual clock after the warm-up.
    pub(super) seconds: u64,
    /// Events that occurred outside of the measured operations, in the program's periodic work.
    pub(super) between_operations: Count,
}

impl PollingResults {
    /// Returns the counts of statements and file reads during polls and requests of the chatting
    /// agents.
    pub(super) fn reads(&self) -> Count {
        let mut count = self.polls.count;
        count += self.chatting_agents.count;
        count
    }

    /// Returns the counts of statements and file reads during all reads and writes.
    pub(super) fn all(&self) -> Count {
        let mut count = self.reads();
        count += self.writes.count;
        count
    }
}

/// A browser tab that shows one room.
struct Client {
    room: RoomId,
    /// The id of the newest message that the client has received.
    since: MessageId,
}

/// The clients of a polling run, and the results so far.
struct PollingRun<'a> {
    bench: &'a WorkloadBench,
    clients: Vec<Client>,
    /// The server and its connection; `None` for [`AccessPath::Port`].
    server: Option<LoopbackServer>,
    results: PollingResults,
    /// The number of messages that were written.
    messages: usize,
}

/// Runs the clients for this many seconds of the manual clock, after the warm-up.
pub(super) async fn run(bench: &WorkloadBench, path: AccessPath, seconds: u64) -> PollingResults {
    let mut run = PollingRun::new(bench, path).await;
    let mut warm_up = None;
    let mut now = Duration::ZERO;
    let mut before = bench.counter.count();
    for scheduled in schedule(WARM_UP + seconds) {
        if scheduled.time >= Duration::from_secs(WARM_UP) && warm_up.is_none() {
            warm_up = Some(std::mem::take(&mut run.results).all());
            before = bench.counter.count();
        }
        bench.advance(scheduled.time.saturating_sub(now)).await;
        now = scheduled.time;
        match scheduled.event {
            Event::Poll { client } => run.poll(client).await,
            Event::ChattingAgents { client } => run.request_chatting_agents(client).await,
            Event::Message { room_number } => run.write_message(room_number).await,
        }
    }
    let mut results = run.results;
    results.seconds = seconds;
    results.between_operations = bench.counter.count() - before - results.all();
    results.hits = bench.hits();
    results.warm_up = warm_up.unwrap_or_default();
    results
}

impl<'a> PollingRun<'a> {
    async fn new(bench: &'a WorkloadBench, path: AccessPath) -> Self {
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let room = bench.sample.rooms[client % ROOMS];
            let newest = bench.ports().messages.recent(room, None, 1).await;
            clients.push(Client {
                room,
                since: newest.expect("the store returns the newest message")[0].id,
            });
        }
        let server = match path {
            AccessPath::Port => None,
            AccessPath::Http => Some(LoopbackServer::start(bench).await),
        };
        Self {
            bench,
            clients,
            server,
            results: PollingResults::default(),
            messages: 0,
        }
    }

    async fn poll(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let counter = &self.bench.counter;
        let polls = &mut self.results.polls;
        let newest = match &self.server {
            None => {
                let poll = poll_port(self.bench, client.room, client.since);
                polls.measure(counter, poll).await
            }
            Some(server) => {
                let poll = server.poll(client.room, client.since);
                polls.measure(counter, poll).await
            }
        };
        client.since = newest.unwrap_or(client.since);
    }

    async fn request_chatting_agents(&mut self, client: usize) {
        let room = self.clients[client].room;
        let counter = &self.bench.counter;
        let requests = &mut self.results.chatting_agents;
        match &self.server {
            // At the ports, only the access check reads data, because the list of composing agents
            // is never stored.
            None => {
                let read = self.bench.ports().rooms.find(room);
                let room = requests.measure(counter, read).await;
                assert!(room.expect("the store returns the room").is_some());
            }
            Some(server) => {
                let request = server.get(format!("/rooms/{room}/chatting-agents"));
                drop(requests.measure(counter, request).await);
            }
        }
    }

    /// Writes a message to a room. The agents of the room write in turn.
    async fn write_message(&mut self, room_number: usize) {
        self.messages += 1;
        let sample = &self.bench.sample;
        let message = NewMessage::from_agent(
            sample.rooms[room_number],
            sample.agent(room_number, self.messages / ROOMS % AGENTS),
            format!("news {}", self.messages),
        );
        let append = self.bench.ports().messages.append(message);
        let writes = &mut self.results.writes;
        let appended = writes.measure(&self.bench.counter, append).await;
        appended.expect("the store accepts the message");
    }
}

/// Reads the data of a poll: the room, the messages, and their authors. Returns the id of the
/// newest message.
async fn poll_port(bench: &WorkloadBench, room: RoomId, since: MessageId) -> Option<MessageId> {
    let ports = bench.ports();
    let found = ports.rooms.find(room).await;
    assert!(found.expect("the store returns the room").is_some());
    let messages = ports.messages.since(room, since, PAGE).await;
    let messages = messages.expect("the store returns the messages");
    let mut authors: Vec<_> = messages
        .iter()
        .filter_map(|message| message.author)
        .collect();
    authors.sort_unstable();
    authors.dedup();
    if !authors.is_empty() {
        let personas = ports.configs.find_many(&authors).await;
        let personas = personas.expect("the store returns the personas");
        assert_eq!(personas.len(), authors.len());
        let agents = ports.agents.find_many(&authors).await;
        let agents = agents.expect("the store returns the agents");
        assert_eq!(agents.len(), authors.len());
    }
    messages.last().map(|message| message.id)
}
