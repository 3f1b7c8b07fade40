//! The append of a message to its room's log.

use std::sync::Arc;

use domain::{Error, Message, NewMessage, Result};
use sea_orm::{ActiveValue::Set, EntityTrait as _, QueryResult, Value};

use super::{rows::to_message, sends};
use crate::sql::{
    connection::{Tx, placeholders},
    error::DbError,
    pending::{IDENTITY_COLUMNS, Identified, ServerTransaction},
    rows::{Columns, now},
    tables::{images, rooms},
};

/// Assigns the next sequence number of a room, and updates the room's counters and its activity.
/// The parameters are the first four of [`append_values`].
///
/// The statement locks the room's row until the transaction ends. The sequence number and the id
/// are both assigned under this lock. So within a room, a message with a higher sequence number
/// also has a higher id.
const NEXT_SEQ: &str = "UPDATE rooms SET last_seq = last_seq + 1, last_message_seq = last_seq + 1, \
     message_count = message_count + 1, \
     last_user_seq = CASE WHEN $2 THEN last_seq + 1 ELSE last_user_seq END, \
     last_activity_at = CASE WHEN $3 THEN $4 ELSE last_activity_at END \
     WHERE id = $1 AND deleted_at IS NULL RETURNING last_seq";

/// Adds one to the number of an agent's messages in a room. Does nothing for a message without an
/// author. The placeholder `{from}` is empty, or a clause that reads the row of [`NEXT_SEQ`].
const COUNT_ANSWER: &str = "INSERT INTO answer_counts (room_id, agent_id, answers) \
     SELECT $1, $5, 1 {from} WHERE $5 IS NOT NULL \
     ON CONFLICT (room_id, agent_id) DO UPDATE SET answers = answer_counts.answers + 1";

/// The beginning of the statement that inserts a message. A list of values or a SELECT follows.
const INSERT: &str = "INSERT INTO messages (room_id, seq, timestamp, agent_id, content, role, \
     participant_type, participant_name, thinking, anthropic_calls, image_media_type, interrupted)";

/// Returns the values of a new message, as parameters of the statements above.
fn append_values(new: &NewMessage) -> Vec<Value> {
    let calls = new
        .anthropic_calls
        .as_ref()
        .map(|calls| serde_json::to_string(calls).expect("a list of strings is always valid JSON"));
    vec![
        new.room.0.into(),
        new.is_from_user().into(),
        new.is_activity().into(),
        now().into(),
        new.author.map(|author| author.0).into(),
        new.content.clone().into(),
        new.role.as_str().into(),
        new.participant_type
            .map(|kind| kind.as_str().to_owned())
            .into(),
        new.participant_name.clone().into(),
        new.thinking.clone().into(),
        calls.into(),
        new.image
            .as_ref()
            .map(|image| image.media_type.clone())
            .into(),
        new.interrupted.into(),
    ]
}

/// Appends a message to its room's log. Fails with `Missing` if the room does not exist.
pub(crate) async fn append(tx: &Tx<'_>, new: &NewMessage) -> Result<Identified<Arc<Message>>> {
    let values = append_values(new);
    let row = if tx.is_postgres() {
        append_on_postgres(tx, values).await
    } else {
        append_on_sqlite(tx, values, new.author.is_some()).await
    };
    let row = row.map_err(|error| match error {
        // The room's row has been locked since the sequence number was assigned. So a duplicate
        // number means that the room's counter is wrong.
        DbError::Unique(_) => Columns::<rooms::Entity>::of_row(new.room).corrupt(
            rooms::Column::LastSeq,
            "a message with the next sequence number already exists",
        ),
        other => other.into_error(),
    })?;
    let row = row.ok_or_else(|| Error::missing("room", new.room))?;
    let stored = to_message(&row)?;
    if let Some(image) = &new.image {
        let insert = images::Entity::insert(images::ActiveModel {
            message_id: Set(stored.id.0),
            data: Set(image.data.clone()),
            bytes: Set(image.bytes().cast_signed()),
        });
        tx.run(&insert).await?;
    }
    if let Some(send_key) = &new.send_key {
        sends::use_key(tx, send_key, &stored).await?;
    }
    let transaction = if tx.is_postgres() {
        Some(ServerTransaction::from_row(&row).map_err(DbError::into_error)?)
    } else {
        None
    };
    Ok(Identified {
        value: stored,
        transaction,
    })
}

/// Runs [`NEXT_SEQ`], [`COUNT_ANSWER`] and [`INSERT`] as one statement that also returns the
/// transaction's identity, because each statement takes a round trip over the network. SQLite does
/// not allow writes in a WITH clause.
async fn append_on_postgres(
    tx: &Tx<'_>,
    values: Vec<Value>,
) -> Result<Option<QueryResult>, DbError> {
    let count = COUNT_ANSWER.replace("{from}", "FROM next");
    let sql = format!(
        "WITH next AS ({NEXT_SEQ}), counted AS ({count}) {INSERT} \
         SELECT $1, next.last_seq, $4, {} FROM next RETURNING *, {IDENTITY_COLUMNS}",
        placeholders(5, 9)
    );
    Ok(tx.query_text(&sql, values).await?.into_iter().next())
}

async fn append_on_sqlite(
    tx: &Tx<'_>,
    mut values: Vec<Value>,
    has_author: bool,
) -> Result<Option<QueryResult>, DbError> {
    let rows = tx.query_text(NEXT_SEQ, values[..4].to_vec()).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let seq: i64 = row.try_get("", "last_seq")?;
    if has_author {
        let count = COUNT_ANSWER.replace("{from}", "");
        tx.run_text(&count, values[..5].to_vec()).await?;
    }
    values.push(seq.into());
    let sql = format!(
        "{INSERT} VALUES ($1, $14, $4, {}) RETURNING *",
        placeholders(5, 9)
    );
    Ok(tx.query_text(&sql, values).await?.into_iter().next())
}
