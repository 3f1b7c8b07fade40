//! The keys under which users send messages.

use std::{sync::Arc, time::Duration};

use domain::{Error, Message, Result, SendKey, Sent, UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};

use super::{
    log::{START, log_after},
    rows::to_message,
};
use crate::sql::{
    connection::Tx,
    database::Database,
    error::DbError,
    rows::{model, now},
    tables::{
        messages,
        sent_keys::{ActiveModel, Column, Entity},
    },
};

/// The time for which a key stays used.
const KEY_TIME: Duration = Duration::from_hours(24);

/// Returns the latest time at which a key was used that is free again now.
fn latest_free() -> i64 {
    now() - i64::try_from(KEY_TIME.as_micros()).unwrap_or(i64::MAX)
}

/// Uses a key for a message. Fails with `Conflict` if its user has used it already.
pub(super) async fn use_key(tx: &Tx<'_>, send_key: &SendKey, message: &Message) -> Result<()> {
    let insert = Entity::insert(ActiveModel {
        user_id: Set(send_key.user.as_str().to_owned()),
        send_key: Set(send_key.key.clone()),
        digest: Set(send_key.digest.clone()),
        room_id: Set(message.room.0),
        message_id: Set(message.id.0),
        sent_at: Set(now()),
    });
    // A row whose time is over is replaced. Any other row makes the statement return none.
    let replace_old = OnConflict::columns([Column::UserId, Column::SendKey])
        .update_columns([
            Column::Digest,
            Column::RoomId,
            Column::MessageId,
            Column::SentAt,
        ])
        .action_and_where(Expr::col((Entity, Column::SentAt)).lte(latest_free()))
        .to_owned();
    let row = tx.insert(insert.on_conflict(replace_old)).await;
    match row.map_err(DbError::into_error)? {
        Some(_) => Ok(()),
        None => Err(Error::Conflict(
            "a message was sent under this key already".into(),
        )),
    }
}

/// Returns the message that a user has sent under a key.
pub(super) async fn find_sent(
    database: &Database,
    user: &UserId,
    key: &str,
) -> Result<Option<Sent>> {
    let read = database.read();
    let query = Entity::find()
        .filter(Column::UserId.eq(user.as_str()))
        .filter(Column::SendKey.eq(key))
        .filter(Column::SentAt.gt(latest_free()));
    let Some(row) = read.select_one(query).await? else {
        return Ok(None);
    };
    let row = model::<Entity>(&row)?;
    let message = log_after(domain::RoomId(row.room_id), START)
        .filter(messages::Column::Id.eq(row.message_id));
    let message = read.select_one(message).await?;
    let message: Option<Arc<Message>> = message.as_ref().map(to_message).transpose()?;
    Ok(Some(Sent {
        digest: row.digest,
        message,
    }))
}

/// Deletes the keys that are free again.
pub(crate) async fn delete_free(database: &Database) -> Result<()> {
    database
        .write(|tx| {
            Box::pin(async move {
                let delete = Entity::delete_many().filter(Column::SentAt.lte(latest_free()));
                tx.run(&delete).await.map(drop)
            })
        })
        .await
}
