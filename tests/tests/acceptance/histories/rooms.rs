//! A room, its members, an owner's rooms, and a read position.

use std::{collections::BTreeSet, sync::Arc};

use cache_adapter::Cache;
use domain::{
    AgentId, NewMessage, NewRoom, ReadPosition, Repositories, Result, Room, RoomChange, RoomId,
    UserId,
};
use tests::{linear::Object, random::Random};

use super::subject::{Answer, Stage, Subject, done, found, number, numbered, told};

/// A room's name and version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OneRoom(Option<(u32, u64)>);

#[derive(Clone, Debug)]
pub(crate) enum OneRoomCall {
    Rename(u32),
    Delete,
    Find,
    FindMany,
}

impl Object for OneRoom {
    type Call = OneRoomCall;
    type Answer = Answer<(u32, u64)>;

    fn apply(&mut self, call: &OneRoomCall) -> Self::Answer {
        match (call, &mut self.0) {
            (_, None) => Answer::Gone,
            (OneRoomCall::Rename(to), Some((name, version))) => {
                (*name, *version) = (*to, *version + 1);
                Answer::Is((*name, *version))
            }
            (OneRoomCall::Delete, Some(_)) => {
                self.0 = None;
                Answer::Done
            }
            (OneRoomCall::Find | OneRoomCall::FindMany, Some(room)) => Answer::Is(*room),
        }
    }

    fn is_read(call: &OneRoomCall) -> bool {
        matches!(call, OneRoomCall::Find | OneRoomCall::FindMany)
    }
}

impl Subject for OneRoom {
    type Key = RoomId;

    async fn make(stage: &Stage) -> (RoomId, Self) {
        (stage.room().await, Self(Some((0, 1))))
    }

    fn draw(_: &RoomId, random: &Random, fresh: u32) -> OneRoomCall {
        match random.below(100) {
            0..3 => OneRoomCall::Delete,
            3..40 => OneRoomCall::Rename(fresh),
            40..55 => OneRoomCall::FindMany,
            _ => OneRoomCall::Find,
        }
    }

    async fn run(r: &Repositories, id: &RoomId, call: OneRoomCall) -> Result<Self::Answer> {
        let seen = |room: Arc<Room>| (number(room.name.as_str()), room.version);
        match call {
            OneRoomCall::Rename(to) => {
                let change = RoomChange {
                    name: Some(numbered(to)),
                    ..RoomChange::default()
                };
                told(r.rooms.update(*id, change).await.map(seen))
            }
            OneRoomCall::Delete => done(r.rooms.delete(*id).await),
            OneRoomCall::Find => Ok(found(r.rooms.find(*id).await?.map(seen))),
            OneRoomCall::FindMany => Ok(found(r.rooms.find_many(&[*id]).await?.pop().map(seen))),
        }
    }

    fn invalidate(cache: &Cache, id: &RoomId) {
        cache.invalidate_room(*id);
    }
}

/// Who is in a room, as places among [`Stage::walkers`]; none when it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Members(Option<Vec<usize>>);

#[derive(Clone, Debug)]
pub(crate) enum MembersCall {
    Add(usize),
    Remove(usize),
    DeleteRoom,
    List,
}

impl Object for Members {
    type Call = MembersCall;
    type Answer = Answer<Vec<usize>>;

    fn apply(&mut self, call: &MembersCall) -> Self::Answer {
        match (call, &mut self.0) {
            (MembersCall::List, members) => Answer::Is(members.clone().unwrap_or_default()),
            (_, None) => Answer::Gone,
            (MembersCall::Add(who), Some(members)) => {
                if !members.contains(who) {
                    members.push(*who);
                }
                Answer::Done
            }
            (MembersCall::Remove(who), Some(members)) => {
                match members.iter().position(|member| member == who) {
                    Some(at) => {
                        members.remove(at);
                        Answer::Done
                    }
                    None => Answer::Gone,
                }
            }
            (MembersCall::DeleteRoom, Some(_)) => {
                self.0 = None;
                Answer::Done
            }
        }
    }

    fn is_read(call: &MembersCall) -> bool {
        matches!(call, MembersCall::List)
    }
}

impl Subject for Members {
    type Key = (RoomId, Arc<[AgentId]>);

    async fn make(stage: &Stage) -> (Self::Key, Self) {
        (
            (stage.room().await, stage.walkers.clone().into()),
            Self(Some(Vec::new())),
        )
    }

    fn draw((_, walkers): &Self::Key, random: &Random, _: u32) -> MembersCall {
        match random.below(100) {
            0..3 => MembersCall::DeleteRoom,
            3..30 => MembersCall::Add(random.below(walkers.len())),
            30..45 => MembersCall::Remove(random.below(walkers.len())),
            _ => MembersCall::List,
        }
    }

