//! The implementation of the port `Rooms` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Activity, Added, AgentId, Error, Member, NewMessage, NewRoom, Result, Room, RoomChange, RoomId,
    RoomName, Rooms, Seq, UserId,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QueryResult,
    QuerySelect as _, Select, UpdateMany,
    sea_query::{Expr, ExprTrait as _, LockType, OnConflict},
};

use crate::{
    members::{self, lock_living_agent, to_member},
    messages::append::append,
    sql::{
        connection::Tx,
        error::DbError,
        list_part::list_part,
        rows::{Columns, model, now},
        tables::{
            answer_counts, members as member_rows, read_positions,
            rooms::{ActiveModel, Column, Entity},
        },
    },
    store::SqlStore,
};

fn to_room(row: &QueryResult) -> Result<Arc<Room>> {
    let row = model::<Entity>(row)?;
    let columns = Columns::<Entity>::of_row(row.id);
    Ok(Arc::new(Room {
        id: RoomId(row.id),
        owner: columns.parse(Column::Owner, &row.owner, UserId::parse)?,
        name: columns.parse(Column::Name, &row.name, RoomName::parse)?,
        direct_agent: row.direct_agent_id.map(AgentId),
        max_interactions: columns.unsigned_opt(Column::MaxInteractions, row.max_interactions)?,
        is_paused: row.is_paused,
        finished_seq: row.finished_seq.map(Seq),
        last_error: row.last_error,
        created_at: columns.time(Column::CreatedAt, row.created_at)?,
        version: columns.unsigned(Column::Version, row.version)?,
    }))
}

fn to_activity(row: &QueryResult) -> Result<(RoomId, Arc<Activity>)> {
    let row = model::<Entity>(row)?;
    let columns = Columns::<Entity>::of_row(row.id);
    let activity = Activity {
        last_seq: Seq(row.last_seq),
        last_message_seq: Seq(row.last_message_seq),
        last_user_seq: Seq(row.last_user_seq),
        last_activity_at: columns.time_opt(Column::LastActivityAt, row.last_activity_at)?,
        cleared_seq: Seq(row.cleared_seq),
        removed_seq: Seq(row.removed_seq),
    };
    Ok((RoomId(row.id), Arc::new(activity)))
}

fn name_taken(error: DbError, name: &RoomName) -> Error {
    error.taken(|| format!("the owner already has a room named {name}: choose another name"))
}

/// Returns a query of the rooms that are not deleted.
fn living() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.is_null())
}

/// Returns an UPDATE of a room that is not deleted.
fn update_living(id: RoomId) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Id.eq(id.0))
        .filter(Column::DeletedAt.is_null())
}

/// Locks a room's row until the transaction ends, and returns the activity stored in the row. Fails
/// with `Missing` if the room does not exist.
///
/// On SQLite, nothing needs to be locked: a write transaction excludes all others.
///
/// Appending a message locks the same row. A transaction that locks a room and an agent must lock
/// the room first: two transactions that lock in opposite orders deadlock on PostgreSQL.
pub(crate) async fn lock_room(tx: &Tx<'_>, room: RoomId) -> Result<Arc<Activity>> {
    // `NO KEY` admits transactions that only check a foreign key to the row.
    let query = living()
        .filter(Column::Id.eq(room.0))
        .lock(LockType::NoKeyUpdate);
    let row = tx.select_one(query).await?;
    let (_, activity) = to_activity(&row.ok_or_else(|| Error::missing("room", room))?)?;
    Ok(activity)
}

async fn insert(tx: &Tx<'_>, new: &NewRoom) -> Result<Arc<Room>> {
    let insert = Entity::insert(ActiveModel {
        owner: Set(new.owner.as_str().to_owned()),
        name: Set(new.name.as_str().to_owned()),
        max_interactions: Set(new.max_interactions.map(i64::from)),
        created_at: Set(now()),
        ..ActiveModel::default()
    });
    let row = tx.insert(insert).await;
    let row = row.map_err(|error| name_taken(error, &new.name))?;
    to_room(&row.ok_or_else(|| Error::unavailable("INSERT INTO rooms returned no row"))?)
}

async fn find_or_insert_direct(tx: &Tx<'_>, owner: &UserId, agent: AgentId) -> Result<Arc<Room>> {
    let agent_name = lock_living_agent(tx, agent).await?;
    let name = RoomName::parse(&format!("Direct: {agent_name}"))?;
    let insert = Entity::insert(ActiveModel {
        owner: Set(owner.as_str().to_owned()),
        name: Set(name.as_str().to_owned()),
        direct_agent_id: Set(Some(agent.0)),
        created_at: Set(now()),
        ..ActiveModel::default()
    });
    // The condition is the one of the index `rooms_direct`.
    let nothing = OnConflict::columns([Column::Owner, Column::DirectAgentId])
        .target_and_where(Expr::col(Column::DirectAgentId).is_not_null())
        .target_and_where(Expr::col(Column::DeletedAt).is_null())
        .do_nothing()
        .to_owned();
    let inserted = tx.insert(insert.on_conflict(nothing)).await;
    if let Some(row) = inserted.map_err(DbError::into_error)? {
        let room = to_room(&row)?;
        members::add(tx, room.id, agent, Seq(0)).await?;
        return Ok(room);
    }
    let row = tx.select_one(direct(owner, agent)).await?;
    to_room(&row.ok_or_else(|| {
        Error::unavailable("the direct room was deleted while it was looked up: try again")
    })?)
}

