//! The traced program: two threads, each with a service of its own, that handle requests between
//! two signals to themselves.

use std::{
    io::{self, BufRead as _},
    sync::{Arc, Barrier},
    thread,
};

use app::{Auth, Caller, Flags, RequestService, Responders, Services, Settings};
use axum::{body::Body, extract::Request};
use cache_core::{Clock, Runtime};
use domain::{
    AgentConfig, AgentName, MessageId, NewAgent, NewMessage, NewRoom, RoomId, RoomName, UserId,
};
use nix::{
    sys::signal::{self, Signal},
    unistd,
};
use tokio::runtime;
use tower::Service as _;

/// The kinds of requests.
pub(crate) const KINDS: [&str; 4] = [
    "empty-poll",
    "poll-of-20-messages",
    "chatting-agents",
    "room",
];
/// The number of requests that each thread handles while it is traced.
pub(crate) const REQUESTS: usize = 4;
/// The number of threads.
pub(crate) const THREADS: usize = 2;
/// The signal with which a thread marks the traced requests. Without a tracer, it does nothing.
pub(crate) const MARK: Signal = Signal::SIGURG;
/// The number of requests before the traced ones. Then everything is in memory, and each thread has
/// allocated what it keeps.
const WARM_UP: usize = 300;
/// The number of messages in the room.
const MESSAGES: usize = 60;
/// The number of messages that a long poll returns.
const POLLED: usize = 20;

/// Handles requests of one kind, until both threads have been traced.
pub(crate) fn run(kind: &str) {
    // Its worker runs loads. The traced requests are hits, and leave it idle.
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let folder = tempfile::tempdir().expect("a temporary folder can be created");
    let mut settings = Settings::read(Flags::default()).expect("the defaults are valid");
    settings.auth.credentials = folder.path().join("credentials.yaml");
    settings.limits.requests_per_second = u32::MAX;
    settings.limits.request_burst = u32::MAX;
    // A traced request takes a thousand times as long as others. By this clock, no time passes.
    let (clock, _hand) = Clock::manual();
    let auth = Auth::open_with_clock(&settings, clock.clone());
    let auth = auth.expect("the credentials can be created");
    let tokens: Vec<_> = (0..THREADS).map(|_| auth.issue(&Caller::admin())).collect();
    let (services, path) = runtime.block_on(async {
        let app = Arc::new(app::with_store(
            contract::memory::repositories(),
            &settings,
            auth,
            Responders::default(),
            Runtime::tokio_with(clock),
        ));
        let (room, newest) = sample_room(&app).await;
        let path = match kind {
            "empty-poll" => format!("/rooms/{room}/messages/poll?since_id={}", newest[0]),
            "poll-of-20-messages" => {
                format!("/rooms/{room}/messages/poll?since_id={}", newest[POLLED])
            }
            "chatting-agents" => format!("/rooms/{room}/chatting-agents"),
            "room" => format!("/rooms/{room}"),
            other => panic!("{other} must be one of {KINDS:?}"),
        };
        (Services::new(&app, &settings), path)
    });
    // Each thread begins after the one before it has ended. So the lines that both write are those
    // that they share, whatever the speed of either.
    let turns: Vec<_> = (0..=THREADS).map(|_| Barrier::new(THREADS + 1)).collect();
    thread::scope(|scope| {
        for (number, (token, service)) in tokens.iter().zip(services.in_turn()).enumerate() {
            let (service, path, turns) = (service.clone(), &path, &turns);
            scope.spawn(move || handle_in_turn(service, path, token, number, turns));
        }
        // The threads have printed their ids. They go on when the tracer knows them.
        let mut line = String::new();
        io::stdin()
            .lock()
            .read_line(&mut line)
            .expect("the tracer answers");
        for turn in &turns {
            turn.wait();
        }
    });
}

/// Creates a room with an agent and messages. Returns it and its messages, the newest first.
async fn sample_room(app: &app::App) -> (RoomId, Vec<MessageId>) {
    let ports = &app.cache.repositories;
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse("tea").expect("the name is valid"),
        max_interactions: None,
    };
    let room = ports.rooms.create(new).await;
    let room = room.expect("memory accepts the room").id;
    let new = NewAgent {
        name: AgentName::parse("Ada").expect("the name is valid"),
        group: None,
        config: AgentConfig::default(),
        picture: None,
    };
    let agent = ports.agents.create(new).await;
    let agent = agent.expect("memory accepts the agent").id;
    let added = ports.rooms.add_member(room, agent).await;
    added.expect("memory accepts the member");
    let mut newest = Vec::new();
    for number in 0..MESSAGES {
        let text = format!("message {number}: {}", "some words, ".repeat(20));
        let message = NewMessage::from_agent(room, agent, text);
        let message = ports.messages.append(message).await;
        newest.insert(0, message.expect("memory accepts the message").id);
    }
    (room, newest)
}

/// Warms up, waits until all threads have done so, and handles the traced requests in turn.
fn handle_in_turn(
    mut service: RequestService,
    path: &str,
    token: &str,
    number: usize,
    turns: &[Barrier],
) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        handle(&mut service, (0..WARM_UP).map(|_| request(path, token))).await;
        println!("{number} {}", unistd::gettid());
        turns[0].wait();
        for (turn, barrier) in turns[1..].iter().enumerate() {
            if turn == number {
                // The thread before it may have written what this one keeps of the room.
                handle(&mut service, (0..3).map(|_| request(path, token))).await;
                let requests: Vec<_> = (0..REQUESTS).map(|_| request(path, token)).collect();
                mark();
                handle(&mut service, requests).await;
                mark();
            }
            barrier.wait();
        }
    });
}

fn request(path: &str, token: &str) -> Request {
    Request::get(path)
        .header("host", "localhost")
        .header("x-api-key", token)
        .body(Body::empty())
        .expect("path and token are valid in a request")
}

async fn handle(service: &mut RequestService, requests: impl IntoIterator<Item = Request>) {
    for request in requests {
        let Ok(response) = service.call(request).await;
        assert!(response.status().is_success(), "{}", response.status());
    }
}

/// Tells the tracer where to begin and where to end. The signal reaches only the tracer.
fn mark() {
    signal::raise(MARK).expect("a thread can signal itself");
}
