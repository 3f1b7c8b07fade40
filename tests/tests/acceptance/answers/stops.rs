//! Answers that end early: by a user's message, a pause, a clear or a restart.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{
    fake_responder::{FakeResponder, begins, is_silent, says, unanswered},
    server::TestServer,
};

use super::fixture::ChatFixture;
use crate::stores::Place;

/// Begins a conversation: the user has sent "one", and the agent Ada composes an answer that never
/// ends. Ada answers any other message completely.
async fn begin_endless_answer(answer: &'static str) -> (FakeResponder, ChatFixture) {
    let responder = FakeResponder::new(move |prompt| match unanswered(prompt).as_deref() {
        Some("one") => begins(answer),
        Some(other) => says(&format!("as to {other}")),
        None => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.send("one").await;
    chat.wait_until_composing(0, answer).await;
    (responder, chat)
}

#[tokio::test]
async fn a_users_message_interrupts_an_answer_and_its_beginning_is_stored() {
    let (responder, chat) = begin_endless_answer("well, as for me ").await;
    chat.converse("two").await;
    assert_eq!(
        chat.texts().await,
        ["one", "two", "well, as for me", "as to two"]
    );
    let messages = chat.messages().await;
    let interrupted: Vec<_> = messages
        .iter()
        .map(|message| message["interrupted"].as_bool().unwrap())
        .collect();
    assert_eq!(interrupted, [false, false, true, false]);
    let turns: Vec<_> = responder
        .last_prompt("Ada")
        .unwrap()
        .turns
        .into_iter()
        .map(|turn| turn.text)
        .collect();
    assert_eq!(
        turns,
        ["well, as for me", "one", "two"],
        "the begun answer comes before the messages that it does not answer"
    );
    chat.end().await;
}

#[tokio::test]
async fn a_pause_stops_agents_within_a_tenth_of_a_second_and_they_go_on_when_it_ends() {
    let (_, chat) = begin_endless_answer("well, ").await;
    let began = Instant::now();
    assert_eq!(
        chat.client
            .post(&chat.path("/pause"), Value::Null)
            .await
            .ok()["is_paused"],
        json!(true)
    );
    chat.wait_until_over().await;
    let took = began.elapsed();
    tests::report(
        "answers.txt",
        &format!(
            "a pause ended an answer after {took:?}, including its request and storing the rest"
        ),
    );
    // The bound of 100 ms is for an optimized build. A debug build on a busy machine needs longer.
    assert!(
        took < Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 100 }),
        "{took:?}"
    );
    assert_eq!(
        chat.client.get(&chat.path("/chatting-agents")).await.ok(),
        json!({ "chatting_agents": [] })
    );
    chat.converse("two").await;
    assert_eq!(
        chat.authors().await,
        ["user", "Ada", "user"],
        "no agent answers in a paused room"
    );
    chat.client
        .post(&chat.path("/resume"), Value::Null)
        .await
        .ok();
    chat.wait_until_over().await;
    assert_eq!(chat.texts().await.last().unwrap(), "as to two");
    chat.end().await;
}

#[tokio::test]
async fn clearing_the_messages_discards_answers_that_are_being_composed() {
    let responder = FakeResponder::endless("well");
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.send("go").await;
    chat.wait_until_composing(0, "well").await;
    chat.client.delete(&chat.path("/messages")).await.ok();
    chat.wait_until_over().await;
    assert_eq!(chat.authors().await, Vec::<String>::new());
    chat.end().await;
}

#[tokio::test]
async fn a_message_that_the_program_left_unanswered_is_answered_once_after_the_next_start() {
    let store = Place::sqlite().open().await;
    let slow = FakeResponder::new(|prompt| match prompt.name.as_str() {
        "Ada" => says("Ada answers"),
        _ => begins("Bo be"),
    });
    let server = TestServer::start_answering(store.r.clone(), slow, |_| {}).await;
    let chat = ChatFixture::on_server(
        server,
        &[("Ada", json!({ "priority": 1 })), ("Bo", json!({}))],
    )
    .await;
    chat.send("hello").await;
    chat.wait_until_composing(1, "Bo be").await;
    let (room, agents) = (chat.room, chat.agents.clone());
    chat.end().await;
    let polite = FakeResponder::polite();
    let server = TestServer::start_answering(store.r.clone(), polite, |_| {}).await;
    let client = server.client();
    let chat = ChatFixture {
        store: None,
        server,
        client,
        room,
        agents,
    };
    chat.wait_until_over().await;
    assert_eq!(
        chat.texts().await,
        ["hello", "Ada answers", "Bo heard hello"]
    );
    chat.end().await;
}
