//! Agents that answer: what each reads and writes, at the port; and the program's own conversation, with the script.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use domain::NewMessage;
use tower::ServiceExt;

use super::{AGENTS, ROOMS, Stage, Taken};
use crate::{counted::Count, measure::micros};

/// Between a person's message and the first answer, and from one answer to the next.
const PAUSE: Duration = Duration::from_secs(2);
/// Between two questions in a room that the program's agents answer.
const ROUND: Duration = Duration::from_secs(30);
/// Unanswered messages that an answer reads at most.
const HISTORY: usize = 100;

/// What contexts and answers took at the port.
#[derive(Default)]
pub(super) struct Rounds {
    pub(super) contexts: Taken,
    pub(super) appends: Taken,
    pub(super) warming: Count,
    /// Between the operations.
    pub(super) besides: Count,
}

/// So many seconds of it in all rooms, and one round before to warm up: a person writes, then each agent reads what its answer
/// needs, and writes one.
pub(super) async fn contexts(stage: &Stage, seconds: u64) -> Rounds {
    let (mut done, mut before) = (Rounds::default(), stage.counter.count());
    let turns = u64::try_from(AGENTS + 1).expect("few");
    for round in 0..=seconds / (PAUSE.as_secs() * turns) {
        if round == 1 {
            let first = std::mem::take(&mut done);
            done.warming = first.contexts.count;
            before = stage.counter.count();
        }
        for turn in 0..=AGENTS {
            for (number, room) in stage.rooms.iter().enumerate() {
                stage
                    .advance(PAUSE / u32::try_from(ROOMS).expect("few"))
                    .await;
                let Some(turn) = turn.checked_sub(1) else {
                    let asked = NewMessage::from_user(*room, format!("question {round}"));
                    done.appends
                        .add(&stage.counter, stage.ports().messages.append(asked))
                        .await
                        .expect("it is stored");
                    continue;
                };
                let agent = stage.agents[number * AGENTS + turn];
                let context = done
                    .contexts
                    .add(&stage.counter, stage.ports().context(*room, agent, HISTORY))
                    .await;
                let context = context.expect("it is read").expect("it is in the room");
                assert!(!context.messages.is_empty() && context.members.len() == AGENTS);
                let answer = NewMessage::from_agent(
                    *room,
                    agent,
                    format!("answer {round}, of some usual length as agents write"),
                );
                done.appends
                    .add(&stage.counter, stage.ports().messages.append(answer))
                    .await
                    .expect("it is stored");
            }
        }
    }
    done.besides = stage.counter.count() - before - done.contexts.count - done.appends.count;
    done
}

/// What the program took for its answers.
pub(super) struct Engine {
    pub(super) answers: usize,
    pub(super) count: Count,
    pub(super) micros: f64,
    pub(super) hits: Vec<(&'static str, f64, u64)>,
}

impl Engine {
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    pub(super) fn per_answer(&self, count: usize) -> f64 {
        count as f64 / self.answers as f64
    }
}

/// So many seconds of it, and one round before to warm up: in each room in turn, once in a [`ROUND`], a person writes, over the
/// interface, and the agents answer until they are silent, while the clock stands still.
pub(super) async fn engine(stage: &Stage, seconds: u64) -> Engine {
    let rounds = usize::try_from(seconds / ROUND.as_secs()).expect("few");
    let router = app::router(stage.app.clone(), &stage.settings);
    let token = stage.app.auth.issue(&app::Caller::admin());
    let store = stage.cache().bypassing.messages.clone();
    let newest = async || {
        let mut newest = Vec::new();
        for room in &stage.rooms {
            newest.push(store.recent(*room, None, 1).await.expect("it is read")[0].id);
        }
        newest
    };
    let (mut since, mut before, mut began) =
        (newest().await, stage.counter.count(), Instant::now());
    for round in 0..=rounds {
        if round == 1 {
            (since, before, began) = (newest().await, stage.counter.count(), Instant::now());
        }
        for room in &stage.rooms {
            let request = Request::builder()
                .method(Method::POST)
                .uri(format!("/rooms/{room}/messages/send"))
                .header("x-api-key", &token)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(format!(
                    r#"{{"content":"Good evening, for the {round}. time","role":"user"}}"#
                )))
                .expect("it is a request");
            let response = router
                .clone()
                .oneshot(request)
                .await
                .expect("it is answered");
            assert_eq!(response.status(), StatusCode::OK);
            stage.app.conversations.ended().await;
            stage
                .advance(ROUND / u32::try_from(ROOMS).expect("few"))
                .await;
        }
    }
    let (count, took) = (stage.counter.count() - before, micros(began.elapsed()));
    let mut answers = 0;
    for (room, since) in stage.rooms.iter().zip(since) {
        let said = store
            .since(*room, since, usize::MAX >> 1)
            .await
            .expect("it is read");
        answers += said
            .iter()
            .filter(|message| message.author.is_some())
            .count();
    }
    assert!(
        answers >= rounds * ROOMS * AGENTS,
        "all answered: {answers}"
    );
    Engine {
        answers,
        count,
        micros: took,
        hits: stage.hits(),
    }
}