    async fn run(
        r: &Repositories,
        (room, walkers): &Self::Key,
        call: MembersCall,
    ) -> Result<Self::Answer> {
        match call {
            MembersCall::Add(who) => done(r.rooms.add_member(*room, walkers[who]).await),
            MembersCall::Remove(who) => done(r.rooms.remove_member(*room, walkers[who]).await),
            MembersCall::DeleteRoom => done(r.rooms.delete(*room).await),
            MembersCall::List => {
                let place = |agent| {
                    walkers
                        .iter()
                        .position(|walker| *walker == agent)
                        .expect("only walkers join")
                };
                Ok(Answer::Is(
                    r.rooms
                        .members(*room)
                        .await?
                        .iter()
                        .map(|member| place(member.agent))
                        .collect(),
                ))
            }
        }
    }

    fn invalidate(cache: &Cache, (room, _): &Self::Key) {
        cache.invalidate_room(*room);
    }
}

/// The rooms of an owner who deletes none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RoomsOf(BTreeSet<u32>);

#[derive(Clone, Debug)]
pub(crate) enum RoomsOfCall {
    Create(u32),
    List,
}

impl Object for RoomsOf {
    type Call = RoomsOfCall;
    type Answer = Answer<BTreeSet<u32>>;

    fn apply(&mut self, call: &RoomsOfCall) -> Self::Answer {
        match call {
            RoomsOfCall::Create(number) => {
                self.0.insert(*number);
                Answer::Done
            }
            RoomsOfCall::List => Answer::Is(self.0.clone()),
        }
    }

    fn is_read(call: &RoomsOfCall) -> bool {
        matches!(call, RoomsOfCall::List)
    }
}

impl Subject for RoomsOf {
    type Key = UserId;

    async fn make(_: &Stage) -> (UserId, Self) {
        (Stage::user(), Self(BTreeSet::new()))
    }

    fn draw(_: &UserId, random: &Random, fresh: u32) -> RoomsOfCall {
        if random.percent(30) {
            RoomsOfCall::Create(fresh)
        } else {
            RoomsOfCall::List
        }
    }

    async fn run(r: &Repositories, owner: &UserId, call: RoomsOfCall) -> Result<Self::Answer> {
        match call {
            RoomsOfCall::Create(number) => {
                let new = NewRoom {
                    owner: owner.clone(),
                    name: numbered(number),
                    max_interactions: None,
                };
                done(r.rooms.create(new).await)
            }
            RoomsOfCall::List => {
                let rooms = r.rooms.list_by_owner(owner).await?;
                Ok(Answer::Is(
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

/// How far a user has read a room: the last place in its log, and the place and version of the mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Position(Option<(i64, Option<(i64, u64)>)>);

#[derive(Clone, Debug)]
pub(crate) enum PositionCall {
    Say(u32),
    Mark,
    DeleteRoom,
    Find,
    FindMany,
}

impl Object for Position {
    type Call = PositionCall;
    type Answer = Answer<(i64, u64)>;

    fn apply(&mut self, call: &PositionCall) -> Self::Answer {
        match (call, &mut self.0) {
            (_, None) => Answer::Gone,
            (PositionCall::Say(_), Some((last, _))) => {
                *last += 1;
                Answer::Done
            }
            (PositionCall::Mark, Some((last, position))) => {
                let marked = (*last, position.map_or(1, |(_, version)| version + 1));
                *position = Some(marked);
                Answer::Is(marked)
            }
            (PositionCall::DeleteRoom, Some(_)) => {
                self.0 = None;
                Answer::Done
            }
            (PositionCall::Find | PositionCall::FindMany, Some((_, position))) => found(*position),
        }
    }

    fn is_read(call: &PositionCall) -> bool {
        matches!(call, PositionCall::Find | PositionCall::FindMany)
    }
}

impl Subject for Position {
    type Key = (UserId, RoomId);

    async fn make(stage: &Stage) -> (Self::Key, Self) {
        ((Stage::user(), stage.room().await), Self(Some((0, None))))
    }

    fn draw(_: &Self::Key, random: &Random, fresh: u32) -> PositionCall {
        match random.below(100) {
            0..3 => PositionCall::DeleteRoom,
            3..20 => PositionCall::Say(fresh),
            20..45 => PositionCall::Mark,
            45..60 => PositionCall::FindMany,
            _ => PositionCall::Find,
        }
    }

    async fn run(
        r: &Repositories,
        (user, room): &Self::Key,
        call: PositionCall,
    ) -> Result<Self::Answer> {
        let seen = |position: Arc<ReadPosition>| (position.read_seq.0, position.version);
        match call {
            PositionCall::Say(number) => done(
                r.messages
                    .append(NewMessage::from_user(*room, number.to_string()))
                    .await,
            ),
            PositionCall::Mark => told(r.read_positions.mark(user.clone(), *room).await.map(seen)),
            PositionCall::DeleteRoom => done(r.rooms.delete(*room).await),
            PositionCall::Find => Ok(found(r.read_positions.find(user, *room).await?.map(seen))),
            PositionCall::FindMany => Ok(found(
                r.read_positions
                    .find_many(user, &[*room])
                    .await?
                    .pop()
                    .map(seen),
            )),
        }
    }

    fn invalidate(cache: &Cache, (_, room): &Self::Key) {
        cache.invalidate_room(*room);
    }
}
