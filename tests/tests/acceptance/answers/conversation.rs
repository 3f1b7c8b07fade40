//! A whole conversation as clients see it, on each kind of store.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use domain::Composed;
use futures_util::stream;
use serde_json::{Value, json};
use tests::{
    fake_responder::{FakeResponder, is_silent, unanswered},
    server::TestServer,
    wait::soon,
};
use tokio::sync::mpsc;

use super::fixture::ChatFixture;
use crate::stores::Place;

#[tokio::test]
async fn five_agents_answer_in_order_over_polls_and_the_event_stream_and_show_while_they_compose() {
    let names = ["Ada", "Bo", "Cy", "하늘", "Eve"];
    for place in Place::all("five agents on PostgreSQL").await {
        let store = place.open().await;
        let server = TestServer::start_answering(store.r.clone(), script(), |_| {}).await;
        let agents = names.map(|name| {
            (
                name,
                json!({ "in_a_nutshell": format!("{name} mends umbrellas. {name} likes rain.") }),
            )
        });
        let chat = ChatFixture::on_server(server, &agents).await;
        let mut events = chat.client.open_events(chat.room, Some(0)).await;
        let question = chat.send("Good evening").await;
        let (mut composing, mut streamed) = (BTreeSet::new(), Vec::new());
        while !names
            .iter()
            .all(|name| streamed.iter().any(|(_, author)| author == name))
        {
            let event = soon("an event of an answer", events.next()).await.unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            match event.name.as_str() {
                "chatting" => composing.extend(
                    data["chatting_agents"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|draft| draft["name"].as_str().unwrap().to_owned()),
                ),
                "message" => streamed.push((
                    event.id.parse::<i64>().unwrap(),
                    data["agent_name"].as_str().unwrap_or_default().to_owned(),
                )),
                _ => {}
            }
        }
        chat.wait_until_over().await;
        assert_eq!(
            composing,
            names.iter().map(|name| (*name).to_owned()).collect(),
            "each agent is shown while it composes"
        );
        let polled = chat
            .client
            .get(&chat.path(&format!("/messages/poll?since_id={question}&limit=1000")))
            .await
            .ids();
        assert!(polled.is_sorted() && polled.len() >= names.len());
        let streamed: Vec<_> = streamed
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| *id > question)
            .collect();
        assert_eq!(
            streamed,
            polled[..streamed.len()],
            "the stream and the poll must agree in messages and order"
        );
        for (author, text) in chat.authors().await.iter().zip(chat.texts().await) {
            assert!(
                author == "user" || text.contains(author),
                "{author} must speak in its own words, said: {text}"
            );
        }
        let room = chat.shown_room().await;
        assert_eq!(
            (&room["is_finished"], &room["last_error"]),
            (&json!(true), &Value::Null)
        );
        assert_eq!(
            chat.client.get(&chat.path("/chatting-agents")).await.ok(),
            json!({ "chatting_agents": [] })
        );
        chat.end().await;
    }
}

/// Returns the scripted responder, slowed down so that the test can observe each agent while it
/// composes.
fn script() -> responders::Scripted {
    responders::Scripted {
        pace: Duration::from_millis(15),
        ..responders::Scripted::default()
    }
}

#[tokio::test]
async fn a_client_that_wants_deltas_gets_each_part_of_a_draft_once() {
    let (say, said) = mpsc::unbounded_channel();
    let said = Mutex::new(Some(said));
    let responder = FakeResponder::new(move |prompt| {
        let said = unanswered(prompt).and_then(|_| said.lock().unwrap().take());
        match said {
            Some(said) => Box::pin(stream::unfold(said, |mut said| async {
                Some((Ok(said.recv().await?), said))
            })),
            None => is_silent(),
        }
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    let path = chat.path("/events?drafts=deltas");
    let mut events = chat.client.open_events_at(&path, None).await;
    chat.send("Good evening").await;
    let mut draft = String::new();
    let mut whole_drafts = 0;
    for word in ["so ", "it ", "하늘 ", "goes"] {
        let expected = format!("{draft}{word}");
        say.send(Composed::Text(word.to_owned())).unwrap();
        while draft != expected {
            let event = soon("an event of the draft", events.next()).await.unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            match event.name.as_str() {
                "chatting" if data["chatting_agents"] == json!([]) => {}
                "chatting" => {
                    whole_drafts += 1;
                    let text = &data["chatting_agents"][0]["response_text"];
                    text.as_str().unwrap().clone_into(&mut draft);
                }
                "draft" => {
                    assert_eq!(data["agent_id"], chat.agents[0]);
                    draft.push_str(data["response_text"].as_str().unwrap());
                }
                _ => {}
            }
        }
    }
    assert_eq!(
        whole_drafts, 1,
        "the whole draft is sent only when it begins"
    );
    say.send(Composed::Done).unwrap();
    let message = soon("the answer", events.next_named("message"))
        .await
        .unwrap();
    assert!(message.data.contains("so it 하늘 goes"), "{}", message.data);
    let refused = chat.client.get(&chat.path("/events?drafts=all")).await;
    refused.refused(422);
    chat.end().await;
}

#[tokio::test]
async fn a_stream_of_deltas_begins_with_the_present_drafts_also_if_there_are_none() {
    let server = TestServer::start(|_| {}).await;
    let client = server.client();
    let room = client.create_room("tea").await;
    let path = format!("/rooms/{room}/events?drafts=deltas");
    let mut stream = client.open_events_at(&path, None).await;
    let first = soon("the drafts", stream.next_named("chatting")).await;
    assert_eq!(first.unwrap().data, r#"{"chatting_agents":[]}"#);
    server.end().await;
}
