//! Messages on PostgreSQL over a network whose round trips take some milliseconds.

use std::time::{Duration, Instant};

use domain::NewMessage;
use serde_json::json;
use tests::{
    postgres,
    records::{create_agent, create_room},
    slow_link::SlowLink,
};

use crate::{
    error::BenchError,
    measure::{Estimate, float},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::RunMode,
    store,
};

/// The number of clients. Each sends one message after the other to its own room.
const CLIENTS: usize = 32;
/// The measured round trips, in milliseconds.
const ROUND_TRIPS: [u64; 3] = [0, 2, 10];

pub(super) async fn measure(mode: RunMode, section: &mut Section) -> Result<(), BenchError> {
    let mut table = Table::new(["round trip", "messages of agents per second, 32 rooms"]);
    let mut raw = json!({});
    for round_trip in ROUND_TRIPS {
        let rounds = rates(mode, Duration::from_millis(round_trip)).await?;
        let estimate = Estimate::from_rounds(&rounds);
        table.row([
            format!("{round_trip} ms"),
            format!("{:.0}", estimate.median),
        ]);
        let goal = if round_trip == 10 {
            Goal::AtLeast(300.0)
        } else {
            Goal::More
        };
        section.ratios.push(Ratio::plain(
            format!("messages per second at a round trip of {round_trip} ms"),
            estimate,
            goal,
        ));
        raw[format!("{round_trip} ms")] = json!(rounds);
    }
    section.tables.push(table);
    section.raw["round_trips"] = raw;
    Ok(())
}

/// Returns the messages per second in each round.
async fn rates(mode: RunMode, round_trip: Duration) -> Result<Vec<f64>, BenchError> {
    let server = postgres::server("messages over a slow network").await;
    let mut server = server.ok_or(BenchError::NoPostgres)?;
    let link = SlowLink::start(server.port, round_trip).await;
    server.port = link.port();
    let folder = tempfile::tempdir().map_err(BenchError::SetUp)?;
    let ports = store::open(&server.address(), folder.path()).await;
    let agent = create_agent(&ports, "Ada").await.id;
    let mut rooms = Vec::new();
    for number in 0..CLIENTS {
        rooms.push(create_room(&ports, &format!("room {number}")).await.id);
    }
    let time = mode.choose(Duration::from_secs(1), Duration::from_millis(400));
    let mut rates = Vec::new();
    // The first round is not counted, because it opens the connections.
    for round in 0..=mode.choose(9, 3) {
        let start = Instant::now();
        let clients = rooms.iter().map(|&room| {
            let ports = ports.clone();
            tokio::spawn(async move {
                let mut sent = 0;
                while start.elapsed() < time {
                    let new = NewMessage::from_agent(room, agent, "Is anyone here?");
                    let stored = ports.messages.append(new).await;
                    stored.expect("the store accepts the message");
                    sent += 1;
                }
                sent
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut sent = 0;
        for client in clients {
            sent += client.await.expect("the client does not panic");
        }
        if round > 0 {
            rates.push(float(sent) / start.elapsed().as_secs_f64());
        }
    }
    Ok(rates)
}
