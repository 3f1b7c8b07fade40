//! The order of the answers, and the messages in each agent's prompt.

use serde_json::json;
use tests::fake_responder::{FakeResponder, is_silent, says, unanswered};

use super::fixture::ChatFixture;

#[tokio::test]
async fn the_mentioned_answer_first_then_by_priority_and_critics_last() {
    let responder = FakeResponder::polite();
    let agents = [
        ("Ada", json!({})),
        ("Bo", json!({ "priority": 5 })),
        ("Cy", json!({ "is_critic": true })),
        ("Di", json!({ "priority": 9 })),
        ("Eve", json!({})),
    ];
    let chat = ChatFixture::new(&responder, &agents).await;
    chat.converse("one").await;
    // Ada and Eve answer at the same time.
    let mut authors = chat.authors().await;
    authors[3..5].sort();
    assert_eq!(authors, ["user", "Di", "Bo", "Ada", "Eve", "Cy"]);
    chat.send_mentioning("two", &[chat.agents[4], chat.agents[0], 999])
        .await;
    chat.wait_until_over().await;
    assert_eq!(
        chat.authors().await[6..],
        ["user", "Eve", "Ada", "Di", "Bo", "Cy"]
    );
    let critics = chat.client.get(&chat.path("/critic-messages")).await.ok();
    assert_eq!(critics.as_array().unwrap().len(), 2);
    chat.end().await;
}

#[tokio::test]
async fn only_critics_see_what_transparent_agents_and_critics_say() {
    let responder = FakeResponder::polite();
    let agents = [
        ("Ada", json!({ "priority": 9, "transparent": true })),
        ("Bo", json!({})),
        ("Cy", json!({ "is_critic": true })),
    ];
    let chat = ChatFixture::new(&responder, &agents).await;
    chat.converse("one").await;
    chat.converse("two").await;
    assert_eq!(
        chat.authors().await,
        ["user", "Ada", "Bo", "Cy", "user", "Ada", "Bo", "Cy"]
    );
    let seen_authors = |name: &str| {
        responder
            .last_prompt(name)
            .unwrap()
            .turns
            .into_iter()
            .map(|turn| turn.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen_authors("Bo"), ["user", "Bo", "user"]);
    assert_eq!(
        seen_authors("Cy"),
        ["user", "Ada", "Bo", "Cy", "user", "Ada", "Bo"]
    );
    chat.end().await;
}

#[tokio::test]
async fn an_agent_that_interrupts_every_turn_speaks_after_each_of_the_others() {
    let responder = FakeResponder::new(|prompt| {
        let is_ada = prompt.name.as_str() == "Ada";
        if is_ada || unanswered(prompt).is_some() {
            says(&format!("{} speaks", prompt.name))
        } else {
            is_silent()
        }
    });
    let agents = [
        ("Ada", json!({ "interrupt_every_turn": true })),
        ("Bo", json!({ "priority": 2 })),
        ("Cy", json!({ "priority": 1 })),
    ];
    let chat = ChatFixture::with_settings(&responder, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 0;
    })
    .await;
    chat.converse("one").await;
    assert_eq!(chat.authors().await, ["user", "Bo", "Ada", "Cy", "Ada"]);
    chat.end().await;
}

#[tokio::test]
async fn an_agent_sees_only_messages_since_it_joined_and_agents_that_left_keep_their_names() {
    let responder = FakeResponder::polite();
    let mut chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.converse("before").await;
    chat.add_agent("Late", json!({})).await;
    chat.client
        .delete(&chat.path(&format!("/agents/{}", chat.agents[0])))
        .await
        .ok();
    chat.wait_until_over().await;
    chat.converse("after").await;
    let turns: Vec<_> = responder
        .last_prompt("Late")
        .unwrap()
        .turns
        .into_iter()
        .map(|turn| (turn.name, turn.text))
        .collect();
    assert_eq!(
        turns,
        [
            ("system".into(), "Late joined the chat".to_owned()),
            ("user".into(), "after".into())
        ]
    );
    let authors = chat.authors().await;
    assert_eq!(authors[..2], ["user", "Ada"]);
    assert_eq!(authors.last().unwrap(), "Late");
    chat.end().await;
}
