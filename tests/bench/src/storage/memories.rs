//! Appends to the memory of an agent with few and with many events, and messages sent meanwhile.

use std::{fmt::Write as _, fs, path::Path, time::Instant};

use domain::{AgentId, MAX_RECENT_EVENTS, RecentEvent, Repositories};
use serde_json::json;

use super::{
    new_store::{Backend, NewStore},
    traffic::{Traffic, quiet},
};
use crate::{
    error::BenchError,
    measure::{Estimate, micros, percentile},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::RunMode,
};

/// The number of events of the first agent before the appends.
const FEW: usize = 100;
/// The number of events of the second agent before the appends.
const MANY: usize = 100_000;

pub(super) async fn measure(mode: RunMode, section: &mut Section) -> Result<(), BenchError> {
    let store = NewStore::open(Backend::Sqlite).await?;
    let ports = &store.ports;
    let room = tests::records::create_room(ports, "tea").await.id;
    let quiet = quiet(mode, ports, room).await;
    let mut table = Table::new([
        "events of the agent",
        "append, median",
        "messages in another room meanwhile, median",
        "99th percentile",
    ]);
    table.row([
        "no appends".into(),
        String::new(),
        format!("{:.2} ms", percentile(&quiet, 50.0) / 1e3),
        format!("{:.2} ms", percentile(&quiet, 99.0) / 1e3),
    ]);
    let mut raw = json!({"quiet_us": quiet});
    for (name, events) in [("Ada", FEW), ("Zoë", MANY)] {
        let agent = create_agent(&store, name, events).await?;
        let traffic = Traffic::start(ports, room);
        let appends = append(ports, agent, mode.choose(300, 50)).await?;
        let times = traffic.stop().await;
        table.row([
            events.to_string(),
            format!("{:.2} ms", percentile(&appends, 50.0) / 1e3),
            format!("{:.2} ms", percentile(&times, 50.0) / 1e3),
            format!("{:.2} ms", percentile(&times, 99.0) / 1e3),
        ]);
        let slower = percentile(&times, 50.0) / percentile(&quiet, 50.0);
        section.ratios.push(Ratio::new(
            format!("median of messages during appends to {events} events, relative to quiet"),
            Estimate {
                drift: 0.5,
                ..Estimate::exact(slower)
            },
            Goal::AtMost(2.0),
        ));
        raw[events.to_string()] = json!({"appends_us": appends, "messages_us": times});
    }
    section.tables.push(table);
    section.raw["memories"] = raw;
    Ok(())
}

/// Creates an agent whose files contain `events` events. The events beyond [`MAX_RECENT_EVENTS`]
/// are in the archive.
async fn create_agent(store: &NewStore, name: &str, events: usize) -> Result<AgentId, BenchError> {
    let agent = store
        .ports
        .agents
        .create(tests::records::new_agent(name))
        .await?
        .id;
    let folder = store.folder.path().join("agents").join(name);
    let recent = events.min(MAX_RECENT_EVENTS);
    write_events(&folder.join("memory.yaml"), "recent_events:\n", 0..recent)?;
    if events > recent {
        write_events(&folder.join("memory-archive.yaml"), "", recent..events)?;
    }
    store.ports.files.reload(agent).await?;
    Ok(agent)
}

fn write_events(
    path: &Path,
    head: &str,
    numbers: std::ops::Range<usize>,
) -> Result<(), BenchError> {
    let mut text = head.to_owned();
    for number in numbers {
        let event = "The red umbrella came back, and nobody asked where it had been all summer.";
        writeln!(text, "- text: \"{number}: {event}\"").expect("writing to a string cannot fail");
    }
    fs::write(path, text).map_err(BenchError::SetUp)
}

/// Appends events and returns the microseconds of each append.
async fn append(
    ports: &Repositories,
    agent: AgentId,
    times: usize,
) -> Result<Vec<f64>, BenchError> {
    let mut appends = Vec::new();
    for number in 0..times {
        let event = RecentEvent {
            date: None,
            text: format!("It rained for the {number}th time."),
        };
        let start = Instant::now();
        ports.configs.append_memory(agent, event).await?;
        appends.push(micros(start.elapsed()));
    }
    Ok(appends)
}
