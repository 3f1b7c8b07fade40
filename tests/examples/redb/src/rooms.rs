//! The port `Rooms`.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;
use domain::{
    Activity, Added, AgentId, Error, Member, NewRoom, Result, Room, RoomChange, RoomId, RoomName,
    Rooms, UserId,
};
use redb::WriteTransaction;

use crate::{
    agents::require_living,
    database_file::TxResult,
    json_table::{Tables, first_entries, last_entries, remove_entry, remove_span, set_entry},
    members,
    store::RedbStore,
    tables::{
        ACTIVITIES, COUNTERS, DIRECT_ROOMS, OWNER_ROOMS, READ_POSITIONS, ROOM_NAMES, ROOMS,
        all_ids, ids_above, increment, number, owned, remove_log, users_in,
    },
};

#[async_trait]
impl Rooms for RedbStore {
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        self.read(move |tx| Ok(ROOMS.get(tx, id.0)?.map(Arc::new)))
            .await
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        let ids: BTreeSet<i64> = ids.iter().map(|id| id.0).collect();
        self.read(move |tx| rooms_with(tx, ids)).await
    }

    async fn list(&self, after: Option<RoomId>, limit: usize) -> Result<Vec<Arc<Room>>> {
        self.read(move |tx| {
            let rooms = match after {
                Some(after) => ROOMS.first(tx, ids_above(after.0), limit),
                None => ROOMS.last(tx, all_ids(), limit),
            };
            Ok(rooms?.into_iter().map(Arc::new).collect())
        })
        .await
    }

    async fn list_by_owner(
        &self,
        owner: &UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>> {
        let owner = owner.clone();
        self.read(move |tx| {
            let id = |(_, id): (&str, i64), ()| Ok(id);
            let ids = match after {
                Some(after) => first_entries(tx, OWNER_ROOMS, owned(&owner, after), limit, id),
                None => last_entries(tx, OWNER_ROOMS, owned(&owner, RoomId(0)), limit, id),
            };
            rooms_with(tx, ids?)
        })
        .await
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        let owner = owner.clone();
        self.read(move |tx| Ok(find_direct(tx, &owner, agent)?.map(Arc::new)))
            .await
    }

    async fn create(&self, new: NewRoom) -> Result<Arc<Room>> {
        self.write(move |tx| {
            require_free_name(tx, &new.owner, &new.name, None)?;
            insert(tx, new, None).map(Arc::new)
        })
        .await
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        self.write(move |tx| {
            let name = require_living(tx, agent)?.name;
            if let Some(room) = find_direct(tx, &owner, agent)? {
                return Ok(Arc::new(room));
            }
            let new = NewRoom {
                owner,
                name: RoomName::parse(&format!("Direct: {name}"))?,
                max_interactions: None,
            };
            let room = insert(tx, new, Some(agent))?;
            members::add(tx, room.id, agent)?;
            Ok(Arc::new(room))
        })
        .await
    }

    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        self.write(move |tx| update(tx, id, change).map(Arc::new))
            .await
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        self.write(move |tx| delete(tx, id)).await
    }

    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>> {
        self.read(move |tx| Ok(members::list(tx, room)?.into()))
            .await
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        self.write(move |tx| members::add(tx, room, agent)).await
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        self.write(move |tx| members::remove(tx, room, agent)).await
    }

    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>> {
        self.read(move |tx| Ok(ACTIVITIES.get(tx, room.0)?.map(Arc::new)))
            .await
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        let rooms: BTreeSet<i64> = rooms.iter().map(|room| room.0).collect();
        self.read(move |tx| {
            let found = ACTIVITIES.get_many(tx, rooms)?.into_iter();
            Ok(found
                .map(|(room, activity)| (RoomId(room), Arc::new(activity)))
                .collect())
        })
        .await
    }
}

/// Returns the activity of a room. Fails with `Missing` for an unknown room.
pub(crate) fn require_activity(tables: &impl Tables, room: RoomId) -> TxResult<Activity> {
    let activity = ACTIVITIES.get(tables, room.0)?;
    Ok(activity.ok_or_else(|| Error::missing("room", room))?)
}

