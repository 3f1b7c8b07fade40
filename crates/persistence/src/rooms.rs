//! The implementation of the port `Rooms` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Activity, Added, AgentId, Error, Member, NewMessage, NewRoom, Result, Room, RoomChange, RoomId,
    RoomName, Rooms, Seq, UserId,
};
use sea_orm::{QueryResult, Value};

use crate::{
    members::{self, lock_living_agent, to_member},
    messages::append,
    sql::{
        connection::Tx,
        error::DbError,
        rows::{Row, now, readable},
    },
    store::SqlStore,
};

const COLUMNS: &str = "id, owner, name, direct_agent_id, max_interactions, is_paused, \
                       finished_seq, last_error, created_at, version";
const ACTIVITY_COLUMNS: &str = "id, last_seq, last_message_seq, last_user_seq, last_activity_at";

fn to_room(row: &QueryResult) -> Result<Arc<Room>> {
    let row = Row::new("rooms", "id", row);
    Ok(Arc::new(Room {
        id: RoomId(row.get("id")?),
        owner: row.parse("owner", UserId::parse)?,
        name: row.parse("name", RoomName::parse)?,
        direct_agent: row.get::<Option<i64>>("direct_agent_id")?.map(AgentId),
        max_interactions: row.unsigned_opt("max_interactions")?,
        is_paused: row.get("is_paused")?,
        finished_seq: row.get::<Option<i64>>("finished_seq")?.map(Seq),
        last_error: row.get("last_error")?,
        created_at: row.time("created_at")?,
        version: row.unsigned("version")?,
    }))
}

fn to_activity(row: &QueryResult) -> Result<(RoomId, Arc<Activity>)> {
    let row = Row::new("rooms", "id", row);
    let activity = Activity {
        last_seq: Seq(row.get("last_seq")?),
        last_message_seq: Seq(row.get("last_message_seq")?),
        last_user_seq: Seq(row.get("last_user_seq")?),
        last_activity_at: row.time_opt("last_activity_at")?,
    };
    Ok((RoomId(row.get("id")?), Arc::new(activity)))
}

fn name_taken(error: DbError, name: &RoomName) -> Error {
    error.taken(|| format!("the owner already has a room named {name}: choose another name"))
}

/// Locks a room's row until the transaction ends. Does nothing if the room does not exist.
///
/// On SQLite, nothing needs to be locked: a write transaction excludes all others.
///
/// Appending a message locks the same row. A transaction that locks a room and an agent must lock
/// the room first: two transactions that lock in opposite orders deadlock on PostgreSQL.
pub(crate) async fn lock_room(tx: &Tx<'_>, room: RoomId) -> Result<()> {
    if tx.is_postgres() {
        let sql = format!("SELECT id FROM rooms WHERE id = $1{}", tx.row_lock());
        tx.one(&sql, [room.0.into()]).await?;
    }
    Ok(())
}

/// Locks a room's row as [`lock_room`] does, and returns the activity stored in the row. Fails with
/// `Missing` if the room does not exist.
async fn lock_activity(tx: &Tx<'_>, room: RoomId) -> Result<Arc<Activity>> {
    let sql = format!(
        "SELECT {ACTIVITY_COLUMNS} FROM rooms WHERE id = $1 AND deleted_at IS NULL{}",
        tx.row_lock()
    );
    let row = tx.one(&sql, [room.0.into()]).await?;
    let (_, activity) = to_activity(&row.ok_or_else(|| Error::missing("room", room))?)?;
    Ok(activity)
}

async fn insert(tx: &Tx<'_>, new: &NewRoom) -> Result<Arc<Room>> {
    let sql = format!(
        "INSERT INTO rooms (owner, name, max_interactions, created_at) VALUES ($1, $2, $3, $4) \
         RETURNING {COLUMNS}"
    );
    let values = [
        new.owner.as_str().into(),
        new.name.as_str().into(),
        new.max_interactions.map(i64::from).into(),
        now().into(),
    ];
    let row = tx.try_one(&sql, values).await;
    let row = row.map_err(|error| name_taken(error, &new.name))?;
    to_room(&row.ok_or_else(|| Error::unavailable("INSERT INTO rooms returned no row"))?)
}

async fn find_or_insert_direct(tx: &Tx<'_>, owner: &UserId, agent: AgentId) -> Result<Arc<Room>> {
    let agent_name = lock_living_agent(tx, agent).await?;
    let name = RoomName::parse(&format!("Direct: {agent_name}"))?;
    let insert = format!(
        "INSERT INTO rooms (owner, name, direct_agent_id, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (owner, direct_agent_id) \
         WHERE direct_agent_id IS NOT NULL AND deleted_at IS NULL DO NOTHING RETURNING {COLUMNS}"
    );
    let values = [
        owner.as_str().into(),
        name.as_str().into(),
        agent.0.into(),
        now().into(),
    ];
    if let Some(row) = tx.one(&insert, values).await? {
        let room = to_room(&row)?;
        members::add(tx, room.id, agent, Seq(0)).await?;
        return Ok(room);
    }
    let select = format!(
        "SELECT {COLUMNS} FROM rooms \
         WHERE owner = $1 AND direct_agent_id = $2 AND deleted_at IS NULL"
    );
    let row = tx
        .one(&select, [owner.as_str().into(), agent.0.into()])
        .await?;
    to_room(&row.ok_or_else(|| {
        Error::unavailable("the direct room was deleted while it was looked up: try again")
    })?)
}

