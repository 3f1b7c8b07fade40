//! Conversations under load: a hundred rooms of five agents, in which the scripted responder
//! answers for a minute. Reports the number of answers, their latency, and the CPU time. Then
//! conversations with a model server.

mod model_server;
mod users;
mod with_model;

use std::time::{Duration, Instant};

use domain::{MessageId, RoomId};
use serde_json::json;
use tests::server::TestServer;

use users::{create_rooms, run_users};

use crate::{
    error::BenchError,
    measure::{own_cpu_time, percentile},
    report::{section::Section, table::Table},
    run_mode::{RunMode, start_runtime},
    store::{RegionHits, region_hits},
};

const ROOMS: i64 = 100;
const AGENTS: usize = 5;
/// The time between two messages of a room's user.
const MESSAGE_INTERVAL: Duration = Duration::from_secs(6);
/// The number of reads that a region must exceed for its hit rate to be reported.
const FEWEST_READS: u64 = 100;

/// The messages of all rooms.
#[derive(Default)]
struct Transcript {
    user_messages: u32,
    answers: u32,
    interrupted: u32,
    /// The times from a user message to the first answer after it, in milliseconds.
    first_answer_millis: Vec<f64>,
}

/// The elapsed time and the CPU time of a run.
struct Duty {
    elapsed: Duration,
    cpu: Duration,
}

/// Runs the conversations: users send messages, and agents answer.
pub fn run(mode: RunMode) -> Result<Section, BenchError> {
    let (scripted, with_model) = mode.choose((60, 30), (12, 8));
    let runtime = start_runtime();
    let mut section = runtime.block_on(talk(Duration::from_secs(scripted)));
    let model = runtime.block_on(with_model::talk(Duration::from_secs(with_model)));
    section.tables.extend(model.tables);
    section.raw = json!({ "scripted": section.raw, "model": model.raw });
    Ok(section)
}

async fn talk(length: Duration) -> Section {
    let server = TestServer::start(|settings| {
        settings.answers.responder = "scripted".into();
        settings.answers.pace = Some(Duration::from_millis(30));
        settings.answers.limits.at_once =
            usize::try_from(ROOMS).expect("the number of rooms is small") * AGENTS;
    })
    .await;
    let client = server.client();
    create_rooms(&client, ROOMS, AGENTS).await;
    let (start, cpu_before) = (Instant::now(), own_cpu_time());
    run_users(&client, ROOMS, MESSAGE_INTERVAL, start, length).await;
    server.app().conversations.ended().await;
    let duty = Duty {
        elapsed: start.elapsed(),
        cpu: own_cpu_time().saturating_sub(cpu_before),
    };
    let section = report(&server, &read_transcript(&server).await, &duty);
    server.end().await;
    section
}

async fn read_transcript(server: &TestServer) -> Transcript {
    let mut transcript = Transcript::default();
    for room in 1..=ROOMS {
        let messages = server
            .app()
            .cache
            .bypassing
            .messages
            .since(RoomId(room), MessageId(0), usize::MAX >> 1)
            .await
            .expect("the store returns the messages");
        let mut last_question = None;
        for message in &messages {
            if message.is_from_user() {
                transcript.user_messages += 1;
                last_question = Some(message.timestamp);
            } else if message.author.is_some() {
                transcript.answers += 1;
                transcript.interrupted += u32::from(message.interrupted);
                // Only the first answer after a question is timed.
                transcript.first_answer_millis.extend(
                    last_question
                        .take()
                        .map(|question| (message.timestamp - question).as_seconds_f64() * 1_000.0),
                );
            }
        }
    }
    transcript
}

fn report(server: &TestServer, transcript: &Transcript, duty: &Duty) -> Section {
    let seconds = duty.elapsed.as_secs_f64();
    let cpu_seconds = duty.cpu.as_secs_f64();
    let answers = f64::from(transcript.answers);
    let [p50, p99] =
        [50.0, 99.0].map(|percent| percentile(&transcript.first_answer_millis, percent));
    let mut table = Table::new([
        &format!("{ROOMS} rooms of {AGENTS} agents, {seconds:.0} s"),
        "value",
    ]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("user messages", transcript.user_messages.to_string());
    row(
        "answers",
        format!(
            "{}, {:.0} per second, {} interrupted",
            transcript.answers,
            answers / seconds,
            transcript.interrupted
        ),
    );
    row(
        "time until the first answer is stored: p50, p99",
        format!("{p50:.0} ms, {p99:.0} ms"),
    );
    row(
        "CPU of server and clients",
        format!(
            "{:.0} % of one core, {:.2} ms per answer",
            100.0 * cpu_seconds / seconds,
            cpu_seconds * 1_000.0 / answers
        ),
    );
    let hits = region_hits(&server.app().cache, FEWEST_READS);
    for RegionHits {
        region,
        percent,
        reads,
    } in &hits
    {
        row(
            &format!("hit rate of `{region}`"),
            format!("{percent:.2} % of {reads} reads"),
        );
    }
    let raw = json!({
        "seconds": seconds,
        "user_messages": transcript.user_messages,
        "answers": transcript.answers,
        "interrupted": transcript.interrupted,
        "cpu_seconds": cpu_seconds,
        "first_answer_ms": transcript.first_answer_millis,
        "hits": hits,
    });
    Section {
        tables: vec![table],
        raw,
        ..Section::default()
    }
}