fn direct(owner: &UserId, agent: AgentId) -> Select<Entity> {
    living()
        .filter(Column::Owner.eq(owner.as_str()))
        .filter(Column::DirectAgentId.eq(agent.0))
}

async fn update(tx: &Tx<'_>, id: RoomId, change: RoomChange) -> Result<Arc<Room>> {
    let mut update = update_living(id).col_expr(Column::Version, Expr::col(Column::Version).add(1));
    if let Some(name) = &change.name {
        update = update.col_expr(Column::Name, Expr::value(name.as_str()));
    }
    if let Some(limit) = change.max_interactions {
        update = update.col_expr(Column::MaxInteractions, Expr::value(limit.map(i64::from)));
    }
    if let Some(is_paused) = change.is_paused {
        update = update.col_expr(Column::IsPaused, Expr::value(is_paused));
    }
    if let Some(is_finished) = change.is_finished {
        let seq = if is_finished {
            Expr::col(Column::LastSeq)
        } else {
            Expr::value(None::<i64>)
        };
        update = update.col_expr(Column::FinishedSeq, seq);
    }
    if let Some(last_error) = change.last_error {
        update = update.col_expr(Column::LastError, Expr::value(last_error));
    }
    let row = tx
        .update_one(update)
        .await
        .map_err(|error| match &change.name {
            Some(name) => name_taken(error, name),
            None => error.into_error(),
        })?;
    to_room(&row.ok_or_else(|| Error::missing("room", id))?)
}

/// Makes a room a tombstone, and deletes what belongs to it except its messages. The purge deletes
/// the messages and then the row.
async fn delete(tx: &Tx<'_>, id: RoomId) -> Result<()> {
    // No read returns a message of the room, because no id is above the mark.
    let update = update_living(id)
        .col_expr(Column::DeletedAt, Expr::value(now()))
        .col_expr(Column::ClearedSeq, Expr::col(Column::LastSeq))
        .col_expr(Column::ClearedId, Expr::value(i64::MAX))
        .col_expr(Column::HasGarbage, Expr::value(true));
    if tx.run(&update).await? == 0 {
        return Err(Error::missing("room", id));
    }
    let members = member_rows::Entity::delete_many();
    tx.run(&members.filter(member_rows::Column::RoomId.eq(id.0)))
        .await?;
    let positions = read_positions::Entity::delete_many();
    tx.run(&positions.filter(read_positions::Column::RoomId.eq(id.0)))
        .await?;
    let counts = answer_counts::Entity::delete_many();
    tx.run(&counts.filter(answer_counts::Column::RoomId.eq(id.0)))
        .await?;
    Ok(())
}

async fn add_member(tx: &Tx<'_>, room: RoomId, agent: AgentId) -> Result<Added> {
    let activity = lock_room(tx, room).await?;
    let name = lock_living_agent(tx, agent).await?;
    let joined = members::add(tx, room, agent, activity.last_seq).await?;
    let message = if joined.is_new && activity.last_message_seq > Seq(0) {
        let text = format!("{name} joined the chat");
        Some(
            append(tx, &NewMessage::from_system(room, text))
                .await?
                .value,
        )
    } else {
        None
    };
    Ok(Added {
        member: joined.member,
        message,
    })
}

impl SqlStore {
    async fn room_part(
        &self,
        query: Select<Entity>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>> {
        let (read, after) = (self.database.read(), after.map(|id| id.0));
        list_part(&read, (query, Column::Id), after, limit, to_room).await
    }

    async fn find_room(&self, query: Select<Entity>) -> Result<Option<Arc<Room>>> {
        let row = self.database.read().select_one(query).await?;
        row.as_ref().map(to_room).transpose()
    }
}

#[async_trait]
impl Rooms for SqlStore {
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>> {
        self.find_room(living().filter(Column::Id.eq(id.0))).await
    }

    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let listed = read.is_one_of(Column::Id, ids.iter().map(|id| id.0));
        let rows = read
            .select(living().filter(listed).order_by_asc(Column::Id))
            .await?;
        rows.iter().map(to_room).collect()
    }

    async fn list(&self, after: Option<RoomId>, limit: usize) -> Result<Vec<Arc<Room>>> {
        self.room_part(living(), after, limit).await
    }

    async fn list_by_owner(
        &self,
        owner: &UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>> {
        let own = living().filter(Column::Owner.eq(owner.as_str()));
        self.room_part(own, after, limit).await
    }

    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>> {
        self.find_room(direct(owner, agent)).await
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
        let query = member_rows::Entity::find()
            .filter(member_rows::Column::RoomId.eq(room.0))
            .order_by_asc(member_rows::Column::Place);
        let rows = self.database.read().select(query).await?;
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
        let listed = read.is_one_of(Column::Id, rooms.iter().map(|room| room.0));
        let rows = read
            .select(living().filter(listed).order_by_asc(Column::Id))
            .await?;
        rows.iter().map(to_activity).collect()
    }
}
