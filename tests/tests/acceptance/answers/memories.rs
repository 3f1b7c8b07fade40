//! The memories that agents keep of guests' rooms, and the people who can read them.

use app::{MemoryMode, Settings};
use domain::Composed;
use serde_json::{Value, json};
use tests::{
    client::Client,
    fake_responder::{FakeResponder, composes, is_silent, says, unanswered},
};

use super::fixture::ChatFixture;

/// Returns a responder that remembers each message that begins with "remember".
fn learner() -> FakeResponder {
    FakeResponder::new(|prompt| match unanswered(prompt) {
        Some(said) if said.starts_with("remember") => composes([
            Composed::Memory(said),
            Composed::Text("I will".into()),
            Composed::Done,
        ]),
        Some(_) => says("well"),
        None => is_silent(),
    })
}

async fn start(responder: &FakeResponder, change: impl FnOnce(&mut Settings)) -> ChatFixture {
    ChatFixture::with_settings(responder, &[("Ada", json!({}))], change).await
}

/// Sends a message, waits for the answers, and returns the memories of the last prompt.
async fn say(
    chat: &ChatFixture,
    responder: &FakeResponder,
    client: &Client,
    room: i64,
    text: &str,
) -> String {
    client.send_message(room, text).await;
    chat.wait_until_over().await;
    responder.last_prompt("Ada").unwrap().memories
}

async fn shown(client: &Client, path: &str) -> Vec<String> {
    let memories = client.get(path).await.ok();
    let memories = memories["memories"].as_array().unwrap().iter();
    memories
        .map(|memory| memory["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn what_an_agent_learns_in_a_guests_room_is_known_in_that_guests_rooms_alone() {
    let responder = learner();
    let chat = start(&responder, |_| {}).await;
    let (ann, bo) = (chat.server.guest(), chat.server.guest());
    let (first, second) = (
        chat.room_of(&ann, "first").await,
        chat.room_of(&ann, "second").await,
    );
    let of_bo = chat.room_of(&bo, "first").await;
    say(&chat, &responder, &ann, first, "remember the PIN 4711").await;
    for (client, room, knows) in [
        (&ann, first, true),
        (&ann, second, true),
        (&bo, of_bo, false),
        (&chat.client, chat.room, false),
    ] {
        let memories = say(&chat, &responder, client, room, "hello").await;
        assert_eq!(memories.contains("4711"), knows, "room {room}: {memories}");
    }

    let path = format!("/agents/{}/memories", chat.agents[0]);
    assert_eq!(shown(&ann, &path).await, ["remember the PIN 4711"]);
    assert_eq!(shown(&bo, &path).await, Vec::<String>::new());
    assert_eq!(ann.get(&path).await.is_hit(), Some(true));
    let rooms = ann.get("/rooms").await.items();
    let owner = rooms[0]["owner_id"].as_str().unwrap().to_owned();
    let of_ann = format!("{path}?owner={owner}");
    assert_eq!(shown(&chat.client, &of_ann).await.len(), 1);
    for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
        bo.call(method, &of_ann, None).await.refused(403);
    }
    for client in [&bo, &chat.client] {
        let agent = client.get(&format!("/agents/{}", chat.agents[0])).await;
        assert!(!agent.text().contains("4711"), "{}", agent.text());
    }
    let refused = chat.client.get(&format!("{path}?owner=%20")).await;
    refused.refused(422);
    ann.get("/agents/99/memories").await.refused(404);

    ann.delete(&path).await.ok();
    assert_eq!(shown(&ann, &path).await, Vec::<String>::new());
    let memories = say(&chat, &responder, &ann, first, "hello again").await;
    assert!(!memories.contains("4711"), "{memories}");
    chat.end().await;
}

#[tokio::test]
async fn what_an_agent_learns_in_the_administrators_room_is_known_in_all_rooms() {
    let responder = learner();
    let chat = start(&responder, |_| {}).await;
    say(
        &chat,
        &responder,
        &chat.client,
        chat.room,
        "remember the red umbrella",
    )
    .await;
    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    let memories = say(&chat, &responder, &guest, room, "hello").await;
    assert!(memories.contains("the red umbrella"), "{memories}");
    let agent = chat
        .client
        .get(&format!("/agents/{}", chat.agents[0]))
        .await;
    let events = agent.ok()["recent_events"].as_str().unwrap().to_owned();
    assert!(events.ends_with("remember the red umbrella"), "{events}");
    chat.end().await;
}

#[tokio::test]
async fn a_setting_shares_what_agents_learn_or_lets_them_learn_nothing() {
    for (mode, is_shared) in [(MemoryMode::Shared, true), (MemoryMode::Off, false)] {
        let responder = learner();
        let chat = start(&responder, |settings| settings.answers.memories = mode).await;
        let (ann, bo) = (chat.server.guest(), chat.server.guest());
        let of_ann = chat.room_of(&ann, "tea").await;
        let of_bo = chat.room_of(&bo, "tea").await;
        say(&chat, &responder, &ann, of_ann, "remember the sea").await;
        let memories = say(&chat, &responder, &bo, of_bo, "hello").await;
        assert_eq!(memories.contains("the sea"), is_shared, "{memories}");
        // Only an agent that can keep memories is told so.
        let prompt = responder.last_prompt("Ada").unwrap();
        assert_eq!(prompt.remembers, is_shared);
        let path = format!("/agents/{}/memories", chat.agents[0]);
        assert_eq!(shown(&ann, &path).await, Vec::<String>::new());
        chat.end().await;
    }
}

#[tokio::test]
async fn only_the_newest_memories_of_a_guest_are_kept() {
    let responder = learner();
    let chat = start(&responder, |settings| settings.answers.limits.memories = 2).await;
    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    for number in 1..=3 {
        say(
            &chat,
            &responder,
            &guest,
            room,
            &format!("remember {number}"),
        )
        .await;
    }
    let path = format!("/agents/{}/memories", chat.agents[0]);
    assert_eq!(shown(&guest, &path).await, ["remember 2", "remember 3"]);
    let today = chrono::Utc::now().date_naive().to_string();
    let memories = guest.get(&path).await.ok();
    let dates = [
        &memories["memories"][0]["date"],
        &memories["memories"][1]["date"],
    ];
    assert!(dates.contains(&&json!(today)), "{memories}");
    assert_eq!(chat.shown_room().await["last_error"], Value::Null);
    chat.end().await;
}

#[tokio::test]
async fn with_a_guests_last_room_its_memories_are_deleted() {
    let responder = learner();
    let chat = start(&responder, |settings| settings.limits.guests_delete = true).await;
    let guest = chat.server.guest();
    let rooms = [
        chat.room_of(&guest, "first").await,
        chat.room_of(&guest, "second").await,
    ];
    say(&chat, &responder, &guest, rooms[0], "remember the sea").await;
    let path = format!("/agents/{}/memories", chat.agents[0]);
    for (room, left) in rooms.into_iter().zip([1, 0]) {
        guest.delete(&format!("/rooms/{room}")).await.ok();
        assert_eq!(shown(&guest, &path).await.len(), left);
    }
    chat.end().await;
}
