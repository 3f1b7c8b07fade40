//! The tokens that answers use, and the budgets that bound them.

use std::time::Duration;

use app::Settings;
use cache_core::Clock;
use chrono::{Days, Utc};
use domain::{AgentId, Composed, RoomId, Usage, UsageRecord, UserId};
use serde_json::{Value, json};
use tests::{
    client::Client,
    fake_responder::{FakeResponder, composes, is_silent, unanswered},
    server::TestServer,
    wait::soon,
};

use super::fixture::ChatFixture;
use crate::stores::Place;

/// Returns a responder that answers each message with 1,000 tokens.
fn expensive() -> FakeResponder {
    FakeResponder::new(|prompt| match unanswered(prompt) {
        Some(_) => composes([
            Composed::Text("well".into()),
            Composed::Usage(Usage {
                input: 900,
                output: 100,
                cached: 300,
                requests: 2,
            }),
            Composed::Done,
        ]),
        None => is_silent(),
    })
}

async fn start(responder: &FakeResponder, change: impl FnOnce(&mut Settings)) -> ChatFixture {
    ChatFixture::with_settings(responder, &[("Ada", json!({}))], change).await
}

/// Returns the number of prompts with a message to answer.
fn asks(responder: &FakeResponder) -> usize {
    let prompts = responder.prompts();
    let asked = prompts.iter().filter(|prompt| unanswered(prompt).is_some());
    asked.count()
}

/// Waits until a room shows an error that contains `text`.
async fn wait_for_error(client: &Client, room: i64, text: &str) {
    let is_shown = async {
        loop {
            let shown = client.get(&format!("/rooms/{room}")).await.ok();
            let error = shown["last_error"].as_str().unwrap_or_default();
            if error.contains(text) {
                return;
            }
        }
    };
    soon(&format!("the room shows {text:?}"), is_shown).await;
}

async fn authors(client: &Client, room: i64) -> Vec<String> {
    let path = format!("/rooms/{room}/messages?limit=1000");
    let messages = client.get(&path).await.items();
    let author = |message: Value| message["agent_name"].as_str().unwrap_or("user").to_owned();
    messages.into_iter().map(author).collect()
}

#[tokio::test]
async fn used_tokens_are_stored_and_shown_to_the_owner_and_the_administrator() {
    let responder = expensive();
    let chat = start(&responder, |_| {}).await;
    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    for _ in 0..2 {
        guest.send_message(room, "hello").await;
        chat.wait_until_over().await;
    }
    chat.converse("hello").await;

    let sum = |value: String, answers: u64| {
        json!({
            "value": value,
            "input_tokens": 900 * answers,
            "output_tokens": 100 * answers,
            "cached_tokens": 300 * answers,
            "requests": 2 * answers,
        })
    };
    let (today, agent) = (
        Utc::now().date_naive().to_string(),
        chat.agents[0].to_string(),
    );
    let of_guest = guest.get("/usage?days=1").await.ok();
    let owner = guest.get("/rooms").await.items()[0]["owner_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let expected = json!({
        "since": today,
        "days": [sum(today.clone(), 2)],
        "models": [sum("unnamed".into(), 2)],
        "rooms": [sum(room.to_string(), 2)],
        "agents": [sum(agent.clone(), 2)],
        "owners": [sum(owner.clone(), 2)],
    });
    assert_eq!(of_guest, expected);
    let of_all = chat.client.get("/usage").await.ok();
    assert_eq!(of_all["models"], json!([sum("unnamed".into(), 3)]));
    assert_eq!(of_all["agents"], json!([sum(agent, 3)]));
    let owners = json!([sum(owner, 2), sum("admin".into(), 1)]);
    assert_eq!(of_all["owners"], owners);
    guest.get("/usage?days=0").await.refused(422);
    chat.server.stranger().get("/usage").await.refused(401);
    chat.end().await;
}

