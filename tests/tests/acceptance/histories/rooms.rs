//! The models of a room and of an owner's list of rooms.

use std::{collections::BTreeSet, sync::Arc};

use cache_adapter::Cache;
use domain::{Repositories, Result, Room, RoomChange, RoomId, UserId};
use tests::{linearizability::SequentialModel, random::Random, records::new_room};

use super::model::{HistoryWorld, KeyModel, Outcome, done, found, number, room_name, value};

/// The state of a room in the model; `None` once the room is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomModel(Option<RoomState>);

/// The number in a room's name, and the room's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomState {
    name: u32,
    version: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum RoomCall {
    Rename(u32),
    Delete,
    Find,
    FindMany,
}

impl SequentialModel for RoomModel {
    type Call = RoomCall;
    type Outcome = Outcome<RoomState>;

    fn apply(&mut self, call: &RoomCall) -> Self::Outcome {
        match (call, &mut self.0) {
            (_, None) => Outcome::Missing,
            (RoomCall::Rename(name), Some(room)) => {
                *room = RoomState {
                    name: *name,
                    version: room.version + 1,
                };
                Outcome::Value(*room)
            }
            (RoomCall::Delete, Some(_)) => {
                self.0 = None;
                Outcome::Done
            }
            (RoomCall::Find | RoomCall::FindMany, Some(room)) => Outcome::Value(*room),
        }
    }

    fn is_read(call: &RoomCall) -> bool {
        matches!(call, RoomCall::Find | RoomCall::FindMany)
    }
}

impl KeyModel for RoomModel {
    type Key = RoomId;

    async fn create(world: &HistoryWorld) -> (RoomId, Self) {
        let new = RoomState {
            name: 0,
            version: 1,
        };
        (world.create_room().await, Self(Some(new)))
    }

    fn draw(_: &RoomId, random: &Random, fresh: u32) -> RoomCall {
        match random.below(100) {
            0..3 => RoomCall::Delete,
            3..40 => RoomCall::Rename(fresh),
            40..55 => RoomCall::FindMany,
            _ => RoomCall::Find,
        }
    }

    async fn run(r: &Repositories, id: &RoomId, call: RoomCall) -> Result<Self::Outcome> {
        let shown = |room: Arc<Room>| RoomState {
            name: number(room.name.as_str()),
            version: room.version,
        };
        match call {
            RoomCall::Rename(name) => {
                let change = RoomChange {
                    name: Some(room_name(name)),
                    ..RoomChange::default()
                };
                value(r.rooms.update(*id, change).await.map(shown))
            }
            RoomCall::Delete => done(r.rooms.delete(*id).await),
            RoomCall::Find => Ok(found(r.rooms.find(*id).await?.map(shown))),
            RoomCall::FindMany => Ok(found(r.rooms.find_many(&[*id]).await?.pop().map(shown))),
        }
    }

    fn invalidate(cache: &Cache, id: &RoomId) {
        cache.invalidate_room(*id);
    }
}

/// The numbers in the names of an owner's rooms. No call deletes one of these rooms.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OwnedRoomsModel(BTreeSet<u32>);

#[derive(Clone, Debug)]
pub(crate) enum OwnedRoomsCall {
    Create(u32),
    List,
}

impl SequentialModel for OwnedRoomsModel {
    type Call = OwnedRoomsCall;
    type Outcome = Outcome<BTreeSet<u32>>;

    fn apply(&mut self, call: &OwnedRoomsCall) -> Self::Outcome {
        match call {
            OwnedRoomsCall::Create(number) => {
                self.0.insert(*number);
                Outcome::Done
            }
            OwnedRoomsCall::List => Outcome::Value(self.0.clone()),
        }
    }

    fn is_read(call: &OwnedRoomsCall) -> bool {
        matches!(call, OwnedRoomsCall::List)
    }
}

impl KeyModel for OwnedRoomsModel {
    type Key = UserId;

    async fn create(_: &HistoryWorld) -> (UserId, Self) {
        (HistoryWorld::new_user(), Self(BTreeSet::new()))
    }

    fn draw(_: &UserId, random: &Random, fresh: u32) -> OwnedRoomsCall {
        if random.percent(30) {
            OwnedRoomsCall::Create(fresh)
        } else {
            OwnedRoomsCall::List
        }
    }

    async fn run(r: &Repositories, owner: &UserId, call: OwnedRoomsCall) -> Result<Self::Outcome> {
        match call {
            OwnedRoomsCall::Create(number) => {
                let new = new_room(owner.clone(), &format!("room {number}"));
                done(r.rooms.create(new).await)
            }
            OwnedRoomsCall::List => {
                let rooms = r.rooms.list_by_owner(owner, None, 1_000).await?;
                Ok(Outcome::Value(
                    rooms
                        .iter()
                        .map(|room| number(room.name.as_str()))
                        .collect(),
                ))
            }
        }
    }

    fn invalidate(cache: &Cache, owner: &UserId) {
        cache.manager.invalidate_key(&format!("rooms_of:{owner}"));
    }
}
