//! Rows of the table `agents`.
//!
//! The column `snapshot` may be as long as an agent's memory. So only the functions about snapshots
//! read it.

use std::{collections::HashMap, sync::Arc};

use domain::{Agent, AgentConfig, AgentId, AgentName, Error, GroupName, Result};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::snapshot::to_snapshot;
use crate::{
    agent_files::path::AgentPath,
    sql::{
        connection::{Connection, Tx},
        error::DbError,
        rows::{Row, now, readable},
    },
};

const COLUMNS: &str = "id, name, group_name, config_file, created_at, deleted_at, version";

fn to_agent(row: &QueryResult) -> Result<Arc<Agent>> {
    let row = Row::new("agents", "id", row);
    Ok(Arc::new(Agent {
        id: AgentId(row.get("id")?),
        name: row.parse("name", AgentName::parse)?,
        group: row.parse_opt("group_name", GroupName::parse)?,
        config_file: row.get("config_file")?,
        created_at: row.time("created_at")?,
        deleted_at: row.time_opt("deleted_at")?,
        version: row.unsigned("version")?,
    }))
}

fn name_taken(error: DbError, name: &AgentName) -> Error {
    error.taken(|| format!("an agent named {name} already exists: choose another name"))
}

fn group_value(path: &AgentPath) -> Value {
    let group = path.group.as_ref();
    group.map(|group| group.as_str().to_owned()).into()
}

/// Returns the living agent with this id.
pub(crate) async fn find_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    id: AgentId,
) -> Result<Option<Arc<Agent>>> {
    let mut found = find_many_living(connection, &[id]).await?;
    Ok(found.pop())
}

/// Returns the living agents with these ids, in ascending order of ids.
pub(crate) async fn find_many_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<Arc<Agent>>> {
    let condition = format!("deleted_at IS NULL AND {}", connection.is_one_of("id", 1));
    find_where(connection, &condition, ids).await
}

/// Returns the agents with these ids, living or deleted, in ascending order of ids.
pub(super) async fn find_all<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<Arc<Agent>>> {
    find_where(connection, &connection.is_one_of("id", 1), ids).await
}

async fn find_where<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    condition: &str,
    ids: &[AgentId],
) -> Result<Vec<Arc<Agent>>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE {condition} ORDER BY id");
    let list = connection.id_list(ids.iter().map(|id| id.0));
    let rows = connection.all(&sql, [list]).await?;
    rows.iter().map(to_agent).collect()
}

/// Returns all living agents, in ascending order of ids. Unreadable rows are logged and left out.
pub(crate) async fn list_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
) -> Result<Vec<Arc<Agent>>> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL ORDER BY id");
    let rows = connection.all(&sql, []).await?;
    readable(&rows, to_agent)
}

/// Returns the highest id of all agents, living or deleted; 0 if there are none.
pub(super) async fn highest_id<C: ConnectionTrait>(connection: &Connection<'_, C>) -> Result<i64> {
    let sql = "SELECT COALESCE(MAX(id), 0) AS id FROM agents";
    let row = connection.one(sql, []).await?;
    let row = row.ok_or_else(|| Error::unavailable("SELECT MAX returned no row"))?;
    Row::new("agents", "id", &row).get("id")
}

/// Returns the snapshot of an agent's persona.
pub(crate) async fn find_snapshot<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    id: AgentId,
) -> Result<String> {
    let mut found = find_snapshots(connection, &[id]).await?;
    found.remove(&id).ok_or_else(|| Error::missing("agent", id))
}

/// Returns the snapshots of these agents' personas.
pub(super) async fn find_snapshots<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<HashMap<AgentId, String>> {
    let sql = format!(
        "SELECT id, snapshot FROM agents WHERE {}",
        connection.is_one_of("id", 1)
    );
    let list = connection.id_list(ids.iter().map(|id| id.0));
    let rows = connection.all(&sql, [list]).await?;
    let snapshot = |row| {
        let row = Row::new("agents", "id", row);
        Ok((AgentId(row.get("id")?), row.get("snapshot")?))
    };
    rows.iter().map(snapshot).collect()
}

/// Locks a living agent's row until the transaction ends, and returns it.
pub(super) async fn lock_living(tx: &Tx<'_>, id: AgentId) -> Result<Arc<Agent>> {
    let sql = format!(
        "UPDATE agents SET version = version WHERE id = $1 AND deleted_at IS NULL \
         RETURNING {COLUMNS}"
    );
    let row = tx.one(&sql, [id.0.into()]).await?;
    to_agent(&row.ok_or_else(|| Error::missing("agent", id))?)
}

/// Inserts an agent. No other agent, living or deleted, may have the id. Fails with `Conflict` if a
/// living agent has the name.
pub(super) async fn insert(
    tx: &Tx<'_>,
    id: AgentId,
    path: &AgentPath,
    config: &AgentConfig,
) -> Result<Arc<Agent>> {
    // PostgreSQL refuses an explicit id for a column that is GENERATED ALWAYS, unless the statement
    // contains this clause.
    let overriding = if tx.is_postgres() {
        "OVERRIDING SYSTEM VALUE"
    } else {
        ""
    };
    let sql = format!(
        "INSERT INTO agents (id, name, group_name, config_file, created_at, snapshot) \
         {overriding} VALUES ($1, $2, $3, $4, $5, $6) RETURNING {COLUMNS}"
    );
    let values: [Value; 6] = [
        id.0.into(),
        path.name.as_str().into(),
        group_value(path),
        path.config_file().into(),
        now().into(),
        to_snapshot(config).into(),
    ];
    let row = tx.try_one(&sql, values).await;
    let row = row.map_err(|error| name_taken(error, &path.name))?;
    to_agent(&row.ok_or_else(|| Error::unavailable("INSERT INTO agents returned no row"))?)
}

/// Replaces an agent's snapshot. Does not increment `version`, which counts changes of the
/// identity.
pub(super) async fn update_snapshot(tx: &Tx<'_>, id: AgentId, config: &AgentConfig) -> Result<()> {
    let sql = "UPDATE agents SET snapshot = $2, snapshot_version = snapshot_version + 1 \
               WHERE id = $1";
    let values = [id.0.into(), to_snapshot(config).into()];
    tx.run(sql, values).await?;
    Ok(())
}

/// Changes an agent's path and its snapshot, and increments its version. Fails with `Conflict` if
/// another living agent has the name.
pub(super) async fn update_path(
    tx: &Tx<'_>,
    id: AgentId,
    path: &AgentPath,
    config: &AgentConfig,
) -> Result<Arc<Agent>> {
    let sql = format!(
        "UPDATE agents SET name = $2, group_name = $3, config_file = $4, snapshot = $5, \
         version = version + 1, snapshot_version = snapshot_version + 1 \
         WHERE id = $1 RETURNING {COLUMNS}"
    );
    let values: [Value; 5] = [
        id.0.into(),
        path.name.as_str().into(),
        group_value(path),
        path.config_file().into(),
        to_snapshot(config).into(),
    ];
    let row = tx.try_one(&sql, values).await;
    let row = row.map_err(|error| name_taken(error, &path.name))?;
    to_agent(&row.ok_or_else(|| Error::missing("agent", id))?)
}

/// Turns an agent's row into a tombstone.
pub(super) async fn mark_deleted(tx: &Tx<'_>, id: AgentId) -> Result<()> {
    let sql = "UPDATE agents SET deleted_at = $2, version = version + 1 WHERE id = $1";
    tx.run(sql, [id.0.into(), now().into()]).await?;
    Ok(())
}
