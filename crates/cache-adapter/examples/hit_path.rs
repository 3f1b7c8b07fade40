//! Reads from memory so many times and ends, so that `cargo xtask instructions` can count what a hit executes.
//!
//! `hit_path region|room|agents|poll HITS`

use std::{hint::black_box, sync::Arc, time::Duration};

use cache_adapter::{Cache, Options};
use cache_core::{Manager, Policy, Runtime};
use domain::{
    AgentConfig, AgentName, MessageId, NewAgent, NewMessage, NewRoom, Room, RoomId, RoomName,
    UserId,
};
use futures_util::FutureExt;

const ROOMS: i64 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> domain::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(what), Some(hits)) = (
        args.next(),
        args.next().and_then(|hits| hits.parse::<i64>().ok()),
    ) else {
        panic!("what is read, and how often");
    };
    let ttl = Duration::from_hours(1);
    let options = Options {
        ttls: cache_adapter::rows()
            .iter()
            .map(|row| (row.region.to_owned(), ttl))
            .collect(),
        ..Options::default()
    };
    let ports = Cache::new(contract::memory::repositories(), options).repositories;
    let manager = Manager::builder(Runtime::tokio()).build();
    let region = manager.region::<RoomId, Arc<Room>>("rooms", Policy::new(ttl, 10_000));
    for number in 1..=ROOMS {
        let name = RoomName::parse(&number.to_string())?;
        let room = ports
            .rooms
            .create(NewRoom {
                owner: UserId::admin(),
                name,
                max_interactions: None,
            })
            .await?;
        assert!(region.insert(room.id, room.clone()), "nothing is written");
        ports.rooms.find(room.id).await?;
    }
    let name = AgentName::parse("Ada")?;
    let agent = ports
        .agents
        .create(NewAgent {
            name,
            group: None,
            config: AgentConfig::default(),
            picture: None,
        })
        .await?
        .id;
    let newest = ports
        .messages
        .append(NewMessage::from_agent(RoomId(1), agent, "Hello!"))
        .await?
        .id;
    let (room, authors) = (|at: i64| RoomId(at % ROOMS + 1), [agent]);
    ports.messages.since(RoomId(1), MessageId(0), 100).await?;
    ports.agents.find_many(&authors).await?;
    let read: Box<dyn FnMut(i64)> = match what.as_str() {
        "region" => {
            Box::new(move |at| drop(black_box(region.look_up(&room(at)).expect("it is here"))))
        }
        "room" => Box::new(|at| {
            drop(black_box(
                now(ports.rooms.find(room(at))).expect("it is here"),
            ));
        }),
        "agents" => Box::new(|_| drop(black_box(now(ports.agents.find_many(&authors))))),
        "poll" => {
            Box::new(|_| assert!(now(ports.messages.since(RoomId(1), newest, 100)).is_empty()))
        }
        other => panic!("what is {other}?"),
    };
    read_often(hits, read);
    Ok(())
}

/// What is counted, by this name.
#[inline(never)]
fn read_often(hits: i64, mut read: Box<dyn FnMut(i64) + '_>) {
    for at in 0..hits {
        read(at);
    }
}

/// A hit is an answer at the first poll.
fn now<T>(read: impl Future<Output = domain::Result<T>>) -> T {
    read.now_or_never()
        .expect("it is in memory")
        .expect("memory answers")
}
