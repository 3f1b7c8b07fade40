//! The implementation of the port `ReadPositions` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, ReadPosition, ReadPositions, Result, RoomId, Seq, UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QueryResult,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};

use crate::{
    rooms::lock_room,
    sql::{
        error::DbError,
        rows::{Columns, model, now},
        tables::read_positions::{ActiveModel, Column, Entity},
    },
    store::SqlStore,
};

fn to_position(row: &QueryResult) -> Result<Arc<ReadPosition>> {
    let row = model::<Entity>(row)?;
    let columns = Columns::<Entity>::of_row(row.room_id);
    Ok(Arc::new(ReadPosition {
        room: RoomId(row.room_id),
        read_seq: Seq(row.read_seq),
        read_at: columns.time(Column::ReadAt, row.read_at)?,
        version: columns.unsigned(Column::Version, row.version)?,
    }))
}

#[async_trait]
impl ReadPositions for SqlStore {
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>> {
        Ok(self.find_many(user, &[room]).await?.pop())
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let query = Entity::find()
            .filter(Column::UserId.eq(user.as_str()))
            .filter(read.is_one_of(Column::RoomId, rooms.iter().map(|room| room.0)))
            .order_by_asc(Column::RoomId);
        let rows = read.select(query).await?;
        rows.iter().map(to_position).collect()
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    // No message gets a sequence number before the mark is stored, because the room
                    // is locked.
                    let activity = lock_room(tx, room).await?;
                    let insert = Entity::insert(ActiveModel {
                        user_id: Set(user.as_str().to_owned()),
                        room_id: Set(room.0),
                        read_seq: Set(activity.last_seq.0),
                        read_at: Set(now()),
                        ..ActiveModel::default()
                    });
                    let replace = OnConflict::columns([Column::UserId, Column::RoomId])
                        .update_columns([Column::ReadSeq, Column::ReadAt])
                        .value(Column::Version, Expr::col((Entity, Column::Version)).add(1))
                        .to_owned();
                    let row = tx.insert(insert.on_conflict(replace)).await;
                    let row = row.map_err(DbError::into_error)?;
                    to_position(&row.ok_or_else(|| Error::missing("room", room))?)
                })
            })
            .await
    }
}
