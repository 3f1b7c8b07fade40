//! The removal of one message.

use domain::{Error, MessageId, Removal, Result, RoomId, Seq};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _},
};

use super::log::{START, log_after};
use crate::sql::{
    connection::{Tx, row_limit},
    database::Database,
    error::DbError,
    rows::{first_value, model},
    tables::{answer_counts, messages, removals, rooms},
};

/// Deletes a message and its image. Fails with `Missing` if it is not in the room.
pub(super) async fn remove(tx: &Tx<'_>, room: RoomId, message: MessageId) -> Result<()> {
    use rooms::Column::{DeletedAt, Id, LastMessageSeq, LastSeq, MessageCount, RemovedSeq};
    let next_seq = || Expr::col(LastSeq).add(1);
    // Locks the room's row until the transaction ends, as an append does. If the message is
    // missing, the transaction is rolled back.
    let update = rooms::Entity::update_many()
        .filter(Id.eq(room.0))
        .filter(DeletedAt.is_null())
        .col_expr(LastSeq, next_seq())
        .col_expr(RemovedSeq, next_seq())
        .col_expr(MessageCount, Expr::col(MessageCount).sub(1));
    let row = tx.update_one(update).await.map_err(DbError::into_error)?;
    let row = model::<rooms::Entity>(&row.ok_or_else(|| Error::missing("room", room))?)?;
    let found = log_after(room, START)
        .select_only()
        .column(messages::Column::AgentId)
        .filter(messages::Column::Id.eq(message.0));
    let found = tx.select_one(found).await?;
    let found = found.ok_or_else(|| Error::missing("message", message))?;
    if let Some(author) = first_value::<Option<i64>>(&found)? {
        count_one_less(tx, room, author).await?;
    }
    let delete = messages::Entity::delete_many().filter(messages::Column::Id.eq(message.0));
    tx.run(&delete).await?;
    let newest = log_after(room, START)
        .select_only()
        .column(messages::Column::Seq)
        .order_by_desc(messages::Column::Id);
    let newest = tx.select_one(newest).await?;
    let newest = newest.as_ref().map(first_value::<i64>).transpose()?;
    let update = rooms::Entity::update_many()
        .filter(Id.eq(room.0))
        .col_expr(LastMessageSeq, Expr::value(newest.unwrap_or(0)));
    tx.run(&update).await?;
    let insert = removals::Entity::insert(removals::ActiveModel {
        room_id: Set(room.0),
        seq: Set(row.last_seq),
        message_id: Set(message.0),
    });
    tx.run(&insert).await.map(drop)
}

/// Subtracts one from the number of an agent's messages. An agent without messages has no row.
async fn count_one_less(tx: &Tx<'_>, room: RoomId, agent: i64) -> Result<()> {
    use answer_counts::Column::{AgentId, Answers, RoomId};
    let last = answer_counts::Entity::delete_many()
        .filter(RoomId.eq(room.0))
        .filter(AgentId.eq(agent))
        .filter(Answers.lte(1));
    if tx.run(&last).await? == 0 {
        let update = answer_counts::Entity::update_many()
            .filter(RoomId.eq(room.0))
            .filter(AgentId.eq(agent))
            .col_expr(Answers, Expr::col(Answers).sub(1));
        tx.run(&update).await?;
    }
    Ok(())
}

/// Returns the oldest removals above a sequence number.
pub(super) async fn removals(
    database: &Database,
    room: RoomId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Removal>> {
    let query = removals::Entity::find()
        .filter(removals::Column::RoomId.eq(room.0))
        .filter(removals::Column::Seq.gt(after.0))
        .order_by_asc(removals::Column::Seq)
        .limit(row_limit(limit));
    let rows = database.read().select(query).await?;
    rows.iter()
        .map(|row| {
            let row = model::<removals::Entity>(row)?;
            Ok(Removal {
                seq: Seq(row.seq),
                message: MessageId(row.message_id),
            })
        })
        .collect()
}
