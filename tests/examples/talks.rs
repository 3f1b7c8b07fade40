//! A hundred rooms of five agents that answer for a minute, by the script: how many answers, how soon, at what cost.

use std::{
    fs,
    time::{Duration, Instant},
};

use domain::{MessageId, RoomId};
use serde_json::{Value, json};
use tests::server::{Client, Running};

/// As the program is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROOMS: i64 = 100;
const AGENTS: usize = 5;
/// How often a person writes in each room.
const EVERY: Duration = Duration::from_secs(6);

fn main() {
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(60_u64).max(6);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be started");
    runtime.block_on(run(Duration::from_secs(seconds)));
}

async fn run(during: Duration) {
    let server = Running::start(|settings| {
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
        client.post("/rooms", json!({ "name": format!("room {room}") })).await.ok();
        for agent in 1..=AGENTS {
            client.post(&format!("/rooms/{room}/agents/{agent}"), Value::Null).await.ok();
        }
    }
    let (began, cpu) = (Instant::now(), ran());
    let people: Vec<_> = (1..=ROOMS).map(|room| tokio::spawn(person(client.clone(), room, began, during))).collect();
    for person in people {
        person.await.expect("a person does not panic");
    }
    server.app().conversations.ended().await;
    let (took, cpu) = (began.elapsed(), ran().saturating_sub(cpu));
    report(&server, took, cpu).await;
    server.end().await;
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
        let body = json!({ "content": format!("Good evening, for the {turn}. time"), "role": "user" });
        client.post(&format!("/rooms/{room}/messages/send"), body).await.ok();
    }
}

async fn report(server: &Running, took: Duration, cpu: Duration) {
    let (mut questions, mut answers, mut cut, mut waits) = (0_u32, 0_u32, 0_u32, Vec::new());
    for room in 1..=ROOMS {
        let mut asked = None;
        let said = server.app().cache.bypassing.messages.since(RoomId(room), MessageId(0), usize::MAX >> 1).await.expect("it is read");
        for message in &said {
            if message.is_from_user() {
                questions += 1;
                asked = Some(message.timestamp);
            } else if message.author.is_some() {
                answers += 1;
                cut += u32::from(message.interrupted);
                // The first answer after a question.
                waits.extend(asked.take().map(|asked| (message.timestamp - asked).as_seconds_f64() * 1_000.0));
            }
        }
    }
    waits.sort_by(f64::total_cmp);
    let percentile = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    println!("| {ROOMS} rooms of {AGENTS} agents, {:.0} s | |\n|---|---|", took.as_secs_f64());
    println!(
        "| messages of people | {questions} |\n| answers | {answers}, {:.0} a second, {cut} of them interrupted |",
        f64::from(answers) / took.as_secs_f64()
    );
    println!("| until the first answer is stored, p50, p99 | {:.0} ms, {:.0} ms |", percentile(50), percentile(99));
    println!(
        "| CPU of server and people | {:.0} % of one core, {:.2} ms an answer |",
        100.0 * cpu.as_secs_f64() / took.as_secs_f64(),
        cpu.as_secs_f64() * 1_000.0 / f64::from(answers)
    );
    for (region, _, stats) in server.app().cache.manager.stats() {
        if stats.total_requests() > 100 {
            println!("| hits of {region} | {:.2} % of {} |", stats.hit_rate(), stats.total_requests());
        }
    }
}

/// How long the threads of this process have run.
fn ran() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux tells");
    let of = |task: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of).sum())
}
