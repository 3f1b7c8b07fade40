//! Rows of the table `members`, which stores the agents in each room.

use domain::{AgentId, AgentName, Error, Member, Result, RoomId, Seq};
use sea_orm::QueryResult;

use crate::sql::{
    connection::Tx,
    rows::{Row, now},
};

/// The result of adding an agent to a room.
pub(crate) struct Joined {
    pub(crate) member: Member,
    /// `false` if the agent was already a member of the room.
    pub(crate) is_new: bool,
}

/// Converts a row of `members`.
pub(crate) fn to_member(row: &QueryResult) -> Result<Member> {
    let row = Row::new("members", "agent_id", row);
    Ok(Member {
        agent: AgentId(row.get("agent_id")?),
        joined_after_seq: Seq(row.get("joined_after_seq")?),
        joined_at: row.time("joined_at")?,
    })
}

/// Locks a living agent's row until the transaction ends, so that the agent cannot be deleted
/// meanwhile. Returns the agent's name. Fails with `Missing` if there is no such agent.
pub(crate) async fn lock_living_agent(tx: &Tx<'_>, agent: AgentId) -> Result<AgentName> {
    let sql = format!(
        "SELECT id, name FROM agents WHERE id = $1 AND deleted_at IS NULL{}",
        tx.row_lock()
    );
    let row = tx.one(&sql, [agent.0.into()]).await?;
    let row = row.ok_or_else(|| Error::missing("agent", agent))?;
    Row::new("agents", "id", &row).parse("name", AgentName::parse)
}

/// Adds an agent to a room as its last member, unless the agent is already a member. A new member
/// sees only messages after `joined_after`.
pub(crate) async fn add(
    tx: &Tx<'_>,
    room: RoomId,
    agent: AgentId,
    joined_after: Seq,
) -> Result<Joined> {
    // `WHERE TRUE` keeps SQLite from parsing ON CONFLICT as a join constraint of the SELECT.
    let insert = "INSERT INTO members (room_id, agent_id, joined_after_seq, joined_at, place) \
                  SELECT $1, $2, $3, $4, \
                  COALESCE((SELECT MAX(place) FROM members WHERE room_id = $1), 0) + 1 \
                  WHERE TRUE ON CONFLICT DO NOTHING";
    let values = [
        room.0.into(),
        agent.0.into(),
        joined_after.0.into(),
        now().into(),
    ];
    let is_new = tx.run(insert, values).await? > 0;
    let sql = "SELECT agent_id, joined_after_seq, joined_at FROM members \
               WHERE room_id = $1 AND agent_id = $2";
    let row = tx.one(sql, [room.0.into(), agent.0.into()]).await?;
    let row = row.ok_or_else(|| Error::missing("member", agent))?;
    Ok(Joined {
        member: to_member(&row)?,
        is_new,
    })
}

/// Removes an agent from a room. Fails with `Missing` if the agent is not a member of the room.
pub(crate) async fn remove(tx: &Tx<'_>, room: RoomId, agent: AgentId) -> Result<()> {
    let sql = "DELETE FROM members WHERE room_id = $1 AND agent_id = $2";
    match tx.run(sql, [room.0.into(), agent.0.into()]).await? {
        0 => Err(Error::missing("member", agent)),
        _ => Ok(()),
    }
}
