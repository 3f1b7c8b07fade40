//! Answers that end early: by a user's message, a pause, a clear or a restart.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::Composed;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tests::{
    fake_responder::{FakeResponder, begins, is_silent, says, unanswered},
    server::TestServer,
    wait::soon,
};
use tokio::sync::Semaphore;

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
async fn a_message_to_another_agent_interrupts_an_answer_and_its_beginning_is_stored() {
    let (responder, mut chat) = begin_endless_answer("well, as for me ").await;
    chat.add_agent("Bo", json!({})).await;
    let bo = chat.agents[1];
    chat.send_mentioning("two", &[bo]).await;
    chat.wait_until_over().await;
    let texts = chat.texts().await;
    let expected = ["one", "Bo joined the chat", "two", "well, as for me"];
    assert_eq!(texts[..4], expected, "{texts:?}");
    assert_eq!(chat.messages().await[3]["interrupted"], json!(true));
    let mut prompts = responder.prompts().into_iter();
    let next = prompts.find(|prompt| {
        let has_two = prompt.turns.iter().any(|turn| turn.text == "two");
        prompt.name.as_str() == "Ada" && has_two
    });
    let turns: Vec<_> = next
        .unwrap()
        .turns
        .into_iter()
        .map(|turn| turn.text)
        .collect();
    assert_eq!(
        turns[..2],
        ["well, as for me", "one"],
        "the begun answer comes before the messages that it does not answer"
    );
    chat.end().await;
}

#[tokio::test]
async fn people_who_write_quickly_are_answered() {
    let finished = Arc::new(Semaphore::new(0));
    let may_finish = finished.clone();
    let responder = FakeResponder::new(move |prompt| match unanswered(prompt) {
        Some(said) => {
            let may_finish = may_finish.clone();
            let end = async move {
                may_finish.acquire().await.unwrap().forget();
                Ok(Composed::Done)
            };
            let begin = Ok(Composed::Text(format!("as to {said}")));
            Box::pin(stream::once(async { begin }).chain(stream::once(end)))
        }
        None => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.send("0").await;
    // Each message is written while the answer to one before it is being composed.
    for message in 1..12 {
        let composing = format!("as to {}", message - 1);
        chat.wait_until_composing(0, &composing).await;
        chat.send(&message.to_string()).await;
        finished.add_permits(1);
        let answers = async {
            while chat
                .authors()
                .await
                .iter()
                .filter(|name| *name == "Ada")
                .count()
                < message
            {}
        };
        soon("the answer is stored whole", answers).await;
    }
    finished.add_permits(1);
    chat.wait_until_over().await;
    let answers: Vec<_> = chat
        .texts()
        .await
        .into_iter()
        .filter(|text| text.starts_with("as"))
        .collect();
    let expected: Vec<_> = (0..12).map(|message| format!("as to {message}")).collect();
    assert_eq!(answers, expected);
    // The late answers are marked, since a restart could not tell what they had seen.
    let interrupted = chat.messages().await;
    let interrupted = interrupted
        .iter()
        .filter(|message| message["interrupted"] == json!(true));
    assert_eq!(interrupted.count(), 11);
    assert_eq!(
        responder.prompts().len(),
        12,
        "no message is answered twice"
    );
    chat.end().await;
}

#[tokio::test]
async fn several_messages_in_a_row_get_one_answer() {
    let responder = FakeResponder::polite();
    let chat = ChatFixture::with_settings(&responder, &[("Ada", json!({}))], |settings| {
        settings.answers.limits.quiet_time = Duration::from_secs(2);
    })
    .await;
    for message in ["one", "two", "three"] {
        chat.send(message).await;
    }
    chat.wait_until_over().await;
    assert_eq!(
        chat.texts().await,
        ["one", "two", "three", "Ada heard three"]
    );
    chat.end().await;
}

#[tokio::test]
async fn changes_of_the_limit_make_no_agent_compose_again() {
    let (responder, chat) = begin_endless_answer("well, ").await;
    for limit in [1_000, 500, 1_000, 2, 1] {
        chat.limit_answers(limit).await;
    }
    // A limit below the answers that are being composed ends them.
    chat.limit_answers(0).await;
    chat.wait_until_over().await;
    assert_eq!(responder.prompts().len(), 1);
    assert_eq!(chat.texts().await, ["one"]);
    chat.end().await;
}

#[tokio::test]
async fn a_message_to_the_agent_that_answers_does_not_interrupt_it() {
    let (responder, chat) = begin_endless_answer("well, as for me ").await;
    chat.send("two").await;
    chat.send_mentioning("three", &[chat.agents[0]]).await;
    chat.wait_until_composing(0, "well, as for me ").await;
    // A pause ends the answer.
    chat.client
        .post(&chat.path("/pause"), Value::Null)
        .await
        .ok();
    chat.wait_until_over().await;
    assert_eq!(responder.prompts().len(), 1);
    assert_eq!(
        chat.texts().await,
        ["one", "two", "three", "well, as for me"]
    );
    let messages = chat.messages().await;
    assert_eq!(messages[3]["interrupted"], json!(true));
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
async fn a_message_that_mentions_nobody_in_the_room_interrupts_no_answer() {
    let (responder, chat) = begin_endless_answer("well, ").await;
    let outside = chat.client.create_agent("Cy").await;
    for mentioned in [999_999, outside] {
        chat.send_mentioning("two", &[mentioned]).await;
    }
    chat.wait_until_composing(0, "well, ").await;
    assert_eq!(responder.prompts().len(), 1);
    chat.client.delete(&chat.path("")).await.ok();
    chat.wait_until_over().await;
    chat.end().await;
}

#[tokio::test]
async fn an_agent_that_is_removed_or_deleted_stops_composing_at_once_and_stores_nothing() {
    for is_deleted in [false, true] {
        let (responder, chat) = begin_endless_answer("well, as for me ").await;
        let agent = chat.agents[0];
        let mut path = format!("/agents/{agent}");
        if !is_deleted {
            path = chat.path(&path);
        }
        chat.client.delete(&path).await.ok();
        // The answer never ends by itself.
        chat.wait_until_over().await;
        let texts = chat.texts().await;
        assert!(
            !texts.iter().any(|text| text.contains("as for me")),
            "{texts:?}"
        );
        chat.converse("two").await;
        assert_eq!(responder.prompts().len(), 1);
        chat.end().await;
    }
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
