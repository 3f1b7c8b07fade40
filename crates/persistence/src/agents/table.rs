//! Rows of the tables `agents` and `snapshots`.
//!
//! A snapshot may be as long as an agent's memory. So only the functions about snapshots read that
//! table.

use std::{collections::HashMap, sync::Arc};

use domain::{Agent, AgentConfig, AgentId, AgentName, Error, GroupName, Result};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, QuerySelect as _, Select,
    sea_query::{Expr, ExprTrait as _, LockType},
};

use super::snapshot::to_snapshot;
use crate::{
    agent_files::path::AgentPath,
    sql::{
        connection::{Connection, Tx},
        error::DbError,
        list_part::list_part,
        rows::{Columns, first_value, model, now},
        tables::{
            agents::{ActiveModel, Column, Entity},
            snapshots,
        },
    },
};

fn to_agent(row: &QueryResult) -> Result<Arc<Agent>> {
    let row = model::<Entity>(row)?;
    let columns = Columns::<Entity>::of_row(row.id);
    let group = row.group_name.as_deref();
    Ok(Arc::new(Agent {
        id: AgentId(row.id),
        name: columns.parse(Column::Name, &row.name, AgentName::parse)?,
        group: columns.parse_opt(Column::GroupName, group, GroupName::parse)?,
        config_file: row.config_file,
        created_at: columns.time(Column::CreatedAt, row.created_at)?,
        deleted_at: columns.time_opt(Column::DeletedAt, row.deleted_at)?,
        version: columns.unsigned(Column::Version, row.version)?,
    }))
}

fn name_taken(error: DbError, name: &AgentName) -> Error {
    error.taken(|| format!("an agent named {name} already exists: choose another name"))
}

fn group_text(path: &AgentPath) -> Option<String> {
    path.group.as_ref().map(|group| group.as_str().to_owned())
}

/// Returns a query of the agents that are not deleted.
fn living() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.is_null())
}

/// Returns the living agent with this id.
pub(crate) async fn find_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    id: AgentId,
) -> Result<Option<Arc<Agent>>> {
    let row = connection
        .select_one(living().filter(Column::Id.eq(id.0)))
        .await?;
    row.as_ref().map(to_agent).transpose()
}

/// Returns the living agent with this name.
pub(super) async fn find_named<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    name: &AgentName,
) -> Result<Option<Arc<Agent>>> {
    let query = living().filter(Column::Name.eq(name.as_str()));
    let row = connection.select_one(query).await?;
    row.as_ref().map(to_agent).transpose()
}

/// Returns the living agents with these ids, in ascending order of ids.
pub(crate) async fn find_many_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<Arc<Agent>>> {
    find_among(connection, living(), ids).await
}

/// Returns the agents with these ids, living or deleted, in ascending order of ids.
pub(super) async fn find_all<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    ids: &[AgentId],
) -> Result<Vec<Arc<Agent>>> {
    find_among(connection, Entity::find(), ids).await
}

async fn find_among<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    query: Select<Entity>,
    ids: &[AgentId],
) -> Result<Vec<Arc<Agent>>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let listed = connection.is_one_of(Column::Id, ids.iter().map(|id| id.0));
    let query = query.filter(listed).order_by_asc(Column::Id);
    let rows = connection.select(query).await?;
    rows.iter().map(to_agent).collect()
}

/// Returns all living agents, in ascending order of ids.
pub(crate) async fn list_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
) -> Result<Vec<Arc<Agent>>> {
    list_part_living(connection, None, usize::MAX).await
}

/// Returns the first `limit` living agents with ids above `after`, or the last ones if `after` is
/// `None`, in ascending order of ids.
pub(super) async fn list_part_living<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    after: Option<AgentId>,
    limit: usize,
) -> Result<Vec<Arc<Agent>>> {
    let after = after.map(|id| id.0);
    list_part(connection, (living(), Column::Id), after, limit, to_agent).await
}

