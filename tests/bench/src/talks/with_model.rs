//! Conversations with a model server that refuses some requests. Reports what prompts share with
//! those before, the tokens of an answer, and the answers that are missing at the end.

use std::time::{Duration, Instant};

use domain::{MessageId, RoomId};
use serde_json::json;
use tests::{client::Client, server::TestServer};

use super::{
    model_server::{Figures, ModelServer, REFUSED_PERCENT},
    users::{create_rooms, run_users},
};
use crate::{
    measure::percentile,
    report::{section::Section, table::Table},
};

const ROOMS: i64 = 20;
const AGENTS: usize = 5;
/// The time between two messages of a room's user.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(4);

/// The figures of a run.
struct Talks {
    messages: u32,
    answers: u32,
    /// The agents without an answer to the last message of their room.
    missing: usize,
    /// The tokens that the server counted, and those of them that were stored.
    stored_tokens: u64,
    prompts: Figures,
    elapsed: Duration,
}

pub(super) async fn talk(length: Duration) -> Section {
    let model = ModelServer::start().await;
    let options = json!({ "protocol": "openai", "base_url": model.base_url, "model": "tester" });
    let server = TestServer::start(|settings| {
        let options = serde_json::from_value(options).expect("the options are valid");
        settings.answers.models.insert("tester".into(), options);
        settings.answers.responder = "tester".into();
        settings.answers.limits.at_once = 100;
    })
    .await;
    let client = server.client();
    create_rooms(&client, ROOMS, AGENTS).await;
    let start = Instant::now();
    run_users(&client, ROOMS, MESSAGE_INTERVAL, start, length).await;
    server.app().conversations.ended().await;
    let elapsed = start.elapsed();
    let talks = read(&server, &client, model.figures(), elapsed).await;
    server.end().await;
    report(&talks)
}

async fn read(server: &TestServer, client: &Client, prompts: Figures, elapsed: Duration) -> Talks {
    let (mut messages, mut answers, mut missing) = (0, 0, 0);
    let ports = &server.app().cache.bypassing;
    for room in 1..=ROOMS {
        let log = ports
            .messages
            .since(RoomId(room), MessageId(0), usize::MAX >> 1);
        let log = log.await.expect("the store returns the messages");
        let last = log.iter().rposition(|message| message.is_from_user());
        messages += log.iter().filter(|message| message.is_from_user()).count();
        answers += log
            .iter()
            .filter(|message| message.author.is_some())
            .count();
        let after = &log[last.unwrap_or_default()..];
        missing += (1..=AGENTS)
            .filter(|agent| {
                let is_answer = |message: &std::sync::Arc<domain::Message>| {
                    message
                        .author
                        .is_some_and(|author| usize::try_from(author.0) == Ok(*agent))
                        && !message.interrupted
                };
                !after.iter().any(is_answer)
            })
            .count();
    }
    let usage = client.get("/usage").await.ok();
    let count = |field: &str| usage["models"][0][field].as_u64().unwrap_or_default();
    let count_of = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Talks {
        messages: count_of(messages),
        answers: count_of(answers),
        missing,
        stored_tokens: count("input_tokens") + count("output_tokens"),
        prompts,
        elapsed,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the counts are small")]
fn report(talks: &Talks) -> Section {
    let seconds = talks.elapsed.as_secs_f64();
    let mut table = Table::new([
        &format!(
            "{ROOMS} rooms of {AGENTS} agents, a model server that refuses {REFUSED_PERCENT} %, \
             {seconds:.0} s"
        ),
        "value",
    ]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    let Figures {
        requests,
        refused,
        shared,
        bytes,
    } = &talks.prompts;
    row("user messages", talks.messages.to_string());
    row("requests, refused ones", format!("{requests}, {refused}"));
    row("answers", talks.answers.to_string());
    row(
        "agents without an answer to the last message of their room",
        talks.missing.to_string(),
    );
    let [p5, p50] = [5.0, 50.0].map(|percent| percentile(shared, percent));
    row(
        "bytes that a prompt shares with the one before: p5, p50",
        format!("{p5:.1} %, {p50:.1} %"),
    );
    row(
        "bytes of a prompt: p50, most",
        format!(
            "{:.0}, {:.0}",
            percentile(bytes, 50.0),
            percentile(bytes, 100.0)
        ),
    );
    let tokens = talks.stored_tokens as f64 / f64::from(talks.answers);
    row(
        "tokens of an answer and its prompt, as stored",
        format!("{tokens:.0}"),
    );
    let raw = json!({
        "seconds": seconds,
        "user_messages": talks.messages,
        "requests": requests,
        "refused": refused,
        "answers": talks.answers,
        "missing": talks.missing,
        "stored_tokens": talks.stored_tokens,
        "shared_percent": shared,
        "prompt_bytes": bytes,
    });
    Section {
        tables: vec![table],
        raw,
        ..Section::default()
    }
}
