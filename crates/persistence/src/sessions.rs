//! The implementation of the port `Sessions` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentId, Error, Result, RoomId, Session, Sessions};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryResult, sea_query::OnConflict,
};

use crate::{
    sql::{
        error::DbError,
        rows::model,
        tables::sessions::{ActiveModel, Column, Entity},
    },
    store::SqlStore,
};

fn to_session(row: &QueryResult) -> Result<Session> {
    let row = model::<Entity>(row)?;
    Ok(Session {
        agent: AgentId(row.agent_id),
        session_id: row.session_id,
    })
}

#[async_trait]
impl Sessions for SqlStore {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let query = Entity::find()
            .filter(Column::RoomId.eq(room.0))
            .order_by_asc(Column::AgentId);
        let rows = self.database.read().select(query).await?;
        rows.iter().map(to_session).collect()
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        let insert = Entity::insert(ActiveModel {
            room_id: Set(room.0),
            agent_id: Set(agent.0),
            session_id: Set(session_id),
        });
        let replace = OnConflict::columns([Column::RoomId, Column::AgentId])
            .update_column(Column::SessionId)
            .to_owned();
        let insert = insert.on_conflict(replace);
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    tx.insert(insert).await.map_err(|error| match error {
                        // A session references the row of its member.
                        DbError::ForeignKey(_) => Error::missing("member", agent),
                        other => other.into_error(),
                    })?;
                    Ok(())
                })
            })
            .await
    }
}
