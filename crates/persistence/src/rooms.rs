//! Rooms and membership in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Activity, Added, AgentId, AgentName, Error, Member, NewMessage, NewRoom, Result, Room,
    RoomChange, RoomId, RoomName, Rooms, Seq, UserId,
};
use sea_orm::{QueryResult, Value};

use crate::{
    db::{Tx, places},
    messages::append,
    rows::{Row, now},
    sql::SqlStore,
};

const COLUMNS: &str = "id, owner, name, direct_agent_id, max_interactions, is_paused, finished_seq, last_error, created_at, version";
const ACTIVITY: &str = "id, last_seq, last_message_seq, last_user_seq, last_activity_at";

fn room(row: &QueryResult) -> Result<Arc<Room>> {
    let row = Row::new("rooms", "id", row);
    let max = row.get::<Option<i64>>("max_interactions")?;
    Ok(Arc::new(Room {
        id: RoomId(row.get("id")?),
        owner: row.parse("owner", UserId::parse)?,
        name: row.parse("name", RoomName::parse)?,
        direct_agent: row.get::<Option<i64>>("direct_agent_id")?.map(AgentId),
        max_interactions: max
            .map(|max| u32::try_from(max).map_err(|why| row.corrupt("max_interactions", why)))
            .transpose()?,
        is_paused: row.get("is_paused")?,
        finished_seq: row.get::<Option<i64>>("finished_seq")?.map(Seq),
        last_error: row.get("last_error")?,
        created_at: row.time("created_at")?,
        version: row.count("version")?,
    }))
}

fn member(row: &QueryResult) -> Result<Member> {
    let row = Row::new("members", "agent_id", row);
    Ok(Member {
        agent: AgentId(row.get("agent_id")?),
        joined_after_seq: Seq(row.get("joined_after_seq")?),
        joined_at: row.time("joined_at")?,
    })
}

fn activity(row: &QueryResult) -> Result<(RoomId, Arc<Activity>)> {
    let row = Row::new("rooms", "id", row);
    let activity = Activity {
        last_seq: Seq(row.get("last_seq")?),
        last_message_seq: Seq(row.get("last_message_seq")?),
        last_user_seq: Seq(row.get("last_user_seq")?),
        last_activity_at: row.time_opt("last_activity_at")?,
    };
    Ok((RoomId(row.get("id")?), Arc::new(activity)))
}

fn taken(error: Error, name: &RoomName) -> Error {
    match error {
        Error::Conflict(_) => {
            Error::Conflict(format!("this owner has a room named {name} already"))
        }
        other => other,
    }
}

/// The agent's name; its row is locked until the transaction ends, so that it lives as long.
async fn living(tx: &Tx<'_>, agent: AgentId) -> Result<AgentName> {
    let sql = "UPDATE agents SET version = version WHERE id = $1 AND deleted_at IS NULL RETURNING id, name";
    let row = tx
        .one(sql, [agent.0.into()])
        .await?
        .ok_or_else(|| Error::missing("agent", agent))?;
    Row::new("agents", "id", &row).parse("name", AgentName::parse)
}

/// The membership, and whether it is new.
async fn join(tx: &Tx<'_>, room: RoomId, agent: AgentId, after: Seq) -> Result<(Member, bool)> {
    let insert = "INSERT INTO members (room_id, agent_id, joined_after_seq, joined_at, place) SELECT $1, $2, $3, $4, \
                  COALESCE((SELECT MAX(place) FROM members WHERE room_id = $1), 0) + 1 WHERE TRUE ON CONFLICT DO NOTHING";
    let is_new = tx
        .run(
            insert,
            [room.0.into(), agent.0.into(), after.0.into(), now().into()],
        )
        .await?
        > 0;
    let sql = "SELECT agent_id, joined_after_seq, joined_at FROM members WHERE room_id = $1 AND agent_id = $2";
    let row = tx
        .one(sql, [room.0.into(), agent.0.into()])
        .await?
        .ok_or_else(|| Error::missing("member", agent))?;
    Ok((member(&row)?, is_new))
}

impl SqlStore {
    async fn rooms(
        &self,
        condition: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Arc<Room>>> {
        let sql = format!("SELECT {COLUMNS} FROM rooms WHERE {condition} ORDER BY id");
        self.db
            .read()
            .all(&sql, values)
            .await?
            .iter()
            .map(room)
            .collect()
    }
}

#[async_trait]
impl Rooms for SqlStore {
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        Ok(self.rooms("id = $1", [id.0.into()]).await?.pop())
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.rooms(
            &format!("id IN ({})", places(1, ids.len())),
            ids.iter().map(|id| id.0.into()),
        )
        .await
    }

    async fn list(&self) -> Result<Vec<Arc<Room>>> {
        self.rooms("TRUE", []).await
    }

    async fn list_by_owner(&self, owner: &UserId) -> Result<Vec<Arc<Room>>> {
        self.rooms("owner = $1", [owner.as_str().into()]).await
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        Ok(self
            .rooms(
                "owner = $1 AND direct_agent_id = $2",
                [owner.as_str().into(), agent.0.into()],
            )
            .await?
            .pop())
    }