async fn update(tx: &Tx<'_>, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
    let sql = format!(
        "UPDATE rooms SET name = COALESCE($2, name), \
         max_interactions = CASE WHEN $3 THEN $4 ELSE max_interactions END, \
         is_paused = COALESCE($5, is_paused), \
         finished_seq = CASE WHEN $6 THEN last_seq WHEN $7 THEN NULL ELSE finished_seq END, \
         last_error = CASE WHEN $8 THEN $9 ELSE last_error END, \
         version = version + 1 WHERE id = $1 AND deleted_at IS NULL RETURNING {COLUMNS}"
    );
    let name = change.name;
    let values: [Value; 9] = [
        id.0.into(),
        name.as_ref().map(|name| name.as_str().to_owned()).into(),
        change.max_interactions.is_some().into(),
        change.max_interactions.flatten().map(i64::from).into(),
        change.is_paused.into(),
        (change.is_finished == Some(true)).into(),
        (change.is_finished == Some(false)).into(),
        change.last_error.is_some().into(),
        change.last_error.flatten().into(),
    ];
    let row = tx
        .try_one(&sql, values)
        .await
        .map_err(|error| match &name {
            Some(name) => name_taken(error, name),
            None => error.into_error(),
        })?;
    to_room(&row.ok_or_else(|| Error::missing("room", id))?)
}

/// Makes a room a tombstone, and deletes what belongs to it except its messages. The purge deletes
/// the messages and then the row.
async fn delete(tx: &Tx<'_>, id: RoomId) -> Result<()> {
    // No read returns a message of the room, because no id is above the mark.
    let sql = "UPDATE rooms SET deleted_at = $2, cleared_seq = last_seq, cleared_id = $3, \
               has_garbage = TRUE WHERE id = $1 AND deleted_at IS NULL";
    let values = [id.0.into(), now().into(), i64::MAX.into()];
    if tx.run(sql, values).await? == 0 {
        return Err(Error::missing("room", id));
    }
    for table in ["members", "read_positions", "answer_counts"] {
        let sql = format!("DELETE FROM {table} WHERE room_id = $1");
        tx.run(&sql, [id.0.into()]).await?;
    }
    Ok(())
}

async fn add_member(tx: &Tx<'_>, room: RoomId, agent: AgentId) -> Result<Added> {
    let activity = lock_activity(tx, room).await?;
    let name = lock_living_agent(tx, agent).await?;
    let joined = members::add(tx, room, agent, activity.last_seq).await?;
    let message = if joined.is_new && activity.last_message_seq > Seq(0) {
        let text = format!("{name} joined the chat");
        Some(append(tx, &NewMessage::from_system(room, text)).await?)
    } else {
        None
    };
    Ok(Added {
        member: joined.member,
        message,
    })
}

impl SqlStore {
    /// Returns the rows of the living rooms for which the SQL `condition` holds, in ascending order
    /// of ids.
    async fn rows_where(
        &self,
        condition: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM rooms WHERE deleted_at IS NULL AND {condition} ORDER BY id"
        );
        self.database.read().all(&sql, values).await
    }

    async fn room_where(
        &self,
        condition: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Arc<Room>>> {
        let rows = self.rows_where(condition, values).await?;
        rows.first().map(to_room).transpose()
    }
}

#[async_trait]
impl Rooms for SqlStore {
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        self.room_where("id = $1", [id.0.into()]).await
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let list = read.id_list(ids.iter().map(|id| id.0));
        let rows = self.rows_where(&read.is_one_of("id", 1), [list]).await?;
        rows.iter().map(to_room).collect()
    }

    async fn list(&self) -> Result<Vec<Arc<Room>>> {
        readable(&self.rows_where("TRUE", []).await?, to_room)
    }

    async fn list_by_owner(&self, owner: &UserId) -> Result<Vec<Arc<Room>>> {
        let rows = self
            .rows_where("owner = $1", [owner.as_str().into()])
            .await?;
        readable(&rows, to_room)
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        let condition = "owner = $1 AND direct_agent_id = $2";
        let values = [owner.as_str().into(), agent.0.into()];
        self.room_where(condition, values).await
    }

    async fn create(&self, new: NewRoom) -> Result<Arc<Room>> {
        self.database
            .write(move |tx| Box::pin(async move { insert(tx, &new).await }))
            .await
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        self.database
            .write(move |tx| {
                Box::pin(async move { find_or_insert_direct(tx, &owner, agent).await })
            })
            .await
    }

    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        self.database
            .write(move |tx| Box::pin(async move { update(tx, id, change).await }))
            .await
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        let _wake = self.purge.wake_on_drop();
        self.database
            .write(move |tx| Box::pin(async move { delete(tx, id).await }))
            .await
    }

    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>> {
        let sql = "SELECT agent_id, joined_after_seq, joined_at FROM members WHERE room_id = $1 \
                   ORDER BY place";
        let rows = self.database.read().all(sql, [room.0.into()]).await?;
        rows.iter().map(to_member).collect()
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        self.database
            .write(move |tx| Box::pin(async move { add_member(tx, room, agent).await }))
            .await
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    // Locks the room, as `add_member` does. Otherwise the membership could change
                    // between two statements of a concurrent `add_member`.
                    lock_room(tx, room).await?;
                    members::remove(tx, room, agent).await
                })
            })
            .await
    }

    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>> {
        let mut found = self.activities(&[room]).await?;
        Ok(found.pop().map(|(_, activity)| activity))
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let sql = format!(
            "SELECT {ACTIVITY_COLUMNS} FROM rooms WHERE deleted_at IS NULL AND {} ORDER BY id",
            read.is_one_of("id", 1)
        );
        let list = read.id_list(rooms.iter().map(|room| room.0));
        let rows = read.all(&sql, [list]).await?;
        rows.iter().map(to_activity).collect()
    }
}
