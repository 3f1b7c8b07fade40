//! The implementation of the port `Messages` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    AgentId, AnswerCounts, Error, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page,
    ParticipantType, Result, Role, RoomId, Seq,
};
use sea_orm::{QueryResult, Value};

use crate::{
    sql::{
        connection::{Tx, limit_value, placeholders},
        error::DbError,
        rows::{Row, now},
    },
    store::SqlStore,
};

const COLUMNS: &str = "id, room_id, seq, agent_id, content, role, participant_type, \
                       participant_name, thinking, anthropic_calls, timestamp, image_media_type, \
                       interrupted";

fn to_message(row: &QueryResult) -> Result<Arc<Message>> {
    let row = Row::new("messages", "id", row);
    Ok(Arc::new(Message {
        id: MessageId(row.get("id")?),
        room: RoomId(row.get("room_id")?),
        seq: Seq(row.get("seq")?),
        author: row.get::<Option<i64>>("agent_id")?.map(AgentId),
        content: row.get("content")?,
        role: row.parse("role", Role::parse)?,
        participant_type: row.parse_opt("participant_type", ParticipantType::parse)?,
        participant_name: row.get("participant_name")?,
        thinking: row.get("thinking")?,
        anthropic_calls: row.parse_opt("anthropic_calls", |json| {
            serde_json::from_str::<Vec<String>>(json)
        })?,
        timestamp: row.time("timestamp")?,
        image_media_type: row.get("image_media_type")?,
        interrupted: row.get("interrupted")?,
    }))
}

/// Converts rows that are sorted newest first to messages that are sorted oldest first.
fn to_oldest_first(rows: &[QueryResult]) -> Result<Vec<Arc<Message>>> {
    rows.iter().rev().map(to_message).collect()
}

fn to_image(row: &QueryResult) -> Result<(MessageId, Arc<Image>)> {
    let row = Row::new("messages", "id", row);
    let image = Image {
        media_type: row.get("image_media_type")?,
        data: row.get("data")?,
    };
    Ok((MessageId(row.get("id")?), Arc::new(image)))
}

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
pub(crate) async fn append(tx: &Tx<'_>, new: &NewMessage) -> Result<Arc<Message>> {
    let values = append_values(new);
    let row = if tx.is_postgres() {
        append_on_postgres(tx, values).await
    } else {
        append_on_sqlite(tx, values, new.author.is_some()).await
    };
    let row = row.map_err(|error| match error {
        // The room's row has been locked since the sequence number was assigned. So a duplicate
        // number means that the room's counter is wrong.
        DbError::Unique(_) => Error::Corrupt {
            table: "rooms",
            column: "last_seq",
            row: new.room.to_string(),
            reason: "a message with the next sequence number already exists".into(),
        },
        other => other.into_error(),
    })?;
    let stored = to_message(&row.ok_or_else(|| Error::missing("room", new.room))?)?;
    if let Some(image) = &new.image {
        tx.run(
            "INSERT INTO images (message_id, data) VALUES ($1, $2)",
            [stored.id.0.into(), image.data.clone().into()],
        )
        .await?;
    }
    Ok(stored)
}

/// Runs [`NEXT_SEQ`], [`COUNT_ANSWER`] and [`INSERT`] as one statement, because each statement
/// takes a round trip over the network. SQLite does not allow writes in a WITH clause.
async fn append_on_postgres(
    tx: &Tx<'_>,
    values: Vec<Value>,
) -> Result<Option<QueryResult>, DbError> {
    let count = COUNT_ANSWER.replace("{from}", "FROM next");
    let sql = format!(
        "WITH next AS ({NEXT_SEQ}), counted AS ({count}) {INSERT} \
         SELECT $1, next.last_seq, $4, {} FROM next RETURNING {COLUMNS}",
        placeholders(5, 9)
    );
    tx.try_one(&sql, values).await
}

