//! Limits on the number, length and duration of answers. A failure of one agent does not affect the
//! other agents.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{Composed, Failure, FailureKind, Usage};
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use serde_json::{Value, json};
use tests::{
    decorate::{Around, decorate},
    fake_responder::{FakeResponder, begins, composes, fails, is_silent, says, unanswered},
    server::TestServer,
};
use tokio::sync::Semaphore;

use super::fixture::ChatFixture;
use crate::stores::Place;

#[tokio::test]
async fn the_limit_of_answers_is_exact_even_when_many_answer_at_once() {
    let responder = FakeResponder::new(|_| says("again"));
    let agents = ["A", "B", "C", "D", "E"].map(|name| (name, json!({})));
    let chat = ChatFixture::with_settings(&responder, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 100;
    })
    .await;
    chat.limit_answers(7).await;
    chat.converse("go").await;
    assert_eq!(chat.authors().await.len(), 8);
    chat.converse("on").await;
    assert_eq!(
        chat.authors().await.len(),
        9,
        "the limit counts all answers of the room"
    );
    chat.limit_answers(10).await;
    chat.wait_until_over().await;
    let authors = chat.authors().await;
    let answers = authors.iter().filter(|name| *name != "user");
    assert_eq!(answers.count(), 10);
    chat.end().await;
}

#[tokio::test]
async fn a_failing_provider_shows_in_the_room_until_it_answers_again_and_silences_no_other_agent() {
    let responder =
        FakeResponder::new(
            |prompt| match (prompt.name.as_str(), unanswered(prompt).as_deref()) {
                ("Ada", Some("one")) => fails("the model server is overloaded"),
                ("Bo", Some("one")) => Box::pin(futures_util::stream::iter([Ok(Composed::Text(
                    "cut".into(),
                ))])),
                (_, Some(said)) => says(said),
                _ => is_silent(),
            },
        );
    let chat = ChatFixture::new(
        &responder,
        &[
            ("Ada", json!({ "priority": 2 })),
            ("Bo", json!({ "priority": 1 })),
            ("Cy", json!({})),
        ],
    )
    .await;
    chat.converse("one").await;
    // Everybody saw the beginning of Bo's answer, so it is kept. Bo is asked again about Cy's.
    assert_eq!(chat.authors().await[..3], ["user", "Bo", "Cy"]);
    let answers = chat.authors().await.len();
    let attempts = responder.prompts().len();
    // On average, fewer than three prompts for each of the three agents.
    assert!(
        attempts < 9,
        "a failing provider must not be asked over and over, was asked {attempts} times"
    );
    let error = chat.shown_room().await["last_error"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        error == "Bo: the answer was cut off" || error == "Ada: the model server is overloaded",
        "{error}"
    );
    chat.converse("two").await;
    assert_eq!(chat.shown_room().await["last_error"], Value::Null);
    assert_eq!(chat.authors().await.len(), answers + 4);
    chat.end().await;
}