    async fn create(&self, new: NewRoom) -> Result<Arc<Room>> {
        let name = new.name.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = format!(
                        "INSERT INTO rooms (owner, name, max_interactions, created_at) VALUES ($1, $2, $3, $4) RETURNING {COLUMNS}"
                    );
                    let values =
                        [new.owner.as_str().into(), new.name.as_str().into(), new.max_interactions.map(i64::from).into(), now().into()];
                    room(&tx.one(&sql, values).await?.ok_or_else(|| Error::unavailable("an insert returned no row"))?)
                })
            })
            .await
            .map_err(|error| taken(error, &name))
    }

    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let name = RoomName::parse(&format!("Direct: {}", living(tx, agent).await?))?;
                    let sql = format!(
                        "INSERT INTO rooms (owner, name, direct_agent_id, created_at) VALUES ($1, $2, $3, $4) \
                         ON CONFLICT (owner, direct_agent_id) WHERE direct_agent_id IS NOT NULL DO NOTHING RETURNING {COLUMNS}"
                    );
                    let values = [owner.as_str().into(), name.as_str().into(), agent.0.into(), now().into()];
                    if let Some(row) = tx.one(&sql, values).await? {
                        let room = room(&row)?;
                        join(tx, room.id, agent, Seq(0)).await?;
                        return Ok(room);
                    }
                    let sql = format!("SELECT {COLUMNS} FROM rooms WHERE owner = $1 AND direct_agent_id = $2");
                    let row = tx.one(&sql, [owner.as_str().into(), agent.0.into()]).await?;
                    room(&row.ok_or_else(|| Error::unavailable("a direct room went away while it was asked for"))?)
                })
            })
            .await
    }

    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
        let name = change.name.clone();
        let updated = self.db.write(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "UPDATE rooms SET name = COALESCE($2, name), max_interactions = CASE WHEN $3 THEN $4 ELSE max_interactions END, \
                     is_paused = COALESCE($5, is_paused), finished_seq = CASE WHEN $6 THEN last_seq WHEN $7 THEN NULL ELSE finished_seq END, \
                     last_error = CASE WHEN $8 THEN $9 ELSE last_error END, version = version + 1 WHERE id = $1 RETURNING {COLUMNS}"
                );
                let values: [Value; 9] = [
                    id.0.into(),
                    change.name.as_ref().map(|name| name.as_str().to_owned()).into(),
                    change.max_interactions.is_some().into(),
                    change.max_interactions.flatten().map(i64::from).into(),
                    change.is_paused.into(),
                    (change.is_finished == Some(true)).into(),
                    (change.is_finished == Some(false)).into(),
                    change.last_error.is_some().into(),
                    change.last_error.flatten().into(),
                ];
                room(&tx.one(&sql, values).await?.ok_or_else(|| Error::missing("room", id))?)
            })
        });
        updated
            .await
            .map_err(|error| name.map_or(error.clone(), |name| taken(error, &name)))
    }

    async fn delete(&self, id: RoomId) -> Result<()> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    match tx
                        .run("DELETE FROM rooms WHERE id = $1", [id.0.into()])
                        .await?
                    {
                        0 => Err(Error::missing("room", id)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>> {
        let sql = "SELECT agent_id, joined_after_seq, joined_at FROM members WHERE room_id = $1 ORDER BY place";
        self.db
            .read()
            .all(sql, [room.0.into()])
            .await?
            .iter()
            .map(member)
            .collect()
    }

    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let lock = format!(
                        "UPDATE rooms SET version = version WHERE id = $1 RETURNING {ACTIVITY}"
                    );
                    let row = tx
                        .one(&lock, [room.0.into()])
                        .await?
                        .ok_or_else(|| Error::missing("room", room))?;
                    let (_, activity) = activity(&row)?;
                    let name = living(tx, agent).await?;
                    let (member, is_new) = join(tx, room, agent, activity.last_seq).await?;
                    let is_told = is_new && activity.last_message_seq > Seq(0);
                    let joined = NewMessage::from_system(room, format!("{name} joined the chat"));
                    let message = if is_told {
                        Some(append(tx, &joined).await?)
                    } else {
                        None
                    };
                    Ok(Added { member, message })
                })
            })
            .await
    }

    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    // The row lock: nobody who adds the agent finds it in the room and then not.
                    tx.run(
                        "UPDATE rooms SET version = version WHERE id = $1",
                        [room.0.into()],
                    )
                    .await?;
                    match tx
                        .run(
                            "DELETE FROM members WHERE room_id = $1 AND agent_id = $2",
                            [room.0.into(), agent.0.into()],
                        )
                        .await?
                    {
                        0 => Err(Error::missing("member", agent)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>> {
        Ok(self
            .activities(&[room])
            .await?
            .pop()
            .map(|(_, activity)| activity))
    }

    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {ACTIVITY} FROM rooms WHERE id IN ({}) ORDER BY id",
            places(1, rooms.len())
        );
        self.db
            .read()
            .all(&sql, rooms.iter().map(|room| room.0.into()))
            .await?
            .iter()
            .map(activity)
            .collect()
    }
}
