//! Rows of the table `members`, which stores the agents in each room.

use domain::{AgentId, AgentName, Error, Member, Result, RoomId, Seq};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryResult,
    QuerySelect as _, sea_query::LockType,
};

use crate::sql::{
    connection::Tx,
    error::DbError,
    rows::{Columns, first_value, model, now},
    tables::{
        agents,
        members::{ActiveModel, Column, Entity},
    },
};

/// The result of adding an agent to a room.
pub(crate) struct Joined {
    pub(crate) member: Member,
    /// `false` if the agent was already a member of the room.
    pub(crate) is_new: bool,
}

/// Converts a row of `members`.
pub(crate) fn to_member(row: &QueryResult) -> Result<Member> {
    let row = model::<Entity>(row)?;
    let columns = Columns::<Entity>::of_row(format_args!("{}/{}", row.room_id, row.agent_id));
    Ok(Member {
        agent: AgentId(row.agent_id),
        joined_after_seq: Seq(row.joined_after_seq),
        joined_at: columns.time(Column::JoinedAt, row.joined_at)?,
    })
}

/// Locks a living agent's row until the transaction ends, so that the agent cannot be deleted
/// meanwhile. Returns the agent's name. Fails with `Missing` if there is no such agent.
pub(crate) async fn lock_living_agent(tx: &Tx<'_>, agent: AgentId) -> Result<AgentName> {
    let query = agents::Entity::find()
        .filter(agents::Column::Id.eq(agent.0))
        .filter(agents::Column::DeletedAt.is_null())
        .lock(LockType::NoKeyUpdate);
    let row = tx.select_one(query).await?;
    let row = model::<agents::Entity>(&row.ok_or_else(|| Error::missing("agent", agent))?)?;
    let columns = Columns::<agents::Entity>::of_row(row.id);
    columns.parse(agents::Column::Name, &row.name, AgentName::parse)
}

/// Adds an agent to a room as its last member, unless the agent is already a member. A new member
/// sees only messages after `joined_after`. The caller has locked the room, or has just created it.
pub(crate) async fn add(
    tx: &Tx<'_>,
    room: RoomId,
    agent: AgentId,
    joined_after: Seq,
) -> Result<Joined> {
    let of_room = || Entity::find().filter(Column::RoomId.eq(room.0));
    let found = of_room().filter(Column::AgentId.eq(agent.0));
    if let Some(row) = tx.select_one(found).await? {
        return Ok(Joined {
            member: to_member(&row)?,
            is_new: false,
        });
    }
    let last = of_room()
        .select_only()
        .column_as(Column::Place.max(), "place");
    let last = tx.select_one(last).await?;
    let last = last.as_ref().map(first_value::<Option<i64>>).transpose()?;
    let insert = Entity::insert(ActiveModel {
        room_id: Set(room.0),
        agent_id: Set(agent.0),
        joined_after_seq: Set(joined_after.0),
        joined_at: Set(now()),
        place: Set(last.flatten().unwrap_or_default() + 1),
        ..ActiveModel::default()
    });
    let row = tx.insert(insert).await.map_err(DbError::into_error)?;
    let row = row.ok_or_else(|| Error::unavailable("INSERT INTO members returned no row"))?;
    Ok(Joined {
        member: to_member(&row)?,
        is_new: true,
    })
}

/// Removes an agent from a room. Fails with `Missing` if the agent is not a member of the room.
pub(crate) async fn remove(tx: &Tx<'_>, room: RoomId, agent: AgentId) -> Result<()> {
    let delete = Entity::delete_many()
        .filter(Column::RoomId.eq(room.0))
        .filter(Column::AgentId.eq(agent.0));
    match tx.run(&delete).await? {
        0 => Err(Error::missing("member", agent)),
        _ => Ok(()),
    }
}
