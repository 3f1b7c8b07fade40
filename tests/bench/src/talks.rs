//! A hundred rooms of five agents that answer for a minute, by the script: how many answers, how soon, at what cost.

use std::time::{Duration, Instant};

use domain::{MessageId, RoomId};
use serde_json::{Value, json};
use tests::{client::Client, server::TestServer};

use crate::{
    Run, measure,
    measure::percentile,
    report::{Part, Table},
};

const ROOMS: i64 = 100;
const AGENTS: usize = 5;
/// How often a person writes in each room.
const EVERY: Duration = Duration::from_secs(6);

/// See the module.
pub fn run(run: Run) -> Result<Part, String> {
    Ok(run
        .runtime()
        .block_on(talk(Duration::from_secs(run.size(60, 12)))))
}

async fn talk(during: Duration) -> Part {
    let server = TestServer::start(|settings| {
        settings.answers.responder = "scripted".into();
        settings.answers.pace = Duration::from_millis(30);
        settings.answers.limits.at_once = usize::try_from(ROOMS).expect("few") * AGENTS;
    })
    .await;
    let client = server.client();
    for number in 1..=AGENTS {
        let body = json!({ "name": format!("Agent {number}"), "in_a_nutshell": "Mends umbrellas at night. Likes the rain.",
            "characteristics": "Speaks slowly, and of small things. Laughs when it rains. Never asks twice. Remembers every umbrella." });
        client.post("/agents", body).await.ok();
    }
    for room in 1..=ROOMS {
        client
            .post("/rooms", json!({ "name": format!("room {room}") }))
            .await
            .ok();
        for agent in 1..=AGENTS {
            client
                .post(&format!("/rooms/{room}/agents/{agent}"), Value::Null)
                .await
                .ok();
        }
    }
    let (began, cpu) = (Instant::now(), measure::own_cpu());
    let people: Vec<_> = (1..=ROOMS)
        .map(|room| tokio::spawn(person(client.clone(), room, began, during)))
        .collect();
    for person in people {
        person.await.expect("a person does not panic");
    }
    server.app().conversations.ended().await;
    let (took, cpu) = (began.elapsed(), measure::own_cpu().saturating_sub(cpu));
    let part = report(&server, took, cpu).await;
    server.end().await;
    part
}

/// Writes every now and then, at a time of its own.
async fn person(client: Client, room: i64, began: Instant, during: Duration) {
    let rooms = u32::try_from(ROOMS).expect("few");
    let first = EVERY / rooms * u32::try_from(room - 1).expect("few");
    for turn in 0.. {
        let at = first + EVERY * turn;
        if at >= during {
            return;
        }
        tokio::time::sleep_until((began + at).into()).await;
        let body =
            json!({ "content": format!("Good evening, for the {turn}. time"), "role": "user" });
        client
            .post(&format!("/rooms/{room}/messages/send"), body)
            .await
            .ok();
    }
}

async fn report(server: &TestServer, took: Duration, cpu: Duration) -> Part {
    let (mut questions, mut answers, mut cut, mut waits) = (0_u32, 0_u32, 0_u32, Vec::new());
    for room in 1..=ROOMS {
        let mut asked = None;
        let said = server
            .app()
            .cache
            .bypassing
            .messages
            .since(RoomId(room), MessageId(0), usize::MAX >> 1)
            .await
            .expect("it is read");
        for message in &said {
            if message.is_from_user() {
                questions += 1;
                asked = Some(message.timestamp);
            } else if message.author.is_some() {
                answers += 1;
                cut += u32::from(message.interrupted);
                // The first answer after a question.
                waits.extend(
                    asked
                        .take()
                        .map(|asked| (message.timestamp - asked).as_seconds_f64() * 1_000.0),
                );
            }
        }
    }
    let seconds = took.as_secs_f64();
    let [p50, p99] = [50.0, 99.0].map(|percent| percentile(&waits, percent));
    let (busy, each) = (
        100.0 * cpu.as_secs_f64() / seconds,
        cpu.as_secs_f64() * 1_000.0 / f64::from(answers),
    );
    let mut table = Table::new([
        &format!("{ROOMS} rooms of {AGENTS} agents, {seconds:.0} s"),
        "",
    ]);
    let mut row = |what: &str, found: String| table.row([what.to_owned(), found]);
    row("messages of people", questions.to_string());
    row(
        "answers",
        format!(
            "{answers}, {:.0} a second, {cut} of them interrupted",
            f64::from(answers) / seconds
        ),
    );
    row(
        "until the first answer is stored, p50, p99",
        format!("{p50:.0} ms, {p99:.0} ms"),
    );
    row(
        "CPU of server and people",
        format!("{busy:.0} % of one core, {each:.2} ms an answer"),
    );
    let mut hits = Vec::new();
    for (region, _, stats) in server.app().cache.manager.stats() {
        if stats.total_requests() > 100 {
            row(
                &format!("hits of `{region}`"),
                format!("{:.2} % of {}", stats.hit_rate(), stats.total_requests()),
            );
            hits.push((region, stats.hit_rate(), stats.total_requests()));
        }
    }
    let raw = json!({ "seconds": seconds, "questions": questions, "answers": answers, "interrupted": cut, "cpu_seconds": cpu.as_secs_f64(),
        "first_answer_ms": waits, "hits_percent": hits });
    Part {
        tables: vec![table],
        raw,
        ..Part::default()
    }
}