async fn append_on_sqlite(
    tx: &Tx<'_>,
    mut values: Vec<Value>,
    has_author: bool,
) -> Result<Option<QueryResult>, DbError> {
    let Some(row) = tx.try_one(NEXT_SEQ, values[..4].to_vec()).await? else {
        return Ok(None);
    };
    let seq: i64 = row.try_get("", "last_seq")?;
    if has_author {
        let count = COUNT_ANSWER.replace("{from}", "");
        tx.try_run(&count, values[..5].to_vec()).await?;
    }
    values.push(seq.into());
    let sql = format!(
        "{INSERT} VALUES ($1, $14, $4, {}) RETURNING {COLUMNS}",
        placeholders(5, 9)
    );
    tx.try_one(&sql, values).await
}

/// Returns the SQL condition that a message's id is above `after`, and that the message was not
/// deleted by a clear. The statement's first parameter is the room.
///
/// The condition is one lower bound, so that the search in the index begins after the rows that the
/// purge has not deleted yet.
fn is_after(after: &str) -> String {
    format!(
        "id > (SELECT CASE WHEN cleared_id > {after} THEN cleared_id ELSE {after} END \
         FROM rooms WHERE id = $1)"
    )
}

/// Returns the statement for [`Messages::by_authors`]. Its parameters are the room, the message id
/// to start after, the limit, and the list of authors.
///
/// For each author, the statement reads at most `limit` ids from the index `messages_author`. A
/// condition `agent_id IN (…)` would read the whole room if the authors have written nothing.
fn by_authors_sql(is_postgres: bool) -> String {
    let ids_of_author = format!(
        "SELECT id FROM messages WHERE room_id = $1 AND {} \
         AND agent_id = author.value ORDER BY id LIMIT $3",
        is_after("$2")
    );
    let ids = if is_postgres {
        format!(
            "SELECT own.id FROM unnest(CAST(CAST($4 AS TEXT) AS BIGINT[])) AS author (value) \
             CROSS JOIN LATERAL ({ids_of_author}) AS own"
        )
    } else {
        // SQLite has no LATERAL. The inner SELECT returns the ids of one author as a JSON array.
        format!(
            "SELECT own.value FROM json_each($4) AS author, \
             json_each((SELECT json_group_array(id) FROM ({ids_of_author}))) AS own"
        )
    };
    format!("SELECT {COLUMNS} FROM messages WHERE id IN ({ids}) ORDER BY id LIMIT $3")
}

/// Deletes all messages of a room by setting the room's marks, and returns the number of messages.
async fn clear(tx: &Tx<'_>, room: RoomId) -> Result<u64> {
    // A clear gets its own sequence number, so that it has a position among the room's messages.
    let sql = "UPDATE rooms SET last_seq = last_seq + 1, last_message_seq = 0, \
               cleared_seq = last_seq + 1, has_garbage = has_garbage OR message_count > 0 \
               WHERE id = $1 AND deleted_at IS NULL RETURNING message_count";
    let row = tx.one(sql, [room.0.into()]).await?;
    let row = row.ok_or_else(|| Error::missing("room", room))?;
    let count = Row::new("rooms", "id", &row).unsigned("message_count")?;
    // The first statement may have waited for other transactions that held the room's lock. Only a
    // separate statement sees the messages of these transactions.
    let sql = "UPDATE rooms SET message_count = 0, cleared_id = COALESCE(\
               (SELECT MAX(id) FROM messages WHERE room_id = $1), cleared_id) WHERE id = $1";
    tx.run(sql, [room.0.into()]).await?;
    let sql = "DELETE FROM answer_counts WHERE room_id = $1";
    tx.run(sql, [room.0.into()]).await?;
    Ok(count)
}

