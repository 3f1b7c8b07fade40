//! Conversations of the whole program with the scripted responder. A user sends messages over the
//! HTTP interface, and the agents answer until they are silent.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use domain::{MessageId, RoomId};
use tower::ServiceExt;

use super::{
    sample::{AGENTS, ROOMS},
    workload_bench::WorkloadBench,
};
use crate::{
    counter::Count,
    measure::{float, micros},
    store::RegionHits,
};

/// The time between two questions in a room.
const QUESTION_INTERVAL: Duration = Duration::from_secs(30);

/// The results of the program's answers.
pub(super) struct ProgramResults {
    pub(super) answers: usize,
    pub(super) count: Count,
    pub(super) micros: f64,
    pub(super) hits: Vec<RegionHits>,
}

impl ProgramResults {
    /// Returns the mean number of events per answer.
    pub(super) fn per_answer(&self, events: usize) -> f64 {
        float(events) / float(self.answers)
    }
}

/// Asks questions for this many seconds of the manual clock, after one round of warm-up. The clock
/// does not advance while the agents answer.
pub(super) async fn run(bench: &WorkloadBench, seconds: u64) -> ProgramResults {
    let rounds = usize::try_from(seconds / QUESTION_INTERVAL.as_secs())
        .expect("the number of rounds is small");
    let rooms = u32::try_from(ROOMS).expect("the number of rooms is small");
    let router = app::router(bench.app.clone(), &bench.settings);
    let token = bench.app.auth.issue(&app::Caller::admin());
    let mut first = newest_messages(bench).await;
    let (mut before, mut start) = (bench.counter.count(), Instant::now());
    for round in 0..=rounds {
        if round == 1 {
            first = newest_messages(bench).await;
            (before, start) = (bench.counter.count(), Instant::now());
        }
        for room in &bench.sample.rooms {
            ask(&router, &token, *room, round).await;
            bench.app.conversations.ended().await;
            bench.advance(QUESTION_INTERVAL / rooms).await;
        }
    }
    let count = bench.counter.count() - before;
    let elapsed = micros(start.elapsed());
    let answers = count_answers(bench, &first).await;
    assert!(
        answers >= rounds * ROOMS * AGENTS,
        "every agent must answer in every round, got {answers} answers"
    );
    ProgramResults {
        answers,
        count,
        micros: elapsed,
        hits: bench.hits(),
    }
}

/// Sends a user's message to a room.
async fn ask(router: &Router, token: &str, room: RoomId, round: usize) {
    let body = format!(r#"{{"content":"Good evening, for the {round}. time","role":"user"}}"#);
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/rooms/{room}/messages/send"))
        .header("x-api-key", token)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .expect("path and token are valid in a request");
    let response = router.clone().oneshot(request).await;
    let response = response.expect("a router cannot fail");
    assert_eq!(response.status(), StatusCode::OK);
}

/// Returns the id of the newest message in each room. Reads bypass the cache.
async fn newest_messages(bench: &WorkloadBench) -> Vec<MessageId> {
    let store = &bench.cache().bypassing.messages;
    let mut newest = Vec::new();
    for room in &bench.sample.rooms {
        let messages = store.recent(*room, None, 1).await;
        newest.push(messages.expect("the store returns the newest message")[0].id);
    }
    newest
}

/// Returns the number of agents' messages that are newer than `first` in each room.
async fn count_answers(bench: &WorkloadBench, first: &[MessageId]) -> usize {
    let store = &bench.cache().bypassing.messages;
    let mut answers = 0;
    for (room, first) in bench.sample.rooms.iter().zip(first) {
        let messages = store.since(*room, *first, usize::MAX >> 1).await;
        answers += messages
            .expect("the store returns the messages")
            .iter()
            .filter(|message| message.author.is_some())
            .count();
    }
    answers
}
