//! Conversations that go on after a restart of the program.

use serde_json::json;
use tests::{
    fake_responder::{FakeResponder, says},
    server::TestServer,
};

use super::fixture::ChatFixture;
use crate::stores::{Place, Store};

/// Starts the program again on a store with a room.
async fn start_again(store: &Store, responder: &FakeResponder, chat: ChatFixture) -> ChatFixture {
    let (room, agents) = (chat.room, chat.agents.clone());
    chat.end().await;
    start(store, responder, Some((room, agents))).await
}

async fn start(
    store: &Store,
    responder: &FakeResponder,
    room: Option<(i64, Vec<i64>)>,
) -> ChatFixture {
    let server = TestServer::start_answering(store.r.clone(), responder.clone(), |settings| {
        settings.answers.limits.follow_up_rounds = 1;
    });
    let server = server.await;
    match room {
        None => {
            // The priority makes the agents answer one after the other.
            let agents = [("Ada", json!({ "priority": 1 })), ("Bo", json!({}))];
            ChatFixture::on_server(server, &agents).await
        }
        Some((room, agents)) => ChatFixture {
            store: None,
            client: server.client(),
            server,
            room,
            agents,
        },
    }
}

#[tokio::test]
async fn a_restart_goes_on_with_the_round_in_which_the_conversation_was() {
    let responder = FakeResponder::new(|_| says("again"));
    let store = Place::sqlite().open().await;
    let mut chat = start(&store, &responder, None).await;
    chat.send("go").await;
    // Each restart may lose the answers that are being composed, and no others.
    for _ in 0..4 {
        chat = start_again(&store, &responder, chat).await;
    }
    chat.wait_until_over().await;
    let mut authors = chat.authors().await;
    authors.sort();
    assert_eq!(authors, ["Ada", "Ada", "Bo", "Bo", "user"]);
    let asked = responder.prompts().len();
    assert!(asked <= 4 + 4 * 2, "{asked} prompts for 4 answers");
    for _ in 0..2 {
        chat = start_again(&store, &responder, chat).await;
        chat.wait_until_over().await;
    }
    assert_eq!(responder.prompts().len(), asked);
    assert_eq!(chat.authors().await.len(), 5);
    assert_eq!(chat.shown_room().await["is_finished"], json!(true));
    chat.end().await;
}

#[tokio::test]
async fn rounds_that_were_used_up_are_not_begun_anew() {
    let responder = FakeResponder::new(|_| says("again"));
    let store = Place::sqlite().open().await;
    let chat = start(&store, &responder, None).await;
    chat.converse("go").await;
    assert_eq!(responder.prompts().len(), 4);
    // As if the program had ended just before it marked the room as finished.
    let body = json!({ "is_finished": false, "is_paused": true });
    chat.client.patch(&chat.path(""), body).await.ok();
    chat.client
        .post(&chat.path("/resume"), serde_json::Value::Null)
        .await
        .ok();
    let chat = start_again(&store, &responder, chat).await;
    chat.wait_until_over().await;
    assert_eq!(responder.prompts().len(), 4);
    assert_eq!(chat.shown_room().await["is_finished"], json!(true));
    chat.end().await;
}
