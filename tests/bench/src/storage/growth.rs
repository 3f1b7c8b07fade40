//! The time of reads with few and with many messages and rooms.

use std::time::Instant;

use domain::{AgentId, MessageId, NewRoom, RoomId, RoomName, UserId};
use serde_json::json;

use super::{
    fill::Filler,
    new_store::{Backend, NewStore},
};
use crate::{
    error::BenchError,
    measure::{Estimate, micros, ratios},
    report::{
        ratio::{Goal, Ratio},
        section::Section,
        table::Table,
    },
    run_mode::RunMode,
};

/// The number of messages in the room of the small store, which has a tenth as many rooms.
const SHORT: i64 = 1_000;
const READS: [&str; 10] = [
    "recent",
    "since, from the start",
    "by_authors, two silent authors",
    "since_answer, an agent that never spoke",
    "answer_counts",
    "end",
    "activities",
    "rooms of an owner",
    "direct room",
    "room",
];
/// The number of calls in a round. With so many, a round takes milliseconds.
const CALLS: u32 = 20;

/// A store of one size.
struct Sized {
    store: NewStore,
    room: RoomId,
    owner: UserId,
    agents: [AgentId; 2],
}

impl Sized {
    async fn new(backend: Backend, messages: i64, rooms: i64) -> Result<Self, BenchError> {
        let store = NewStore::open(backend).await?;
        let owner = UserId::parse("guest-f").expect("the user's id is valid");
        let new = NewRoom {
            owner: owner.clone(),
            name: RoomName::parse("tea").expect("the room's name is valid"),
            max_interactions: None,
        };
        let room = store.ports.rooms.create(new).await?.id;
        let mut agents = [AgentId(0); 2];
        for (agent, name) in agents.iter_mut().zip(["Ada", "Zoë"]) {
            *agent = store
                .ports
                .agents
                .create(tests::records::new_agent(name))
                .await?
                .id;
            store.ports.rooms.add_member(room, *agent).await?;
        }
        let filler = Filler::connect(&store).await;
        filler.add_messages(room, messages).await;
        filler.add_rooms(rooms, &owner).await;
        Ok(Self {
            store,
            room,
            owner,
            agents,
        })
    }

    /// Runs one of [`READS`] and returns the microseconds per call.
    async fn time(&self, read: usize) -> Result<f64, BenchError> {
        let ports = &self.store.ports;
        let (messages, rooms) = (&ports.messages, &ports.rooms);
        let (room, first, agent) = (self.room, MessageId(0), self.agents[0]);
        let start = Instant::now();
        for _ in 0..CALLS {
            match read {
                0 => drop(messages.recent(room, None, 100).await?),
                1 => drop(messages.since(room, first, 100).await?),
                2 => drop(
                    messages
                        .by_authors(room, &self.agents, Some(first), 100)
                        .await?,
                ),
                3 => drop(messages.since_answer(room, agent, 100).await?),
                4 => drop(messages.answer_counts(room).await?),
                5 => drop(messages.end(room, 100).await?),
                6 => drop(rooms.activities(&[room]).await?),
                7 => drop(rooms.list_by_owner(&self.owner, None, 1_000).await?),
                8 => drop(rooms.find_direct(&self.owner, agent).await?),
                _ => drop(rooms.find(room).await?),
            }
        }
        Ok(micros(start.elapsed()) / f64::from(CALLS))
    }
}

pub(super) async fn measure(
    mode: RunMode,
    backend: Backend,
    section: &mut Section,
) -> Result<(), BenchError> {
    let (many_messages, many_rooms) = mode.choose((1_000_000, 100_000), (50_000, 5_000));
    let small = Sized::new(backend, SHORT, SHORT / 10).await?;
    let large = Sized::new(backend, many_messages, many_rooms).await?;
    let mut table = Table::new([
        &format!("read on {}", backend.name()),
        &format!("{SHORT} messages, {} rooms", SHORT / 10),
        &format!("{many_messages} messages, {many_rooms} rooms"),
        "relative",
    ]);
    let mut raw = json!({});
    for (number, name) in READS.into_iter().enumerate() {
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for _ in 0..mode.choose(15, 5) {
            few.push(small.time(number).await?);
            many.push(large.time(number).await?);
        }
        let relative = Estimate::from_rounds(&ratios(&many, &few));
        let [short, long] = [&few, &many].map(|rounds| Estimate::from_rounds(rounds).median);
        table.row([
            name.to_owned(),
            format!("{short:.0} µs"),
            format!("{long:.0} µs"),
            format!("{:.2}", relative.median),
        ]);
        section.ratios.push(Ratio::new(
            format!(
                "time with many rows relative to few, {}: {name}",
                backend.name()
            ),
            relative,
            Goal::AtMost(2.0),
        ));
        raw[name] = json!({"few_us": few, "many_us": many});
    }
    section.tables.push(table);
    section.raw[format!("growth on {}", backend.name())] = raw;
    Ok(())
}
