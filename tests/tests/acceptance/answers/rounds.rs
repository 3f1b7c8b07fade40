//! The number of rounds, the agents' memories, and the choice of a responder.

use std::time::Duration;

use app::AnswerSettings;
use domain::{AgentId, Composed, RoomId};
use serde_json::json;
use tests::fake_responder::{FakeResponder, composes, is_silent, says, unanswered};

use super::fixture::ChatFixture;

#[tokio::test]
async fn when_all_are_silent_the_room_is_finished_until_a_user_writes() {
    let responder = FakeResponder::polite();
    let chat = ChatFixture::new(&responder, &[("Ada", json!({})), ("Bo", json!({}))]).await;
    assert_eq!(chat.shown_room().await["is_finished"], json!(false));
    for round in 1..4 {
        chat.converse("hello").await;
        assert_eq!(chat.shown_room().await["is_finished"], json!(true));
        assert_eq!(chat.authors().await.len(), 3 * round, "each answers once");
    }
    chat.end().await;
}

#[tokio::test]
async fn agents_answer_each_other_for_as_many_rounds_as_the_settings_allow() {
    let chatty = FakeResponder::new(|_| says("and so on"));
    let rounds = |follow_up_rounds: u32, go_on: bool| {
        let chatty = chatty.clone();
        async move {
            let chat = ChatFixture::with_settings(
                &chatty,
                &[("Ada", json!({})), ("Bo", json!({}))],
                |settings| {
                    let limits = &mut settings.answers.limits;
                    (limits.follow_up_rounds, limits.go_on) = (follow_up_rounds, go_on);
                    (limits.go_on_every, limits.go_on_for) =
                        (Duration::from_millis(10), Duration::from_millis(30));
                },
            )
            .await;
            chat.converse("go").await;
            let answers = chat.authors().await.len() - 1;
            chat.end().await;
            answers
        }
    };
    assert_eq!(rounds(0, false).await, 2);
    // The agents answer concurrently. The agent that stores its answer last may already have seen
    // the other answer, and then has nothing left to answer in the next round. Therefore there can
    // be fewer answers than agents times rounds.
    let (two, five) = (rounds(2, false).await, rounds(2, true).await);
    assert!(
        (4..=6).contains(&two),
        "two follow-up rounds must make 4 to 6 answers, made {two}"
    );
    assert!(
        (7..=12).contains(&five),
        "three more rounds, each after a pause, must make 7 to 12 answers, made {five}"
    );
}

#[tokio::test]
async fn a_memory_is_stored_appears_in_the_next_prompt_and_is_recalled_by_its_title() {
    let responder = FakeResponder::new(|prompt| match unanswered(prompt).as_deref() {
        Some("keep") => composes([
            Composed::Thinking("hm".into()),
            Composed::Memory("the red umbrella".into()),
            Composed::Text("kept".into()),
            Composed::Done,
        ]),
        Some("recall") if prompt.recalled.is_empty() => composes([
            Composed::Text("let me see".into()),
            Composed::Recall("garden".into()),
        ]),
        Some("recall") => says(&format!("I recall {}", prompt.recalled[0].text)),
        Some("capitals") if prompt.recalled.is_empty() => {
            composes([Composed::Recall("\"GARDEN\".".into())])
        }
        Some("unknown") if prompt.recalled.is_empty() => {
            composes([Composed::Recall("nothing".into())])
        }
        Some("capitals" | "unknown") => says(&prompt.recalled[0].text),
        Some("endless") => composes([Composed::Recall("nothing".into())]),
        Some("cut") => composes([Composed::Text("and so".into()), Composed::Cut]),
        _ => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    let ports = &chat.server.app().cache.repositories;
    let ada = AgentId(chat.agents[0]);
    let mut config = (*ports.configs.find(ada).await.unwrap().unwrap()).clone();
    config.long_term_memories = vec![domain::LongTermMemory {
        title: "garden".into(),
        text: "roses".into(),
    }];
    ports.configs.save(ada, config).await.unwrap();
    chat.converse("keep").await;
    chat.converse("recall").await;
    assert!(
        responder
            .last_prompt("Ada")
            .unwrap()
            .memories
            .contains("the red umbrella")
    );
    let texts = chat.texts().await;
    assert_eq!(texts, ["keep", "kept", "recall", "I recall roses"]);
    assert_eq!(chat.messages().await[1]["thinking"], json!("hm"));
    chat.converse("capitals").await;
    assert_eq!(chat.texts().await.last().unwrap(), "roses");
    // An agent that asks for a memory that it does not have is told so, and answers.
    chat.converse("unknown").await;
    let texts = chat.texts().await;
    assert!(
        texts.last().unwrap().contains("no such memory"),
        "{texts:?}"
    );
    chat.converse("endless").await;
    let error = chat.shown_room().await["last_error"].clone();
    assert!(error.as_str().unwrap().contains("more than 3"), "{error}");
    // An answer that reached its limit is marked, and counts as an answer.
    chat.converse("cut").await;
    assert_eq!(chat.texts().await.last().unwrap(), "and so […]");
    chat.converse("kept?").await;
    let turns = responder.last_prompt("Ada").unwrap().turns;
    let texts: Vec<_> = turns.iter().map(|turn| turn.text.as_str()).collect();
    assert!(
        texts.ends_with(&["cut", "and so […]", "kept?"]),
        "{texts:?}"
    );
    chat.end().await;
}

#[tokio::test]
async fn a_room_may_have_its_own_responder_or_none() {
    let mut settings = AnswerSettings::silent();
    settings.rooms.insert(RoomId(2), "scripted".into());
    let responders = app::build_responders(&settings).unwrap();
    assert!(responders.default.is_none() && responders.by_room[&RoomId(2)].is_some());
    settings.rooms.insert(RoomId(3), "nobody".into());
    let error = app::build_responders(&settings).unwrap_err().to_string();
    assert!(error.contains("nobody"), "{error}");
}