/// Returns the highest id of all agents, living or deleted; 0 if there are none.
pub(super) async fn highest_id<C: ConnectionTrait>(connection: &Connection<'_, C>) -> Result<i64> {
    let query = Entity::find()
        .select_only()
        .column_as(Column::Id.max(), "id");
    let row = connection.select_one(query).await?;
    let highest = row.as_ref().map(first_value::<Option<i64>>).transpose()?;
    Ok(highest.flatten().unwrap_or_default())
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
    let listed = connection.is_one_of(snapshots::Column::AgentId, ids.iter().map(|id| id.0));
    let rows = connection
        .select(snapshots::Entity::find().filter(listed))
        .await?;
    let snapshot = |row| {
        let row = model::<snapshots::Entity>(row)?;
        Ok((AgentId(row.agent_id), row.persona))
    };
    rows.iter().map(snapshot).collect()
}

/// Locks a living agent's row until the transaction ends. Fails with `Missing` if there is no such
/// agent. On SQLite, a write transaction excludes all others.
pub(crate) async fn lock_living(tx: &Tx<'_>, id: AgentId) -> Result<()> {
    let query = living()
        .filter(Column::Id.eq(id.0))
        .lock(LockType::NoKeyUpdate);
    let row = tx.select_one(query).await?;
    row.map(drop).ok_or_else(|| Error::missing("agent", id))
}

/// Inserts an agent and its snapshot. No other agent, living or deleted, may have the id. Fails
/// with `Conflict` if a living agent has the name.
pub(super) async fn insert(
    tx: &Tx<'_>,
    id: AgentId,
    path: &AgentPath,
    config: &AgentConfig,
) -> Result<Arc<Agent>> {
    let agent = Entity::insert(ActiveModel {
        id: Set(id.0),
        name: Set(path.name.as_str().to_owned()),
        group_name: Set(group_text(path)),
        config_file: Set(path.config_file()),
        created_at: Set(now()),
        ..ActiveModel::default()
    });
    let row = tx.insert(agent).await;
    let row = row.map_err(|error| name_taken(error, &path.name))?;
    let snapshot = snapshots::Entity::insert(snapshots::ActiveModel {
        agent_id: Set(id.0),
        persona: Set(to_snapshot(config)),
        ..snapshots::ActiveModel::default()
    });
    tx.run(&snapshot).await?;
    to_agent(&row.ok_or_else(|| Error::unavailable("INSERT INTO agents returned no row"))?)
}

/// Replaces an agent's snapshot.
pub(super) async fn update_snapshot(tx: &Tx<'_>, id: AgentId, config: &AgentConfig) -> Result<()> {
    use snapshots::Column::{AgentId, Persona, Version};
    let update = snapshots::Entity::update_many()
        .filter(AgentId.eq(id.0))
        .col_expr(Persona, Expr::value(to_snapshot(config)))
        .col_expr(Version, Expr::col(Version).add(1));
    tx.run(&update).await?;
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
    let update = Entity::update_many()
        .filter(Column::Id.eq(id.0))
        .col_expr(Column::Name, Expr::value(path.name.as_str()))
        .col_expr(Column::GroupName, Expr::value(group_text(path)))
        .col_expr(Column::ConfigFile, Expr::value(path.config_file()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1));
    let row = tx.update_one(update).await;
    let row = row.map_err(|error| name_taken(error, &path.name))?;
    update_snapshot(tx, id, config).await?;
    to_agent(&row.ok_or_else(|| Error::missing("agent", id))?)
}

/// Turns an agent's row into a tombstone.
pub(super) async fn mark_deleted(tx: &Tx<'_>, id: AgentId) -> Result<()> {
    let update = Entity::update_many()
        .filter(Column::Id.eq(id.0))
        .col_expr(Column::DeletedAt, Expr::value(now()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1));
    tx.run(&update).await?;
    Ok(())
}
