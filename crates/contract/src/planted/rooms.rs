//! Faults of rooms and their members.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;

use super::{Planted, PlantedFault, hide_refusal};
use crate::pause::pause;
use domain::{
    Activity, Added, AgentId, Error, Member, NewMessage, NewRoom, Result, Room, RoomChange, RoomId,
    RoomName, Rooms, UserId,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Rooms for Planted {
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        let found = Rooms::find(&*self.memory, id).await?;
        Ok(match self.fault {
            PlantedFault::FindRoomServesItsFirstResult => self.remembered.rooms.first(id, found),
            PlantedFault::FindRoomHidesDirectRooms => {
                found.filter(|room| room.direct_agent.is_none())
            }
            _ => found,
        })
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        self.limit_ids(ids, PlantedFault::LongListsOfRoomsAreRefused)?;
        let found = Rooms::find_many(&*self.memory, ids).await?;
        Ok(self.break_order(
            ids,
            found,
            |room| room.id,
            PlantedFault::RoomsKeepTheOrderOfIds,
            Some(PlantedFault::RoomsAreRepeated),
        ))
    }

    async fn list(&self, after: Option<RoomId>, limit: usize) -> Result<Vec<Arc<Room>>> {
        let (after, limit) = match self.fault {
            PlantedFault::ListIgnoresTheLastRoom => (None, limit),
            PlantedFault::ListReturnsTheOldestRooms => (after.or(Some(RoomId(0))), limit),
            PlantedFault::ListIgnoresTheLimitOfRooms => (after, usize::MAX),
            _ => (after, limit),
        };
        let mut list = Rooms::list(&*self.memory, after, limit).await?;
        match self.fault {
            PlantedFault::ListHidesDirectRooms => list.retain(|room| room.direct_agent.is_none()),
            PlantedFault::ListSortsRoomsByName => {
                list.sort_by(|one, next| one.name.cmp(&next.name));
            }
            _ => {}
        }
        Ok(list)
    }

    async fn list_by_owner(
        &self,
        owner: &UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>> {
        let (after, limit) = match self.fault {
            PlantedFault::ListByOwnerIgnoresTheLastRoom => (None, limit),
            PlantedFault::ListByOwnerReturnsTheOldest => (after.or(Some(RoomId(0))), limit),
            PlantedFault::ListByOwnerIgnoresTheLimit => (after, usize::MAX),
            _ => (after, limit),
        };
        let mut list = self.memory.list_by_owner(owner, after, limit).await?;
        match self.fault {
            PlantedFault::ListByOwnerShowsOthersRooms => {
                list = Rooms::list(&*self.memory, after, limit).await?;
            }
            PlantedFault::ListByOwnerIsNewestFirst => list.reverse(),
            _ => {}
        }
        Ok(list)
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        let found = self.memory.find_direct(owner, agent).await?;
        let tables = self.tables();
        let mut rooms = tables.rooms.values().map(|row| &row.room);
        Ok(match self.fault {
            PlantedFault::FindDirectIgnoresTheOwner => {
                rooms.find(|room| room.direct_agent == Some(agent)).cloned()
            }
            PlantedFault::FindDirectIgnoresTheAgent => rooms
                .find(|room| room.owner == *owner && room.direct_agent.is_some())
                .cloned(),
            PlantedFault::FindDirectGoesByName => {
                found.filter(|room| room.name.as_str().starts_with("Direct: "))
            }
            _ => found,
        })
    }

    async fn create(&self, mut new: NewRoom) -> Result<Arc<Room>> {
        let (owner, name) = (new.owner.clone(), new.name.clone());
        let find_named = |owns: &dyn Fn(&UserId) -> bool| {
            let tables = self.tables();
            let mut rooms = tables.rooms.values().map(|row| &row.room);
            rooms
                .find(|room| room.name == name && owns(&room.owner) && room.direct_agent.is_none())
                .cloned()
        };
        if self.is(PlantedFault::CreateSharesRoomsBetweenOwners)
            && let Some(room) = find_named(&|other| *other != owner)
        {
            return Ok(room);
        }
        if self.is(PlantedFault::CreateForgetsTheLimit) {
            new.max_interactions = None;
        }
        if self.is(PlantedFault::CreateRoomIsNotAtomic) {
            self.tables().ensure_room_name_free(&owner, &name, None)?;
            pause().await;
            return Ok(self.tables().insert_room(new, None));
        }
        let created = Rooms::create(&*self.memory, new).await;
        hide_refusal(
            created,
            self.is(PlantedFault::CreateAcceptsATakenRoomName),
            || find_named(&|other| *other == owner),
        )
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        let old = self.tables().direct_room(&owner, agent);
        let created = match self.fault {
            PlantedFault::CreateDirectIsNotAtomic if old.is_none() => {
                pause().await;
                self.insert_direct_room(owner, agent)
            }
            PlantedFault::CreateDirectGoesByName
                if old
                    .as_ref()
                    .is_some_and(|room| !room.name.as_str().starts_with("Direct: ")) =>
            {
                self.insert_direct_room(owner, agent)
            }
            PlantedFault::CreateDirectAcceptsDeleted => {
                let created = self.memory.create_direct(owner.clone(), agent).await;
                let is_known = self.tables().agents.contains_key(&agent);
                hide_refusal(created, is_known, || {
                    old.or_else(|| self.insert_direct_room(owner, agent).ok())
                })
            }
            _ => self.memory.create_direct(owner, agent).await,
        }?;
        if self.is(PlantedFault::CreateDirectOmitsTheAgent) {
            self.tables().room_mut(created.id)?.members.clear();
        }
        Ok(created)
    }

    async fn update(&self, id: RoomId, mut change: RoomChange) -> Result<Arc<Room>> {
        let before = self.tables().rooms.get(&id).cloned();
        match self.fault {
            PlantedFault::UpdateOfARoomLosesTheRest => {
                change.is_paused = change.is_paused.or(Some(false));
            }
            PlantedFault::UpdateOfARoomIsNotAtomic => {
                pause().await;
                if let (Some(before), Ok(row)) = (&before, self.tables().room_mut(id)) {
                    row.room = before.room.clone();
                }
            }
            _ => {}
        }
        let nameless = RoomChange {
            name: None,
            ..change.clone()
        };
        let updated = Rooms::update(&*self.memory, id, change.clone()).await;
        let mut tables = self.tables();
        let (Ok(room), Some(before)) = (&updated, before) else {
            return match (&updated, self.fault) {
                (Err(Error::Conflict(_)), PlantedFault::UpdateOfARoomIsHalfDoneOnConflict) => {
                    tables.update_room(id, nameless).and(updated)
                }
                (Err(Error::Conflict(_)), PlantedFault::UpdateOfARoomSkipsATakenName) => {
                    tables.update_room(id, nameless)
                }
                _ => updated,
            };
        };
        let mut room = room.clone();
        match self.fault {
            PlantedFault::UpdateOfARoomKeepsTheVersion => {
                Arc::make_mut(&mut room).version = before.room.version;
            }
            PlantedFault::UpdateFinishesAtTheLastUser if change.is_finished == Some(true) => {
                Arc::make_mut(&mut room).finished_seq = Some(before.activity.last_user_seq);
            }
            _ => {}
        }
        tables.room_mut(id)?.room = room.clone();
        Ok(room)
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        let row = self.tables().rooms.get(&id).cloned();
        let deleted = Rooms::delete(&*self.memory, id).await;
        let was_there = self.remembered.deleted_rooms.get(&id).is_some();
        hide_refusal(
            deleted,
            self.is(PlantedFault::DeleteOfARoomSucceedsTwice),
            || was_there.then_some(()),
        )?;
        if let Some(row) = row {
            self.remembered.deleted_rooms.first(id, row);
        }
        let mut tables = self.tables();
        if self.is(PlantedFault::DeleteFreesTheRoomsId) && tables.last_room == id.0 {
            tables.last_room -= 1;
        }
        Ok(())
    }

    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>> {
        if let Some(row) = self.deleted_room(PlantedFault::DeleteLeavesMembers, room) {
            return Ok(row.members.into());
        }
        let mut members = self.memory.members(room).await?.to_vec();
        match self.fault {
            PlantedFault::MembersAreSortedByAgent => members.sort_by_key(|member| member.agent),
            PlantedFault::MembersHideDeleted => {
                members.retain(|member| self.tables().living(member.agent).is_ok());
            }
            PlantedFault::MembersServeTheirFirstResult => {
                return Ok(self.remembered.members.first(room, members.into()));
            }
            _ => {}
        }
        Ok(members.into())
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        if self.is(PlantedFault::AddMemberIsNotAtomic) {
            return self.add_member_in_two_steps(room, agent).await;
        }
        let before = self.tables().rooms.get(&room).cloned();
        let is_new = before
            .as_ref()
            .is_some_and(|row| row.members.iter().all(|member| member.agent != agent));
        let added = self.memory.add_member(room, agent).await;
        let mut tables = self.tables();
        if self.is(PlantedFault::AddMemberAcceptsDeleted)
            && let (Err(Error::Missing { .. }), true, true) =
                (&added, is_new, tables.agents.contains_key(&agent))
        {
            let row = tables.room_mut(room)?;
            row.members.push(Member {
                agent,
                joined_after_seq: row.activity.last_seq,
                joined_at: Utc::now(),
            });
        }
        let (mut added, row) = (added?, tables.room_mut(room)?);
        let announcement = NewMessage::from_system(room, "an agent joined the chat");
        match self.fault {
            PlantedFault::AddMemberIsNotAnnounced if added.message.is_some() => {
                row.messages.pop();
                row.activity = before.map(|row| row.activity).unwrap_or_default();
                added.message = None;
            }
            PlantedFault::AddMemberIsAnnouncedTwice if !is_new => {
                added.message = Some(tables.append(announcement)?);
            }
            PlantedFault::AddMemberIsAnnouncedInEmptyRooms if row.messages.is_empty() => {
                added.message = Some(tables.append(announcement)?);
            }
            PlantedFault::AddMemberHidesItsAnnouncement if is_new => {
                added.member.joined_after_seq = row.activity.last_seq;
                row.members.pop();
                row.members.push(added.member.clone());
            }
            _ => {}
        }
        Ok(added)
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        let is_deleted = self
            .tables()
            .agents
            .get(&agent)
            .is_some_and(|row| !row.agent.is_living());
        if self.is(PlantedFault::RemoveMemberKeepsDeleted) && is_deleted {
            return Ok(());
        }
        let removed = self.memory.remove_member(room, agent).await;
        let is_room = self.tables().rooms.contains_key(&room);
        hide_refusal(
            removed,
            self.is(PlantedFault::RemoveMemberSucceedsForNonMembers),
            || is_room.then_some(()),
        )?;
        if self.is(PlantedFault::RemoveMemberEmptiesTheRoom) {
            self.tables().room_mut(room)?.members.clear();
        }
        Ok(())
    }

    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>> {
        let activity = self.memory.activity(room).await?;
        Ok(match self.fault {
            PlantedFault::ActivityServesItsFirstResult => {
                self.remembered.activities.first(room, activity)
            }
            PlantedFault::ActivityCountsAllAsUsers => activity.map(|now| {
                Arc::new(Activity {
                    last_user_seq: now.last_user_seq.max(now.last_message_seq),
                    ..(*now).clone()
                })
            }),
            _ => activity,
        })
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        let mut found = self.memory.activities(rooms).await?;
        if self.is(PlantedFault::ActivitiesOfUnknownRooms) {
            let unknown = rooms
                .iter()
                .filter(|room| self.tables().room(**room).is_err());
            found.extend(unknown.map(|room| (*room, Arc::default())));
        }
        Ok(self.break_order(
            rooms,
            found,
            |(room, _)| *room,
            PlantedFault::ActivitiesKeepTheOrderOfIds,
            None,
        ))
    }
}

impl Planted {
    fn insert_direct_room(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        let mut tables = self.tables();
        let name = tables
            .agents
            .get(&agent)
            .map(|row| row.agent.name.clone())
            .ok_or_else(|| Error::missing("agent", agent))?;
        let new = NewRoom {
            owner,
            name: RoomName::parse(&format!("Direct: {name}"))?,
            max_interactions: None,
        };
        let room = tables.insert_room(new, Some(agent));
        tables.room_mut(room.id)?.members.push(Member {
            agent,
            joined_after_seq: domain::Seq(0),
            joined_at: Utc::now(),
        });
        Ok(room)
    }

    async fn add_member_in_two_steps(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        let (name, member) = {
            let mut tables = self.tables();
            let name = tables.living(agent)?.agent.name.clone();
            let row = tables.room_mut(room)?;
            if let Some(member) = row.members.iter().find(|member| member.agent == agent) {
                return Ok(Added {
                    member: member.clone(),
                    message: None,
                });
            }
            let member = Member {
                agent,
                joined_after_seq: row.activity.last_seq,
                joined_at: Utc::now(),
            };
            row.members.push(member.clone());
            (name, member)
        };
        pause().await;
        let mut tables = self.tables();
        let has_messages = !tables.room(room)?.messages.is_empty();
        let announcement =
            has_messages.then(|| NewMessage::from_system(room, format!("{name} joined the chat")));
        Ok(Added {
            member,
            message: announcement
                .map(|announcement| tables.append(announcement))
                .transpose()?,
        })
    }
}
