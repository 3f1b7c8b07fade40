//! The implementation of the port `Memories` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentId, Memories, RecentEvent, Result, UserId};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};

use crate::{
    agents::table::lock_living,
    sql::{
        connection::{Connection, Tx},
        error::DbError,
        rows::{Columns, model},
        tables::memories::{ActiveModel, Column, Entity, Model},
    },
    store::SqlStore,
};

fn to_event(row: Model) -> Result<RecentEvent> {
    let columns = Columns::<Entity>::of_row(row.id);
    Ok(RecentEvent {
        date: columns.parse_opt(Column::Day, row.day.as_deref(), str::parse)?,
        text: row.content,
    })
}

/// Returns what an agent remembers of an owner's rooms, oldest first.
async fn rows<C: ConnectionTrait>(
    connection: &Connection<'_, C>,
    agent: AgentId,
    owner: &UserId,
) -> Result<Vec<Model>> {
    let query = Entity::find()
        .filter(Column::AgentId.eq(agent.0))
        .filter(Column::Owner.eq(owner.as_str()))
        .order_by_asc(Column::Id);
    let rows = connection.select(query).await?;
    rows.iter().map(model::<Entity>).collect()
}

/// Deletes what an agent remembers of all owners' rooms.
pub(crate) async fn delete_all_of(tx: &Tx<'_>, agent: AgentId) -> Result<()> {
    let delete = Entity::delete_many().filter(Column::AgentId.eq(agent.0));
    tx.run(&delete).await.map(drop)
}

#[async_trait]
impl Memories for SqlStore {
    async fn list(&self, agent: AgentId, owner: &UserId) -> Result<Arc<[RecentEvent]>> {
        // The memories of a deleted agent were deleted with it.
        let rows = rows(&self.database.read(), agent, owner).await?;
        rows.into_iter().map(to_event).collect()
    }

    async fn append(
        &self,
        agent: AgentId,
        owner: UserId,
        event: RecentEvent,
        most: usize,
    ) -> Result<Arc<[RecentEvent]>> {
        let write = self.database.write(move |tx| {
            Box::pin(async move {
                // The lock also orders the appends to the agent's memories.
                lock_living(tx, agent).await?;
                let insert = Entity::insert(ActiveModel {
                    id: NotSet,
                    agent_id: Set(agent.0),
                    owner: Set(owner.as_str().to_owned()),
                    day: Set(event.date.map(|date| date.to_string())),
                    content: Set(event.text),
                });
                tx.insert(insert).await.map_err(DbError::into_error)?;
                let mut rows = rows(tx, agent, &owner).await?;
                let kept = rows.split_off(rows.len().saturating_sub(most));
                if let Some(last) = rows.last() {
                    let delete = Entity::delete_many()
                        .filter(Column::AgentId.eq(agent.0))
                        .filter(Column::Owner.eq(owner.as_str()))
                        .filter(Column::Id.lte(last.id));
                    tx.run(&delete).await?;
                }
                kept.into_iter().map(to_event).collect()
            })
        });
        write.await
    }

    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64> {
        let mut delete = Entity::delete_many().filter(Column::Owner.eq(owner.as_str()));
        if let Some(agent) = agent {
            delete = delete.filter(Column::AgentId.eq(agent.0));
        }
        self.database
            .write(move |tx| Box::pin(async move { tx.run(&delete).await }))
            .await
    }
}
