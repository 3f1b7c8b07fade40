//! Agents that wait for their place, and images for models that read them.

use domain::Image;
use serde_json::json;
use tests::{
    fake_responder::{FakeResponder, is_silent, says, unanswered},
    response::id_of,
    wait::soon,
};

use super::fixture::ChatFixture;

#[tokio::test]
async fn an_agent_that_waits_for_its_place_is_shown_as_waiting() {
    let responder = FakeResponder::endless("well");
    let chat = ChatFixture::with_settings(&responder, &[("Ada", json!({}))], |settings| {
        settings.answers.limits.at_once = 1;
    })
    .await;
    chat.send("go").await;
    chat.wait_until_composing(0, "well").await;
    let drafts = chat.client.get(&chat.path("/chatting-agents")).await.ok();
    assert!(
        drafts["chatting_agents"][0].get("waiting").is_none(),
        "{drafts}"
    );

    let guest = chat.server.guest();
    let room = chat.room_of(&guest, "tea").await;
    guest.send_message(room, "hello").await;
    let path = format!("/rooms/{room}/chatting-agents");
    let waits = |is_waiting: bool| {
        let (guest, path, agent) = (&guest, &path, chat.agents[0]);
        async move {
            loop {
                let shown = guest.get(path).await.ok();
                let draft = &shown["chatting_agents"][0];
                if !draft.is_null() && draft["waiting"].as_bool().unwrap_or(false) == is_waiting {
                    assert_eq!(id_of(draft), agent);
                    return draft["response_text"].as_str().unwrap().to_owned();
                }
            }
        }
    };
    let text = soon("the agent waits", waits(true)).await;
    assert_eq!(text, "");
    chat.client.delete(&chat.path("")).await.ok();
    soon("the agent has its place", waits(false)).await;
    chat.client.delete(&format!("/rooms/{room}")).await.ok();
    chat.end().await;
}

#[tokio::test]
async fn pictures_reach_models_that_read_them_and_are_named_to_all_others() {
    for most in [0, 1] {
        let responder = FakeResponder::new(|prompt| match unanswered(prompt) {
            Some(_) => says("well"),
            None => is_silent(),
        })
        .with_images(most);
        let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
        let png = tests::records::PIXEL_PNG;
        for text in ["look", ""] {
            let body = json!({
                "content": text, "role": "user", "image_data": png, "image_media_type": "image/png"
            });
            chat.client
                .post(&chat.path("/messages/send"), body)
                .await
                .ok();
            chat.wait_until_over().await;
        }
        let prompt = responder.last_prompt("Ada").unwrap();
        let turns: Vec<_> = prompt.turns.iter().filter(|turn| !turn.is_own).collect();
        let texts: Vec<_> = turns.iter().map(|turn| turn.text.as_str()).collect();
        let images: Vec<_> = turns.iter().map(|turn| turn.image.as_deref()).collect();
        let is_png = |image: &&Image| image.media_type == "image/png" && !image.data.is_empty();
        if most == 0 {
            assert_eq!(texts, ["look\n(sent a picture)", "(sent a picture)"]);
            assert_eq!(images, [None, None]);
        } else {
            assert_eq!(texts, ["look\n(sent a picture)", ""]);
            assert!(images[0].is_none() && images[1].as_ref().is_some_and(is_png));
        }
        chat.end().await;
    }
}