#[tokio::test]
async fn metrics_show_the_asks_the_tokens_and_the_failures_of_each_model() {
    let usage = |output| {
        Composed::Usage(Usage {
            input: 900,
            output,
            cached: 800,
            requests: 2,
        })
    };
    let responder = FakeResponder::new(move |prompt| match unanswered(prompt).as_deref() {
        // The last numbers of an answer are those of the whole answer.
        Some("one") => composes([
            usage(1),
            Composed::Text("yes".into()),
            usage(30),
            Composed::Done,
        ]),
        Some(_) => fails("the model server is overloaded"),
        None => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.converse("one").await;
    chat.converse("two").await;
    let asks = responder.prompts().len();
    let failed = asks - 1 - silent_asks(&responder);
    let text = chat.client.get("/metrics").await.text();
    let model = r#"gen_ai_request_model="unnamed""#;
    for line in [
        format!(r#"gen_ai_client_operations_total{{{model},error_type="other"}} {failed}"#),
        format!(
            r#"gen_ai_client_operations_total{{{model},error_type=""}} {}"#,
            asks - failed
        ),
        format!(r#"gen_ai_client_token_usage_total{{{model},gen_ai_token_type="input"}} 900"#),
        format!(r#"gen_ai_client_token_usage_total{{{model},gen_ai_token_type="cached"}} 800"#),
        format!(r#"gen_ai_client_token_usage_total{{{model},gen_ai_token_type="output"}} 30"#),
        format!("gen_ai_client_requests_total{{{model}}} 2"),
        format!("gen_ai_server_time_to_first_token_seconds_count{{{model}}} 1"),
        format!("gen_ai_client_operation_duration_seconds_count{{{model}}} {asks}"),
        "greenroom_answers_composing 0".into(),
        "greenroom_answers_waiting 0".into(),
    ] {
        let is_shown = text.lines().any(|shown| shown == line);
        assert!(is_shown, "{line} is missing in\n{text}");
    }
    chat.end().await;
}

/// Returns the number of prompts without a message that the agent has not answered.
fn silent_asks(responder: &FakeResponder) -> usize {
    let prompts = responder.prompts();
    let silent = prompts.iter().filter(|prompt| unanswered(prompt).is_none());
    silent.count()
}

#[tokio::test]
async fn answers_are_bounded_in_length_and_time() {
    let responder = FakeResponder::new(|prompt| match unanswered(prompt).as_deref() {
        Some("long") => says(&"달".repeat(1_000)),
        Some("slow") => begins("well"),
        _ => is_silent(),
    });
    let chat = ChatFixture::with_settings(&responder, &[("Ada", json!({}))], |settings| {
        settings.answers.limits.max_bytes = 100;
        settings.answers.limits.time_limit = Duration::from_millis(50);
    })
    .await;
    chat.converse("long").await;
    let messages = chat.messages().await;
    let answer = messages[1]["content"].as_str().unwrap();
    assert_eq!(answer, format!("{} […]", "달".repeat(33)));
    assert_eq!(messages[1]["interrupted"], json!(false));
    chat.converse("slow").await;
    assert_eq!(
        chat.shown_room().await["last_error"],
        json!("Ada: the answer took too long")
    );
    assert_eq!(chat.authors().await, ["user", "Ada", "user", "Ada"]);
    let messages = chat.messages().await;
    assert_eq!(messages[3]["content"], json!("well"));
    assert_eq!(messages[3]["interrupted"], json!(true));
    chat.end().await;
}

#[tokio::test]
async fn no_more_answers_are_composed_at_once_than_the_settings_say() {
    let responder = FakeResponder::endless("well");
    let agents = ["A", "B", "C", "D", "E"].map(|name| (name, json!({})));
    let chat = ChatFixture::with_settings(&responder, &agents, |settings| {
        settings.answers.limits.at_once_per_room = 2;
    })
    .await;
    chat.send("go").await;
    chat.wait_until_composing(0, "well").await;
    chat.wait_until_composing(1, "well").await;
    assert_eq!(responder.prompts().len(), 2);
    chat.client.delete(&chat.path("")).await.ok();
    chat.wait_until_over().await;
    assert_eq!(responder.prompts().len(), 2, "a deleted room asks no agent");
    chat.end().await;
}

#[tokio::test]
async fn an_agent_that_was_silent_or_failed_is_not_asked_again_about_the_same_messages() {
    let responder = FakeResponder::new(|prompt| match prompt.name.as_str() {
        "Ada" => is_silent(),
        "Bo" => fails("no"),
        _ if unanswered(prompt).is_some() => says("I do"),
        _ => is_silent(),
    });
    let agents = [
        ("Ada", json!({})),
        ("Bo", json!({})),
        ("Cy", json!({ "transparent": true, "priority": 3 })),
    ];
    let chat = ChatFixture::with_settings(&responder, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 5;
    })
    .await;
    chat.converse("one").await;
    assert_eq!(
        responder.prompts().len(),
        3,
        "each is asked once, because no agent sees what the transparent one says"
    );
    chat.end().await;
}

#[tokio::test]
async fn a_failed_answer_keeps_its_text_and_a_retry_asks_the_agent_again() {
    let has_failed = AtomicBool::new(false);
    let responder = FakeResponder::new(move |prompt| match unanswered(prompt) {
        Some(_) if !has_failed.swap(true, Ordering::SeqCst) => Box::pin(stream::iter([
            Ok(Composed::Text("I think".into())),
            Err(Failure::new(FailureKind::Server, "overloaded")),
        ])),
        Some(said) => says(&format!("as to {said}")),
        None => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.converse("one").await;
    let room = chat.shown_room().await;
    assert_eq!(room["last_error"], json!("Ada: overloaded"));
    let messages = chat.messages().await;
    assert_eq!(messages[1]["content"], json!("I think"));
    assert_eq!(messages[1]["interrupted"], json!(true));

    let retried = chat
        .client
        .post(&chat.path("/retry"), Value::Null)
        .await
        .ok();
    assert_eq!(
        (&retried["last_error"], &retried["is_finished"]),
        (&Value::Null, &json!(false))
    );
    chat.wait_until_over().await;
    assert_eq!(chat.texts().await, ["one", "I think", "as to one"]);
    assert_eq!(chat.shown_room().await["is_finished"], json!(true));

    // There is nothing left to answer.
    let asks = responder.prompts().len() - silent_asks(&responder);
    chat.client
        .post(&chat.path("/retry"), Value::Null)
        .await
        .ok();
    chat.wait_until_over().await;
    assert_eq!(responder.prompts().len() - silent_asks(&responder), asks);
    assert_eq!(chat.texts().await.len(), 3);
    chat.end().await;
}

#[tokio::test]
async fn messages_of_an_outage_are_answered_when_the_model_server_is_back() {
    let asks = AtomicUsize::new(0);
    let responder = FakeResponder::new(move |prompt| {
        match (prompt.name.as_str(), unanswered(prompt).as_deref()) {
            (_, None) => is_silent(),
            ("Ada", Some(_)) if asks.fetch_add(1, Ordering::SeqCst) < 2 => {
                let failure = Failure::new(FailureKind::Unreachable, "no connection");
                Box::pin(stream::iter([Err(failure)]))
            }
            (name, Some(said)) => says(&format!("{name} as to {said}")),
        }
    });
    let agents = [("Ada", json!({})), ("Bo", json!({}))];
    let chat = ChatFixture::with_settings(&responder, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 0;
        // Prompts that no model has answered do not count.
        settings.answers.limits.asks_per_message = 3;
    })
    .await;
    chat.converse("one").await;
    let mut texts = chat.texts().await;
    texts.sort_unstable();
    assert_eq!(texts, ["Ada as to one", "Bo as to one", "one"]);
    let room = chat.shown_room().await;
    assert_eq!(
        (&room["last_error"], &room["is_finished"]),
        (&Value::Null, &json!(true))
    );
    chat.end().await;
}

#[tokio::test]
async fn a_retry_during_a_round_is_not_lost() {
    let (first, may_end) = (AtomicBool::new(true), Arc::new(Semaphore::new(0)));
    let gate = may_end.clone();
    let responder = FakeResponder::new(move |prompt| match unanswered(prompt) {
        Some(_) if first.swap(false, Ordering::SeqCst) => {
            let gate = gate.clone();
            let fail = async move {
                gate.acquire().await.unwrap().forget();
                Err(Failure::new(FailureKind::Server, "overloaded"))
            };
            Box::pin(stream::iter([Ok(Composed::Text("I think".into()))]).chain(stream::once(fail)))
        }
        Some(said) => says(&format!("as to {said}")),
        None => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({}))]).await;
    chat.send("one").await;
    chat.wait_until_composing(0, "I think").await;
    chat.client
        .post(&chat.path("/retry"), Value::Null)
        .await
        .ok();
    may_end.add_permits(1);
    chat.wait_until_over().await;
    assert_eq!(chat.texts().await, ["one", "I think", "as to one"]);
    chat.end().await;
}

#[tokio::test]
async fn an_answer_that_one_agent_does_not_give_is_left_to_the_others() {
    let responder = FakeResponder::new(|prompt| match (prompt.name.as_str(), unanswered(prompt)) {
        ("Ada", _) => fails("no"),
        (_, Some(_)) => says("I do"),
        _ => is_silent(),
    });
    let chat = ChatFixture::new(&responder, &[("Ada", json!({})), ("Bo", json!({}))]).await;
    chat.limit_answers(1).await;
    chat.converse("one").await;
    assert_eq!(chat.authors().await, ["user", "Bo"]);
    chat.end().await;
}

/// A decorator that makes one write fail. The field counts the writes that succeed before it.
struct FailsOnce(AtomicUsize);

impl FailsOnce {
    /// An initial count that is greater than the number of writes of any test.
    const NEVER: usize = 1_000;

    /// Makes one write fail, after `count` more writes have succeeded.
    fn fail_after(&self, count: usize) {
        self.0.store(count, Ordering::SeqCst);
    }

    /// Returns `true` if the write has failed. The count has then wrapped around below 0.
    fn has_failed(&self) -> bool {
        self.0.load(Ordering::SeqCst) > Self::NEVER
    }
}

impl Around for FailsOnce {
    async fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, domain::Result<T>>,
    ) -> domain::Result<T> {
        read.await
    }

    async fn write<T: Send + 'static>(
        &self,
        write: BoxFuture<'static, domain::Result<T>>,
    ) -> domain::Result<T> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(domain::Error::unavailable("planted")),
            _ => write.await,
        }
    }
}

#[tokio::test]
async fn an_answer_that_the_store_refuses_is_stored_later_without_asking_the_model_again() {
    let responder = FakeResponder::polite();
    let store = Place::sqlite().open().await;
    let fails = Arc::new(FailsOnce(AtomicUsize::new(FailsOnce::NEVER)));
    let server = TestServer::start_answering(
        decorate(store.r.clone(), fails.clone()),
        responder.clone(),
        |_| {},
    )
    .await;
    let chat = ChatFixture {
        store: Some(store),
        ..ChatFixture::on_server(server, &[("Ada", json!({}))]).await
    };
    // The write of the user's message succeeds, the write of the answer fails.
    fails.fail_after(1);
    chat.converse("one").await;
    assert!(fails.has_failed());
    let authors = chat.authors().await;
    assert_eq!(authors, ["user", "Ada"]);
    let asks = responder.prompts().len() - silent_asks(&responder);
    assert_eq!(asks, 1);
    let room = chat.shown_room().await;
    assert_eq!(
        (&room["last_error"], &room["is_finished"]),
        (&Value::Null, &json!(true))
    );
    chat.end().await;
}

#[tokio::test]
async fn a_room_that_is_opened_again_has_no_silent_agent_asked_anew() {
    let responder = FakeResponder::new(|_| is_silent());
    let chat = ChatFixture::new(&responder, &[("Ada", json!({})), ("Bo", json!({}))]).await;
    chat.converse("one").await;
    let asked = responder.prompts().len();
    for reopened in [
        json!({ "is_finished": false }),
        json!({ "is_finished": false, "is_paused": true }),
        json!({ "is_paused": false }),
        json!({ "is_finished": false }),
    ] {
        chat.client.patch(&chat.path(""), reopened).await.ok();
        chat.wait_until_over().await;
    }
    assert_eq!(responder.prompts().len(), asked);
    chat.converse("two").await;
    assert_eq!(responder.prompts().len(), 2 * asked);
    chat.end().await;
}

#[tokio::test]
async fn a_retry_does_not_begin_the_count_of_prompts_anew() {
    let responder = FakeResponder::new(|_| fails("no"));
    let chat = ChatFixture::with_settings(&responder, &[("Ada", json!({}))], |settings| {
        settings.answers.limits.asks_per_message = 2;
    })
    .await;
    chat.converse("one").await;
    for _ in 0..3 {
        let path = chat.path("/retry");
        chat.client.post(&path, Value::Null).await.ok();
        chat.wait_until_over().await;
    }
    assert_eq!(responder.prompts().len(), 2);
    chat.end().await;
}
