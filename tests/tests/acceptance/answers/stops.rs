//! What becomes of answers that are ended from outside.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    actors::{self, Actors, begins, says, silent, unanswered},
    server::Running,
};

use super::{Stage, plain};
use crate::stores::Place;

/// Ada was asked "one", and has begun an answer that never ends; whatever is said then she answers in full.
async fn ada_began(answer: &'static str) -> (Actors, Stage) {
    let actors = Actors::new(move |prompt| match unanswered(prompt).as_deref() {
        Some("one") => begins(answer),
        Some(other) => says(&format!("as to {other}")),
        None => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("one").await;
    stage.composing(0, answer).await;
    (actors, stage)
}

#[tokio::test]
async fn a_persons_word_interrupts_and_what_there_is_of_the_answers_is_kept() {
    let (actors, stage) = ada_began("well, as for me ").await;
    stage.say("two").await;
    stage.over().await;
    let said: Vec<_> = stage
        .said()
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(said, ["one", "two", "well, as for me", "as to two"]);
    let messages = stage
        .client
        .get(&stage.path("/messages?limit=10"))
        .await
        .ok();
    let interrupted: Vec<_> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["interrupted"].as_bool().unwrap())
        .collect();
    assert_eq!(interrupted, [false, false, true, false]);
    let turns: Vec<_> = actors
        .last_asked("Ada")
        .unwrap()
        .turns
        .into_iter()
        .map(|turn| turn.text)
        .collect();
    assert_eq!(
        turns,
        ["well, as for me", "one", "two"],
        "what was begun comes before what is yet to be answered"
    );
    stage.end().await;
}

#[tokio::test]
async fn a_pause_stops_agents_within_a_tenth_of_a_second_and_they_go_on_when_it_ends() {
    let (_, stage) = ada_began("well, ").await;
    let began = std::time::Instant::now();
    assert_eq!(
        stage
            .client
            .post(&stage.path("/pause"), Value::Null)
            .await
            .ok()["is_paused"],
        json!(true)
    );
    stage.over().await;
    let took = began.elapsed();
    tests::report(
        "answers.txt",
        &format!(
            "a pause ended an answer after {took:?}, its request and the stored rest included"
        ),
    );
    assert!(
        took < Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 100 }),
        "{took:?}"
    );
    assert_eq!(
        stage.client.get(&stage.path("/chatting-agents")).await.ok(),
        json!({ "chatting_agents": [] })
    );
    stage.say("two").await;
    stage.over().await;
    assert_eq!(
        stage.speakers().await,
        ["user", "Ada", "user"],
        "a paused room keeps silent"
    );
    stage
        .client
        .post(&stage.path("/resume"), Value::Null)
        .await
        .ok();
    stage.over().await;
    assert_eq!(stage.said().await.last().unwrap().1, "as to two");
    stage.end().await;
}

#[tokio::test]
async fn cleared_messages_take_what_is_composed_with_them() {
    let actors = Actors::new(|prompt| {
        if unanswered(prompt).is_some() {
            begins("well")
        } else {
            silent()
        }
    });
    let stage = Stage::new(&actors, &[("Ada", plain())]).await;
    stage.say("go").await;
    stage.composing(0, "well").await;
    stage.client.delete(&stage.path("/messages")).await.ok();
    stage.over().await;
    assert_eq!(stage.speakers().await, Vec::<String>::new());
    stage.end().await;
}

#[tokio::test]
async fn what_was_not_answered_when_the_program_ended_is_answered_after_the_next_start_and_once() {
    let store = Place::sqlite().open().await;
    let slow = Actors::new(|prompt| match prompt.name.as_str() {
        "Ada" => actors::says("Ada answers"),
        _ => begins("Bo be"),
    });
    let server = Running::answering(store.r.clone(), slow, |_| {}).await;
    let stage = Stage::in_room(
        server,
        &[("Ada", json!({ "priority": 1 })), ("Bo", plain())],
    )
    .await;
    stage.say("hello").await;
    stage.composing(1, "Bo be").await;
    let (room, agents) = (stage.room, stage.agents.clone());
    stage.end().await;
    let polite = Actors::polite();
    let server = Running::answering(store.r.clone(), polite, |_| {}).await;
    let client = server.client();
    let stage = Stage {
        store: None,
        server,
        client,
        room,
        agents,
    };
    stage.over().await;
    let said: Vec<_> = stage
        .said()
        .await
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(said, ["hello", "Ada answers", "Bo heard hello"]);
    stage.end().await;
}