fn require_room(tables: &impl Tables, id: RoomId) -> TxResult<Room> {
    let room = ROOMS.get(tables, id.0)?;
    Ok(room.ok_or_else(|| Error::missing("room", id))?)
}

fn rooms_with(
    tables: &impl Tables,
    ids: impl IntoIterator<Item = i64>,
) -> TxResult<Vec<Arc<Room>>> {
    let found = ROOMS.get_many(tables, ids)?.into_iter();
    Ok(found.map(|(_, room)| Arc::new(room)).collect())
}

fn find_direct(tables: &impl Tables, owner: &UserId, agent: AgentId) -> TxResult<Option<Room>> {
    let Some(id) = number(tables, DIRECT_ROOMS, (owner.as_str(), agent.0))? else {
        return Ok(None);
    };
    ROOMS.get(tables, id)
}

/// Fails with `Conflict` if a room of this owner other than `except` has the name. Direct rooms are
/// not in the index of names.
fn require_free_name(
    tables: &impl Tables,
    owner: &UserId,
    name: &RoomName,
    except: Option<RoomId>,
) -> TxResult<()> {
    let holder = number(tables, ROOM_NAMES, (owner.as_str(), name.as_str()))?.map(RoomId);
    if holder.is_some() && holder != except {
        return Err(Error::Conflict(format!(
            "the owner already has a room named {name}: choose another name"
        ))
        .into());
    }
    Ok(())
}

fn insert(tx: &WriteTransaction, new: NewRoom, direct_agent: Option<AgentId>) -> TxResult<Room> {
    let room = Room {
        id: RoomId(increment(tx, COUNTERS, "rooms")?),
        owner: new.owner,
        name: new.name,
        direct_agent,
        max_interactions: new.max_interactions,
        is_paused: false,
        finished_seq: None,
        last_error: None,
        created_at: Utc::now(),
        version: 1,
    };
    let (owner, id) = (room.owner.as_str(), room.id.0);
    ROOMS.insert(tx, id, &room)?;
    ACTIVITIES.insert(tx, id, &Activity::default())?;
    set_entry(tx, OWNER_ROOMS, (owner, id), ())?;
    match direct_agent {
        Some(agent) => set_entry(tx, DIRECT_ROOMS, (owner, agent.0), id)?,
        None => set_entry(tx, ROOM_NAMES, (owner, room.name.as_str()), id)?,
    }
    Ok(room)
}

fn update(tx: &WriteTransaction, id: RoomId, change: RoomChange) -> TxResult<Room> {
    let mut room = require_room(tx, id)?;
    if let Some(name) = change.name {
        if room.direct_agent.is_none() {
            require_free_name(tx, &room.owner, &name, Some(id))?;
            let owner = room.owner.as_str();
            remove_entry(tx, ROOM_NAMES, (owner, room.name.as_str()))?;
            set_entry(tx, ROOM_NAMES, (owner, name.as_str()), id.0)?;
        }
        room.name = name;
    }
    if let Some(limit) = change.max_interactions {
        room.max_interactions = limit;
    }
    if let Some(is_paused) = change.is_paused {
        room.is_paused = is_paused;
    }
    if let Some(is_finished) = change.is_finished {
        let last_seq = require_activity(tx, id)?.last_seq;
        room.finished_seq = is_finished.then_some(last_seq);
    }
    if let Some(last_error) = change.last_error {
        room.last_error = last_error;
    }
    room.version += 1;
    ROOMS.insert(tx, id.0, &room)?;
    Ok(room)
}

fn delete(tx: &WriteTransaction, id: RoomId) -> TxResult<()> {
    let room = require_room(tx, id)?;
    let owner = room.owner.as_str();
    ROOMS.remove(tx, id.0)?;
    ACTIVITIES.remove(tx, id.0)?;
    remove_entry(tx, OWNER_ROOMS, (owner, id.0))?;
    match room.direct_agent {
        Some(agent) => remove_entry(tx, DIRECT_ROOMS, (owner, agent.0))?,
        None => remove_entry(tx, ROOM_NAMES, (owner, room.name.as_str()))?,
    }
    members::remove_all(tx, id)?;
    remove_span(tx, READ_POSITIONS.definition, users_in(id))?;
    remove_log(tx, id)?;
    Ok(())
}
