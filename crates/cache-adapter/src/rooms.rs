//! The cached implementation of the port `Rooms`, for rooms and their members.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::TailRead;
use domain::{
    Activity, Added, AgentId, LIST_LIMIT, Member, NewRoom, Repositories, Result, Room, RoomChange,
    RoomId, Rooms, UserId,
};

use crate::{
    guard::Returned,
    hit_first::hit_first,
    keys::{ListKey, distinct},
    list_parts::{may_be_in_memory, part_of_newest},
    log_copies::ActivityCopy,
    log_reads::saw_end,
    ports::CachedPorts,
    reads::will_return,
    stale::Write,
};

impl CachedPorts {
    /// Returns the rooms of `ids` that exist, in the order of `ids`.
    async fn read_rooms(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        let load = |bare: Repositories, ids: Vec<RoomId>| async move {
            let found = bare.rooms.find_many(&ids).await?;
            Ok(found.into_iter().map(|room| (room.id, room)).collect())
        };
        let found = self.read_many(&self.regions().room_obj, ids, load).await?;
        // Rooms that were deleted after the list was cached have no value here and are left out.
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns a part of a list whose newest ids are `ids`, or `None` if the part may have other
    /// rooms.
    async fn part_of_rooms(
        &self,
        ids: Option<Arc<[RoomId]>>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Room>>>> {
        let ids = ids.unwrap_or_default();
        if !may_be_in_memory(ids.len(), after.as_ref()) {
            return Ok(None);
        }
        let rooms = self.read_rooms(&ids).await?;
        Ok(part_of_newest(
            rooms,
            ids.len(),
            |room| room.id,
            after,
            limit,
        ))
    }

    async fn load_room(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        let load = move |bare: Repositories| async move { bare.rooms.find(id).await };
        self.load(&self.regions().room_obj, id, load).await
    }

    async fn load_members(&self, room: RoomId) -> Result<Arc<[Member]>> {
        // An empty list is cached as an absence, because the room may not exist yet. A direct room
        // has a member from its creation on. Each creation of a room invalidates absences, but not
        // values.
        let load = move |bare: Repositories| async move {
            let members = bare.rooms.members(room).await?;
            Ok(Some(members).filter(|members| !members.is_empty()))
        };
        let found = self.load(&self.regions().room_agents, room, load).await?;
        Ok(found.unwrap_or_default())
    }

    async fn load_activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>> {
        let fill = move |bare: Repositories| async move {
            Ok(bare.rooms.activity(room).await?.map(ActivityCopy::new))
        };
        let found = self
            .fill_log(&self.regions().room_activity, room, fill, shared_activity)
            .await?;
        match found {
            TailRead::Found(found) => Ok(found.value),
            TailRead::Absent(_) => Ok(None),
            TailRead::Elsewhere => {
                let mut found = self.bypass_activities(&[room]).await?;
                Ok(found.pop().map(|(_, activity)| activity))
            }
        }
    }

    /// Reads rooms from the store, and removes older copies from memory.
    async fn bypass_rooms(
        &self,
        read: impl Future<Output = Result<Vec<Arc<Room>>>>,
    ) -> Result<Vec<Arc<Room>>> {
        let rooms = self.bypass(read).await?;
        will_return(&self.regions().room_obj, rooms.iter().map(|room| room.id));
        Ok(rooms)
    }

    /// Reads activities from the store. Afterwards, a cached copy that is older than the returned
    /// activity is not served.
    async fn bypass_activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        let found = self.bypass(self.bare().rooms.activities(rooms)).await?;
        for room in rooms {
            // They are in ascending order of ids.
            let index = found.binary_search_by_key(room, |(id, _)| *id).ok();
            let last = index.map(|index| found[index].1.last_seq);
            saw_end(&self.regions().room_activity, *room, last);
        }
        Ok(found)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a copy of an activity is always complete"
)]
fn shared_activity(copy: &ActivityCopy) -> Option<Arc<Activity>> {
    Some(copy.0.clone())
}

fn ids(rooms: &[Arc<Room>]) -> Arc<[RoomId]> {
    rooms.iter().map(|room| room.id).collect()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Rooms for CachedPorts {
    hit_first! {
        fn find(ports, id: RoomId) -> Result<Option<Arc<Room>>>;
        hit: ports.hit(&ports.regions().room_obj, &id).map(Ok),
        miss: ports.load_room(id),
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        if self.is_bypassing() {
            let rooms = self.bypass(self.bare().rooms.find_many(ids)).await?;
            // Includes ids that were not found.
            will_return(&self.regions().room_obj, ids.iter().copied());
            return Ok(rooms);
        }
        self.read_rooms(&distinct(ids)).await
    }

    async fn list(&self, after: Option<RoomId>, limit: usize) -> Result<Vec<Arc<Room>>> {
        if !self.is_bypassing() {
            let load = |bare: Repositories| async move {
                Ok(Some(ids(&bare.rooms.list(None, LIST_LIMIT).await?)))
            };
            let ids = self.read(&self.regions().room_list, ListKey, load).await?;
            if let Some(part) = self.part_of_rooms(ids, after, limit).await? {
                return Ok(part);
            }
        }
        let rooms = self
            .bypass_rooms(self.bare().rooms.list(after, limit))
            .await?;
        self.regions().room_list.will_return(&ListKey);
        Ok(rooms)
    }

    async fn list_by_owner(
        &self,
        owner: &UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>> {
        if !self.is_bypassing() {
            let loaded_owner = owner.clone();
            let load = move |bare: Repositories| async move {
                let rooms = bare.rooms.list_by_owner(&loaded_owner, None, LIST_LIMIT);
                Ok(Some(ids(&rooms.await?)))
            };
            let region = &self.regions().rooms_of;
            let ids = self.read(region, owner.clone(), load).await?;
            if let Some(part) = self.part_of_rooms(ids, after, limit).await? {
                return Ok(part);
            }
        }
        let rooms = self.bare().rooms.list_by_owner(owner, after, limit);
        let rooms = self.bypass_rooms(rooms).await?;
        self.regions().rooms_of.will_return(owner);
        Ok(rooms)
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        let found = self.bypass(self.bare().rooms.find_direct(owner, agent));
        let found = found.await?;
        let room = found.iter().map(|room| room.id);
        will_return(&self.regions().room_obj, room);
        Ok(found)
    }

    async fn create(&self, new: NewRoom) -> Result<Arc<Room>> {
        let write = Write::CreateRoom(new.owner.clone());
        let run = |bare: Repositories| async move { bare.rooms.create(new).await };
        self.write(write, run).await
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        let write = Write::CreateDirectRoom(owner.clone());
        let run =
            move |bare: Repositories| async move { bare.rooms.create_direct(owner, agent).await };
        let room = self.write(write, run).await?;
        // It may have existed.
        self.regions().room_obj.will_return(&room.id);
        Ok(room)
    }

    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        let run = move |bare: Repositories| async move { bare.rooms.update(id, change).await };
        self.write_returning(Write::UpdateRoom(id), run, |room: &Arc<Room>| Returned {
            room: Some(room.clone()),
            ..Returned::default()
        })
        .await
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        let run = move |bare: Repositories| async move { bare.rooms.delete(id).await };
        self.write(Write::DeleteRoom(id), run).await
    }

    hit_first! {
        fn members(ports, room: RoomId) -> Result<Arc<[Member]>>;
        hit: ports
            .hit(&ports.regions().room_agents, &room)
            .map(|found| Ok(found.unwrap_or_default())),
        miss: ports.load_members(room),
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        let run = move |bare: Repositories| async move { bare.rooms.add_member(room, agent).await };
        self.write_returning(Write::AddMember(room), run, |added: &Added| Returned {
            message: added.message.clone(),
            ..Returned::default()
        })
        .await
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        let run =
            move |bare: Repositories| async move { bare.rooms.remove_member(room, agent).await };
        self.write(Write::RemoveMember(room), run).await
    }

    hit_first! {
        fn activity(ports, room: RoomId) -> Result<Option<Arc<Activity>>>;
        hit: ports
            .log_hit(&ports.regions().room_activity, room, shared_activity)
            .map(Ok),
        miss: ports.load_activity(room),
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        if self.is_bypassing() {
            return self.bypass_activities(rooms).await;
        }
        let rooms = distinct(rooms);
        let fill = |bare: Repositories, rooms: Vec<RoomId>| async move {
            let found = bare.rooms.activities(&rooms).await?;
            let copy = |(room, activity)| {
                let (reached, copy) = ActivityCopy::new(activity);
                (room, reached, copy)
            };
            Ok(found.into_iter().map(copy).collect())
        };
        let reads = self
            .read_logs(&self.regions().room_activity, &rooms, fill, shared_activity)
            .await?;
        let mut found = Vec::with_capacity(rooms.len());
        let mut unserved = Vec::new();
        for (room, read) in rooms.into_iter().zip(reads) {
            match read {
                TailRead::Found(read) => found.extend(read.value.map(|activity| (room, activity))),
                TailRead::Absent(_) => {}
                TailRead::Elsewhere => unserved.push(room),
            }
        }
        if !unserved.is_empty() {
            found.extend(self.bypass_activities(&unserved).await?);
            found.sort_unstable_by_key(|(room, _)| *room);
        }
        Ok(found)
    }
}
