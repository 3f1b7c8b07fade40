//! Reads from memory a given number of times, so that `cargo xtask instructions` can count the
//! instructions of a hit.
//!
//! `instructions region|room|agents|poll HITS`

use std::{hint::black_box, sync::Arc, time::Duration};

use cache_adapter::{Cache, Options};
use cache_core::{Manager, Policy, Runtime, Unknown};
use domain::{
    AgentConfig, AgentId, AgentName, MessageId, NewAgent, NewMessage, NewRoom, Repositories,
    Result, Room, RoomId, RoomName, UserId,
};
use futures_util::FutureExt;

/// The number of rooms. There are enough that consecutive hits read different rooms.
const ROOMS: i64 = 1_000;
/// The TTL of all entries. It is longer than any run, so no entry expires.
const TTL: Duration = Duration::from_hours(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(subject), Some(hits)) = (
        args.next(),
        args.next().and_then(|hits| hits.parse::<i64>().ok()),
    ) else {
        panic!("usage: instructions region|room|agents|poll HITS");
    };
    let ports = cached_ports();
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let region = manager.region::<RoomId, Arc<Room>>("rooms", Policy::new(TTL, 10_000));
    for number in 1..=ROOMS {
        let room = create_room(&ports, number).await?;
        assert!(region.insert(room.id, room.clone()), "no write is open");
        ports.rooms.find(room.id).await?;
    }
    let authors = [create_agent(&ports).await?];
    let message = NewMessage::from_agent(RoomId(1), authors[0], "Hello!");
    let newest = ports.messages.append(message).await?.id;
    ports.messages.since(RoomId(1), MessageId(0), 100).await?;
    ports.agents.find_many(&authors).await?;

    let room = |hit: i64| RoomId(hit % ROOMS + 1);
    let read: Box<dyn FnMut(i64)> = match subject.as_str() {
        "region" => Box::new(move |hit| {
            drop(black_box(
                region.look_up(&room(hit)).expect("the room is in memory"),
            ));
        }),
        "room" => Box::new(|hit| {
            drop(black_box(
                hit_of(ports.rooms.find(room(hit))).expect("the room exists"),
            ));
        }),
        "agents" => Box::new(|_| drop(black_box(hit_of(ports.agents.find_many(&authors))))),
        "poll" => {
            Box::new(|_| assert!(hit_of(ports.messages.since(RoomId(1), newest, 100)).is_empty()))
        }
        other => panic!("{other} must be region, room, agents or poll"),
    };
    read_often(hits, read);
    Ok(())
}

fn cached_ports() -> Repositories {
    let options = Options {
        ttls: cache_adapter::rows()
            .iter()
            .map(|row| (row.region.to_owned(), TTL))
            .collect(),
        ..Options::default()
    };
    Cache::new(contract::memory::repositories(), options).repositories
}

async fn create_room(ports: &Repositories, number: i64) -> Result<Arc<Room>> {
    let new = NewRoom {
        owner: UserId::admin(),
        name: RoomName::parse(&number.to_string())?,
        max_interactions: None,
    };
    ports.rooms.create(new).await
}

async fn create_agent(ports: &Repositories) -> Result<AgentId> {
    let new = NewAgent {
        name: AgentName::parse("Ada")?,
        group: None,
        config: AgentConfig::default(),
        picture: None,
    };
    Ok(ports.agents.create(new).await?.id)
}

/// Calls `read` once for each hit. `cargo xtask instructions` finds this function by its name and
/// counts its instructions.
#[inline(never)]
fn read_often(hits: i64, mut read: Box<dyn FnMut(i64) + '_>) {
    for hit in 0..hits {
        read(hit);
    }
}

/// Polls a read once and returns its output. Panics if the read is not complete, because every hit
/// completes at its first poll.
fn hit_of<T>(read: impl Future<Output = Result<T>>) -> T {
    read.now_or_never()
        .expect("the read is a hit")
        .expect("a hit is no error")
}
