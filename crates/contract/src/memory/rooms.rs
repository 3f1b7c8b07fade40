//! Rooms and their members in the in-memory backend.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;

use super::{Memory, RoomRow, Tables, each_once, part};
use domain::{
    Activity, Added, AgentId, Change, Error, Member, NewMessage, NewRoom, Result, Room, RoomChange,
    RoomId, RoomName, Rooms, UserId,
};

#[async_trait]
impl Rooms for Memory {
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        Ok(self.tables().rooms.get(&id).map(|row| row.room.clone()))
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        Ok(each_once(&self.tables().rooms, ids)
            .map(|(_, row)| row.room.clone())
            .collect())
    }

    async fn list(&self, after: Option<RoomId>, limit: usize) -> Result<Vec<Arc<Room>>> {
        let tables = self.tables();
        let rooms = tables.rooms.values().map(|row| row.room.clone());
        Ok(part(rooms, |room| room.id, after, limit))
    }

    async fn list_by_owner(
        &self,
        owner: &UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>> {
        let tables = self.tables();
        let rooms = tables.rooms.values().map(|row| &row.room);
        let own = rooms.filter(|room| room.owner == *owner).cloned();
        Ok(part(own, |room| room.id, after, limit))
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        Ok(self.tables().direct_room(owner, agent))
    }

    async fn create(&self, new: NewRoom) -> Result<Arc<Room>> {
        let mut tables = self.tables();
        tables.ensure_room_name_free(&new.owner, &new.name, None)?;
        Ok(tables.insert_room(new, None))
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        let mut tables = self.tables();
        let name = RoomName::parse(&format!("Direct: {}", tables.living(agent)?.agent.name))?;
        if let Some(room) = tables.direct_room(&owner, agent) {
            return Ok(room);
        }
        let room = tables.insert_room(
            NewRoom {
                owner,
                name,
                max_interactions: None,
            },
            Some(agent),
        );
        tables.add_member(room.id, agent)?;
        Ok(room)
    }

    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        self.tables().update_room(id, change)
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        let mut tables = self.tables();
        let removed = tables.rooms.remove(&id);
        removed.ok_or_else(|| Error::missing("room", id))?;
        tables.log.add(Change::RoomDeleted(id));
        Ok(())
    }

    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>> {
        Ok(self
            .tables()
            .rooms
            .get(&room)
            .map(|row| row.members.clone())
            .unwrap_or_default()
            .into())
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        self.tables().add_member(room, agent)
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let index = row
            .members
            .iter()
            .position(|member| member.agent == agent)
            .ok_or_else(|| Error::missing("member", agent))?;
        row.members.remove(index);
        row.sessions.remove(&agent);
        tables.log.add(Change::MembersChanged(room));
        tables.log.add(Change::SessionsChanged(room));
        Ok(())
    }

    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>> {
        Ok(self
            .tables()
            .rooms
            .get(&room)
            .map(|row| row.activity.clone()))
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        Ok(each_once(&self.tables().rooms, rooms)
            .map(|(id, row)| (id, row.activity.clone()))
            .collect())
    }
}

impl Tables {
    pub(crate) fn direct_room(&self, owner: &UserId, agent: AgentId) -> Option<Arc<Room>> {
        self.rooms
            .values()
            .map(|row| &row.room)
            .find(|room| room.owner == *owner && room.direct_agent == Some(agent))
            .cloned()
    }

    pub(crate) fn insert_room(&mut self, new: NewRoom, direct_agent: Option<AgentId>) -> Arc<Room> {
        self.last_room += 1;
        let room = Arc::new(Room {
            id: RoomId(self.last_room),
            owner: new.owner,
            name: new.name,
            direct_agent,
            max_interactions: new.max_interactions,
            is_paused: false,
            finished_seq: None,
            last_error: None,
            created_at: Utc::now(),
            version: 1,
        });
        let row = RoomRow {
            room: room.clone(),
            activity: Arc::default(),
            members: Vec::new(),
            messages: Vec::new(),
            images: BTreeMap::new(),
            removals: Vec::new(),
            reads: BTreeMap::new(),
            sessions: BTreeMap::new(),
        };
        self.rooms.insert(room.id, row);
        self.log.add(Change::RoomCreated(room.owner.clone()));
        room
    }

    pub(crate) fn update_room(&mut self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        let old = self.room(id)?.room.clone();
        if let Some(name) = change.name.as_ref().filter(|_| old.direct_agent.is_none()) {
            self.ensure_room_name_free(&old.owner, name, Some(id))?;
        }
        let row = self.room_mut(id)?;
        let last_seq = row.activity.last_seq;
        let room = Arc::make_mut(&mut row.room);
        room.name = change.name.unwrap_or_else(|| room.name.clone());
        room.max_interactions = change.max_interactions.unwrap_or(room.max_interactions);
        room.is_paused = change.is_paused.unwrap_or(room.is_paused);
        room.finished_seq = change
            .is_finished
            .map_or(room.finished_seq, |finished| finished.then_some(last_seq));
        room.last_error = change.last_error.unwrap_or_else(|| room.last_error.clone());
        room.version += 1;
        let room = row.room.clone();
        self.log.add(Change::RoomChanged(id));
        Ok(room)
    }

    pub(crate) fn add_member(&mut self, room: RoomId, agent: AgentId) -> Result<Added> {
        let name = self.living(agent)?.agent.name.clone();
        let row = self.room_mut(room)?;
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
        let has_messages = !row.messages.is_empty();
        self.log.add(Change::MembersChanged(room));
        let announcement =
            has_messages.then(|| NewMessage::from_system(room, format!("{name} joined the chat")));
        let message = announcement.map(|new| self.append(new)).transpose()?;
        Ok(Added { member, message })
    }

    pub(crate) fn ensure_room_name_free(
        &self,
        owner: &UserId,
        name: &RoomName,
        except: Option<RoomId>,
    ) -> Result<()> {
        let is_taken_by = |room: &Room| {
            room.owner == *owner
                && room.name == *name
                && room.direct_agent.is_none()
                && Some(room.id) != except
        };
        if self.rooms.values().any(|row| is_taken_by(&row.room)) {
            return Err(Error::Conflict(format!("room {name} already exists")));
        }
        Ok(())
    }
}