#[async_trait]
impl Messages for SqlStore {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND id < $2 AND {} \
             ORDER BY id DESC LIMIT $3",
            is_after("0")
        );
        let before = before.map_or(i64::MAX, |before| before.0);
        let values = [room.0.into(), before.into(), limit_value(limit)];
        let rows = self.database.read().all(&sql, values).await?;
        to_oldest_first(&rows).map(Page::from)
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND {} ORDER BY id LIMIT $3",
            is_after("$2")
        );
        let values = [room.0.into(), after.0.into(), limit_value(limit)];
        let rows = self.database.read().all(&sql, values).await?;
        rows.iter().map(to_message).collect()
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: MessageId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        if authors.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let sql = by_authors_sql(read.is_postgres());
        let list = read.id_list(authors.iter().map(|author| author.0));
        let values = [room.0.into(), after.0.into(), limit_value(limit), list];
        let rows = read.all(&sql, values).await?;
        rows.iter().map(to_message).collect()
    }

    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        // Within a room, ids rise with sequence numbers. So the agent's last message is its message
        // with the highest id, which the index `messages_author` finds. The order by `seq` uses the
        // same index as the condition. An order by `id` would sort all unanswered messages.
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND seq > (\
             SELECT CASE WHEN last.seq > m.joined_after_seq THEN last.seq \
             ELSE m.joined_after_seq END FROM members m, (\
             SELECT COALESCE((SELECT seq FROM messages WHERE room_id = $1 AND agent_id = $2 \
             AND {} ORDER BY id DESC LIMIT 1), r.cleared_seq) AS seq \
             FROM rooms r WHERE r.id = $1) last \
             WHERE m.room_id = $1 AND m.agent_id = $2) ORDER BY seq DESC LIMIT $3",
            is_after("0")
        );
        let values = [room.0.into(), agent.0.into(), limit_value(limit)];
        let rows = self.database.read().all(&sql, values).await?;
        to_oldest_first(&rows)
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let sql = "SELECT r.last_seq, a.agent_id, a.answers FROM rooms r \
                   LEFT JOIN answer_counts a ON a.room_id = r.id \
                   WHERE r.id = $1 AND r.deleted_at IS NULL";
        let mut counts = None;
        for row in &self.database.read().all(sql, [room.0.into()]).await? {
            let row = Row::new("answer_counts", "agent_id", row);
            let counts = counts.get_or_insert_with(AnswerCounts::default);
            counts.last_seq = Seq(row.get("last_seq")?);
            // A room without answers yields one row whose `agent_id` is null.
            if let Some(agent) = row.get::<Option<i64>>("agent_id")? {
                let answers = row.unsigned("answers")?;
                counts.by_agent.insert(AgentId(agent), answers);
            }
        }
        Ok(counts.map(Arc::new))
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let sql = format!(
            "SELECT r.last_seq, newest.* FROM rooms r LEFT JOIN (\
             SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND {} \
             ORDER BY id DESC LIMIT $2) newest \
             ON TRUE WHERE r.id = $1 AND r.deleted_at IS NULL ORDER BY newest.id",
            is_after("0")
        );
        let values = [room.0.into(), limit_value(limit)];
        let rows = self.database.read().all(&sql, values).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let first = Row::new("rooms", "id", first);
        // A room without messages yields one row whose message columns are null.
        let messages = match first.get::<Option<i64>>("id")? {
            Some(_) => rows.iter().map(to_message).collect::<Result<_>>()?,
            None => Vec::new(),
        };
        Ok(Some(LogEnd {
            last_seq: Seq(first.get("last_seq")?),
            messages,
        }))
    }

    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let sql = format!(
            "SELECT m.id, m.image_media_type, i.data FROM messages m \
             JOIN images i ON i.message_id = m.id \
             WHERE m.room_id = $1 AND m.{} AND {} ORDER BY m.id",
            is_after("0"),
            read.is_one_of("m.id", 2)
        );
        let list = read.id_list(messages.iter().map(|message| message.0));
        let rows = read.all(&sql, [room.0.into(), list]).await?;
        rows.iter().map(to_image).collect()
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        self.database
            .write(move |tx| Box::pin(async move { append(tx, &new).await }))
            .await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        let _wake = self.purge.wake_on_drop();
        self.database
            .write(move |tx| Box::pin(async move { clear(tx, room).await }))
            .await
    }
}