#[tokio::test]
async fn a_guest_whose_tokens_of_the_day_are_used_up_is_not_answered_and_others_are() {
    let responder = expensive();
    let chat = start(&responder, |settings| {
        settings.answers.limits.guest_tokens_per_day = 1_500;
    })
    .await;
    let (ann, bo) = (chat.server.guest(), chat.server.guest());
    let (of_ann, of_bo) = (
        chat.room_of(&ann, "tea").await,
        chat.room_of(&bo, "tea").await,
    );
    for _ in 0..2 {
        ann.send_message(of_ann, "hello").await;
        chat.wait_until_over().await;
    }
    ann.send_message(of_ann, "hello again").await;
    wait_for_error(
        &ann,
        of_ann,
        "the tokens of this guest for today are used up",
    )
    .await;
    assert_eq!(asks(&responder), 2);
    for (client, room) in [(&bo, of_bo), (&chat.client, chat.room)] {
        client.send_message(room, "hello").await;
        let is_answered = async { while authors(client, room).await.len() < 2 {} };
        soon("the others are answered", is_answered).await;
    }
    assert_eq!(authors(&ann, of_ann).await.len(), 5);
    chat.end().await;
}

#[tokio::test]
async fn the_tokens_of_all_rooms_are_bounded_day_by_day() {
    let responder = expensive();
    let store = Place::sqlite().open().await;
    let record = |days| UsageRecord {
        day: Utc::now().date_naive() - Days::new(days),
        owner: UserId::parse("guest-1").unwrap(),
        room: RoomId(9),
        agent: AgentId(9),
        model: "llama".into(),
        usage: Usage {
            input: 5_000,
            ..Usage::default()
        },
    };
    // The usage of yesterday does not count today.
    store.r.usage.add(record(1)).await.unwrap();
    let server = TestServer::start_answering(store.r.clone(), responder.clone(), |settings| {
        settings.answers.limits.tokens_per_day = 5_500;
    })
    .await;
    let chat = ChatFixture {
        store: Some(store),
        ..ChatFixture::on_server(server, &[("Ada", json!({}))]).await
    };
    chat.converse("hello").await;
    assert_eq!(chat.authors().await, ["user", "Ada"]);
    let ports = &chat.store.as_ref().unwrap().r;
    ports.usage.add(record(0)).await.unwrap();
    chat.send("hello again").await;
    wait_for_error(&chat.client, chat.room, "the tokens of all rooms for today").await;
    assert_eq!(asks(&responder), 1);
    chat.end().await;
}

#[tokio::test]
async fn a_guest_who_asks_too_often_is_answered_in_the_next_minute() {
    let (clock, hand) = Clock::manual();
    let responder = expensive();
    let store = Place::sqlite().open().await;
    let change = |settings: &mut Settings| {
        settings.answers.limits.guest_asks_per_minute = 1;
        // Prompts that the budget forbids do not count.
        settings.answers.limits.asks_per_message = 1;
    };
    let ports = store.r.clone();
    let server =
        TestServer::start_answering_with_clock(clock, ports, responder.clone(), change).await;
    let chat = ChatFixture {
        store: Some(store),
        ..ChatFixture::on_server(server, &[("Ada", json!({}))]).await
    };
    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    guest.send_message(room, "hello").await;
    chat.wait_until_over().await;
    guest.send_message(room, "hello again").await;
    wait_for_error(&guest, room, "for this minute are used up").await;
    assert_eq!(authors(&guest, room).await, ["user", "Ada", "user"]);
    // Nothing else is written while the room waits.
    let before = guest.get(&format!("/rooms/{room}")).await.text();
    for _ in 0..4 {
        hand.advance(Duration::from_secs(4));
        tokio::task::yield_now().await;
    }
    assert_eq!(guest.get(&format!("/rooms/{room}")).await.text(), before);
    hand.advance(Duration::from_mins(1));
    // The room may begin its next pause only now.
    let is_answered = async {
        while authors(&guest, room).await.len() < 4 {
            hand.advance(Duration::from_secs(1));
        }
    };
    soon("the guest is answered", is_answered).await;
    assert_eq!(authors(&guest, room).await, ["user", "Ada", "user", "Ada"]);
    chat.wait_until_over().await;
    let shown = guest.get(&format!("/rooms/{room}")).await.ok();
    assert_eq!(shown["last_error"], Value::Null);
    chat.end().await;
}

