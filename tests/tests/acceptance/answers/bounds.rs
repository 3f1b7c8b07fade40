//! What bounds answers, and what one that fails leaves to the others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::Composed;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tests::{
    actors::{Actors, begins, fails, says, silent, unanswered},
    decorate::{Around, decorate},
    server::Running,
};

use super::{Stage, plain};
use crate::stores::Place;

#[tokio::test]
async fn the_limit_of_answers_is_exact_even_when_many_answer_at_once() {
    let actors = Actors::new(|_| says("again"));
    let agents: Vec<_> = ["A", "B", "C", "D", "E"].map(|name| (name, plain())).into();
    let stage = Stage::with(&actors, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 100;
    })
    .await;
    stage
        .client
        .patch(&stage.path(""), json!({ "max_interactions": 7 }))
        .await
        .ok();
    stage.say("go").await;
    stage.over().await;
    assert_eq!(stage.speakers().await.len(), 8);
    stage.say("on").await;
    stage.over().await;
    assert_eq!(
        stage.speakers().await.len(),
        9,
        "the limit holds for all that was ever said"
    );
    stage
        .client
        .patch(&stage.path(""), json!({ "max_interactions": 10 }))
        .await
        .ok();
    stage.over().await;
    assert_eq!(
        stage
            .speakers()
            .await
            .iter()
            .filter(|name| *name != "user")
            .count(),
        10
    );
    stage.end().await;
}

#[tokio::test]
async fn a_failing_provider_shows_in_the_room_silences_nobody_else_and_is_forgotten_when_it_answers_again()
 {
    let actors =
        Actors::new(
            |prompt| match (prompt.name.as_str(), unanswered(prompt).as_deref()) {
                ("Ada", Some("one")) => fails("the model server is overloaded"),
                ("Bo", Some("one")) => Box::pin(futures_util::stream::iter([Ok(Composed::Text(
                    "cut".into(),
                ))])),
                (_, Some(said)) => says(said),
                _ => silent(),
            },
        );
    let stage = Stage::new(
        &actors,
        &[
            ("Ada", json!({ "priority": 2 })),
            ("Bo", json!({ "priority": 1 })),
            ("Cy", plain()),
        ],
    )
    .await;
    stage.say("one").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Cy"]);
    assert!(
        actors.asked().len() < 9,
        "it is not asked again and again: {} times",
        actors.asked().len()
    );
    let error = stage.shown().await["last_error"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        error == "Bo: the answer was cut off" || error == "Ada: the model server is overloaded",
        "{error}"
    );
    stage.say("two").await;
    stage.over().await;
    assert_eq!(stage.shown().await["last_error"], Value::Null);
    assert_eq!(stage.speakers().await.len(), 6);
    stage.end().await;
}

#[tokio::test]
async fn answers_are_bounded_in_length_and_time() {
    let actors = Actors::new(|prompt| match unanswered(prompt).as_deref() {
        Some("long") => says(&"달".repeat(1_000)),
        Some("slow") => begins("well"),
        _ => silent(),
    });
    let stage = Stage::with(&actors, &[("Ada", plain())], |settings| {
        settings.answers.limits.max_bytes = 100;
        settings.answers.limits.time_limit = Duration::from_millis(50);
    })
    .await;
    stage.say("long").await;
    stage.over().await;
    let messages = stage
        .client
        .get(&stage.path("/messages?limit=1"))
        .await
        .ok();
    assert_eq!(
        (
            messages[0]["content"].as_str().unwrap().len(),
            &messages[0]["interrupted"]
        ),
        (99, &json!(false))
    );
    stage.say("slow").await;
    stage.over().await;
    assert_eq!(
        stage.shown().await["last_error"],
        json!("Ada: the answer took too long")
    );
    assert_eq!(stage.speakers().await.len(), 3);
    stage.end().await;
}

#[tokio::test]
async fn no_more_answers_are_composed_at_once_than_the_settings_say() {
    let actors = Actors::new(|prompt| {
        if unanswered(prompt).is_some() {
            begins("well")
        } else {
            silent()
        }
    });
    let agents: Vec<_> = ["A", "B", "C", "D", "E"].map(|name| (name, plain())).into();
    let stage = Stage::with(&actors, &agents, |settings| {
        settings.answers.limits.at_once_per_room = 2;
    })
    .await;
    stage.say("go").await;
    stage.composing(0, "well").await;
    stage.composing(1, "well").await;
    assert_eq!(actors.asked().len(), 2);
    stage.client.delete(&stage.path("")).await.ok();
    stage.over().await;
    assert_eq!(actors.asked().len(), 2, "a deleted room asks nobody");
    stage.end().await;
}

#[tokio::test]
async fn who_was_silent_or_failed_is_not_asked_again_about_the_same() {
    let actors = Actors::new(|prompt| match prompt.name.as_str() {
        "Ada" => silent(),
        "Bo" => fails("no"),
        _ if unanswered(prompt).is_some() => says("I do"),
        _ => silent(),
    });
    let agents = [
        ("Ada", plain()),
        ("Bo", plain()),
        ("Cy", json!({ "transparent": true, "priority": 3 })),
    ];
    let stage = Stage::with(&actors, &agents, |settings| {
        settings.answers.limits.follow_up_rounds = 5;
    })
    .await;
    stage.say("one").await;
    stage.over().await;
    assert_eq!(
        actors.asked().len(),
        3,
        "each once: what the transparent one says is not seen"
    );
    stage.end().await;
}

#[tokio::test]
async fn a_limit_that_one_does_not_use_is_left_to_the_others() {
    let actors = Actors::new(|prompt| match (prompt.name.as_str(), unanswered(prompt)) {
        ("Ada", _) => fails("no"),
        (_, Some(_)) => says("I do"),
        _ => silent(),
    });
    let stage = Stage::new(&actors, &[("Ada", plain()), ("Bo", plain())]).await;
    stage
        .client
        .patch(&stage.path(""), json!({ "max_interactions": 1 }))
        .await
        .ok();
    stage.say("one").await;
    stage.over().await;
    assert_eq!(stage.speakers().await, ["user", "Bo"]);
    stage.end().await;
}

/// A store of which one write fails: the one that comes after so many.
struct FailsOnce(AtomicUsize);

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
async fn a_store_that_fails_does_not_pass_for_silence() {
    let store = Place::sqlite().open().await;
    let fails = Arc::new(FailsOnce(AtomicUsize::new(1_000)));
    let server = Running::answering(
        decorate(store.r.clone(), fails.clone()),
        Actors::polite(),
        |_| {},
    )
    .await;
    let stage = Stage {
        store: Some(store),
        ..Stage::in_room(server, &[("Ada", plain())]).await
    };
    // The person's message is stored, the answer is not.
    fails.0.store(1, Ordering::SeqCst);
    stage.say("one").await;
    stage.over().await;
    assert!(
        fails.0.load(Ordering::SeqCst) > 1_000,
        "it has failed: the count went below nought"
    );
    assert_eq!(stage.speakers().await, ["user", "Ada"], "it is tried again");
    assert_eq!(
        (
            stage.shown().await["last_error"].clone(),
            stage.shown().await["is_finished"].clone()
        ),
        (Value::Null, json!(true))
    );
    stage.end().await;
}
