//! Rows of the table `agents`.

use std::sync::Arc;

use domain::{Agent, AgentConfig, AgentId, AgentName, Error, GroupName, Result};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::snapshot::to_snapshot;
use crate::{
    agent_files::path::AgentPath,
    sql::{
        connection::{Connection, Tx, placeholders},
        error::DbError,
        rows::{Row, now},
    },
};

const COLUMNS: &str =
    "id, name, group_name, config_file, created_at, deleted_at, version, snapshot";

/// A row of the table `agents`: an agent's identity, and the snapshot of its persona.
pub(crate) struct StoredAgent {
    pub(crate) agent: Arc<Agent>,
    pub(crate) snapshot: String,
}

impl StoredAgent {
    /// Returns the path of the agent's folder.
    pub(crate) fn path(&self) -> AgentPath {
        AgentPath {
            group: self.agent.group.clone(),
            name: self.agent.name.clone(),
        }
    }
}

fn to_stored(row: &QueryResult) -> Result<StoredAgent> {
    let row = Row::new("agents", "id", row);
    let agent = Agent {
        id: AgentId(row.get("id")?),
        name: row.parse("name", AgentName::parse)?,
        group: row.parse_opt("group_name", GroupName::parse)?,
        config_file: row.get("config_file")?,
        created_at: row.time("created_at")?,
        deleted_at: row.time_opt("deleted_at")?,
        version: row.unsigned("version")?,
    };
    Ok(StoredAgent {
        agent: Arc::new(agent),
        snapshot: row.get("snapshot")?,
    })
}

fn name_taken(error: DbError, name: &AgentName) -> Error {
    error.taken(|| format!("an agent named {name} already exists: choose another name"))
}

fn group_value(path: &AgentPath) -> Value {
    let group = path.group.as_ref();
    group.map(|group| group.as_str().to_owned()).into()
}

/// Returns the living agents with these ids, in ascending order of ids.
pub(crate) async fn find_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<StoredAgent>> {
    let condition = format!(
        "deleted_at IS NULL AND id IN ({})",
        placeholders(1, ids.len())
    );
    find_where(connection, &condition, ids).await
}

/// Returns the agents with these ids, living or deleted, in ascending order of ids.
pub(super) async fn find_all<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<StoredAgent>> {
    let condition = format!("id IN ({})", placeholders(1, ids.len()));
    find_where(connection, &condition, ids).await
}

async fn find_where<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    condition: &str,
    ids: &[AgentId],
) -> Result<Vec<StoredAgent>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE {condition} ORDER BY id");
    let rows = connection
        .all(&sql, ids.iter().map(|id| id.0.into()))
        .await?;
    rows.iter().map(to_stored).collect()
}

/// Returns all living agents, in ascending order of ids.
pub(crate) async fn list_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
) -> Result<Vec<StoredAgent>> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE deleted_at IS NULL ORDER BY id");
    let rows = connection.all(&sql, []).await?;
    rows.iter().map(to_stored).collect()
}

/// Locks a living agent's row until the transaction ends, and returns it.
pub(super) async fn lock_living(tx: &Tx<'_>, id: AgentId) -> Result<StoredAgent> {
    let sql = format!(
        "UPDATE agents SET version = version WHERE id = $1 AND deleted_at IS NULL \
         RETURNING {COLUMNS}"
    );
    let row = tx.one(&sql, [id.0.into()]).await?;
    to_stored(&row.ok_or_else(|| Error::missing("agent", id))?)
}

/// Inserts an agent with the given id, or with the next free one if `id` is `None`. No other agent,
/// living or deleted, may have the given id. Fails with `Conflict` if a living agent has the name.
pub(super) async fn insert(
    tx: &Tx<'_>,
    id: Option<AgentId>,
    path: &AgentPath,
    config: &AgentConfig,
) -> Result<Arc<Agent>> {
    let mut values: Vec<Value> = vec![
        path.name.as_str().into(),
        group_value(path),
        path.config_file().into(),
        now().into(),
        to_snapshot(config).into(),
    ];
    let mut id_column = "";
    let mut overriding = "";
    if let Some(id) = id {
        values.push(id.0.into());
        id_column = ", id";
        if tx.is_postgres() {
            // The column is GENERATED ALWAYS. Without this clause, PostgreSQL refuses an explicit
            // id.
            overriding = " OVERRIDING SYSTEM VALUE";
        }
    }
    let placeholders = placeholders(1, values.len());
    let sql = format!(
        "INSERT INTO agents (name, group_name, config_file, created_at, snapshot{id_column})\
         {overriding} VALUES ({placeholders}) RETURNING {COLUMNS}"
    );
    let row = tx.try_one(&sql, values).await;
    let row = row.map_err(|error| name_taken(error, &path.name))?;
    let row = row.ok_or_else(|| Error::unavailable("INSERT INTO agents returned no row"))?;
    if id.is_some() && tx.is_postgres() {
        // PostgreSQL's sequence ignores explicit ids, and would assign this id a second time.
        // SQLite's AUTOINCREMENT takes explicit ids into account.
        let sql = "SELECT setval(pg_get_serial_sequence('agents', 'id'), \
                   (SELECT max(id) FROM agents))";
        tx.all(sql, []).await?;
    }
    Ok(to_stored(&row)?.agent)
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

/// Changes only an agent's name, so that no other transaction can use the new name. Fails with
/// `Conflict` if another living agent has the name.
pub(super) async fn reserve_name(tx: &Tx<'_>, id: AgentId, name: &AgentName) -> Result<()> {
    let sql = "UPDATE agents SET name = $2 WHERE id = $1";
    tx.try_run(sql, [id.0.into(), name.as_str().into()])
        .await
        .map_err(|error| name_taken(error, name))?;
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
    let stored = to_stored(&row.ok_or_else(|| Error::missing("agent", id))?)?;
    Ok(stored.agent)
}

/// Turns an agent's row into a tombstone.
pub(super) async fn mark_deleted(tx: &Tx<'_>, id: AgentId) -> Result<()> {
    let sql = "UPDATE agents SET deleted_at = $2, version = version + 1 WHERE id = $1";
    tx.run(sql, [id.0.into(), now().into()]).await?;
    Ok(())
}