#[tokio::test]
async fn one_message_has_agents_asked_only_so_often() {
    let responder = FakeResponder::new(|_| tests::fake_responder::says("again"));
    let chat = ChatFixture::with_settings(
        &responder,
        &[("Ada", json!({})), ("Bo", json!({}))],
        |settings| {
            settings.answers.limits.follow_up_rounds = 100;
            settings.answers.limits.asks_per_message = 5;
        },
    )
    .await;
    chat.converse("go").await;
    assert_eq!(responder.prompts().len(), 5);
    let room = chat.shown_room().await;
    let error = "the agents were asked 5 times after the last message";
    assert_eq!(room["last_error"], json!(error));
    assert_eq!(room["is_finished"], json!(true));
    chat.converse("on").await;
    assert_eq!(responder.prompts().len(), 10);
    chat.end().await;
}

#[tokio::test]
async fn a_guests_room_has_at_most_as_many_answers_as_the_settings_say() {
    let responder = FakeResponder::new(|_| tests::fake_responder::says("again"));
    let chat = ChatFixture::with_settings(
        &responder,
        &[("Ada", json!({ "priority": 1 })), ("Bo", json!({}))],
        |settings| {
            settings.answers.limits.follow_up_rounds = 3;
            settings.answers.limits.guest_interactions = 3;
            settings.limits.agents_per_room = 2;
        },
    )
    .await;
    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    guest.add_member(room, chat.agents[1]).await;
    let limit = json!({ "max_interactions": 1_000 });
    guest.patch(&format!("/rooms/{room}"), limit).await.ok();
    guest.send_message(room, "go").await;
    chat.wait_until_over().await;
    assert_eq!(authors(&guest, room).await.len(), 4);
    chat.converse("go").await;
    assert_eq!(
        chat.authors().await.len(),
        9,
        "other rooms have no such limit"
    );

    let another = chat.client.create_agent("Cy").await;
    let path = format!("/rooms/{room}/agents/");
    let refused = guest.post(&format!("{path}{another}"), Value::Null).await;
    let reason = refused.refused(403);
    assert_eq!(reason, "a room may have at most 2 agents; remove one first");
    guest.add_member(room, chat.agents[0]).await;
    chat.end().await;
}

#[tokio::test]
async fn a_recall_beyond_the_budget_is_asked_again_in_the_next_minute() {
    let (clock, hand) = Clock::manual();
    let responder = FakeResponder::new(|prompt| match unanswered(prompt) {
        Some(_) if prompt.recalled.is_empty() => composes([Composed::Recall("rain".into())]),
        Some(_) => tests::fake_responder::says("I recall the rain"),
        None => is_silent(),
    });
    let store = Place::sqlite().open().await;
    let change = |settings: &mut Settings| settings.answers.limits.guest_asks_per_minute = 3;
    let ports = store.r.clone();
    let server =
        TestServer::start_answering_with_clock(clock, ports, responder.clone(), change).await;
    let chat = ChatFixture {
        store: Some(store),
        ..ChatFixture::on_server(server, &[("Ada", json!({}))]).await
    };
    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    guest.send_message(room, "hello").await;
    chat.wait_until_over().await;
    guest.send_message(room, "hello again").await;
    wait_for_error(&guest, room, "for this minute are used up").await;
    assert_eq!(responder.prompts().len(), 3);
    hand.advance(Duration::from_mins(1));
    let is_answered = async {
        while authors(&guest, room).await.len() < 4 {
            hand.advance(Duration::from_secs(1));
        }
    };
    soon("the guest is answered", is_answered).await;
    chat.end().await;
}
