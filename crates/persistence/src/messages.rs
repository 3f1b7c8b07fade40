//! Messages in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    AgentId, AnswerCounts, Error, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page,
    ParticipantType, Result, Role, RoomId, Seq,
};
use sea_orm::{QueryResult, Value};

use crate::{
    db::{Tx, places},
    rows::{Row, now},
    sql::{SqlStore, limit_of},
};

const COLUMNS: &str = "id, room_id, seq, agent_id, content, role, participant_type, participant_name, thinking, anthropic_calls, timestamp, \
                       image_media_type, interrupted";

pub(crate) fn message(row: &QueryResult) -> Result<Arc<Message>> {
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

fn oldest_first(rows: &[QueryResult]) -> Result<Vec<Arc<Message>>> {
    rows.iter().rev().map(message).collect()
}

/// Appends under the room's row lock, which the transaction holds from here on.
pub(crate) async fn append(tx: &Tx<'_>, new: &NewMessage) -> Result<Arc<Message>> {
    let at = now();
    let bump = "UPDATE rooms SET last_seq = last_seq + 1, last_message_seq = last_seq + 1, \
                last_user_seq = CASE WHEN $2 THEN last_seq + 1 ELSE last_user_seq END, \
                last_activity_at = CASE WHEN $3 THEN $4 ELSE last_activity_at END WHERE id = $1 RETURNING last_seq";
    let values = [
        new.room.0.into(),
        new.is_from_user().into(),
        new.is_activity().into(),
        at.into(),
    ];
    let Some(room) = tx.one(bump, values).await? else {
        return Err(Error::missing("room", new.room));
    };
    let seq: i64 = Row::new("rooms", "id", &room).get("last_seq")?;
    let calls = new
        .anthropic_calls
        .as_ref()
        .map(|calls| serde_json::to_string(calls).expect("text is always JSON"));
    let insert = format!(
        "INSERT INTO messages (room_id, seq, agent_id, content, role, participant_type, participant_name, thinking, anthropic_calls, timestamp, \
         image_media_type, interrupted) VALUES ({}) RETURNING {COLUMNS}",
        places(1, 12)
    );
    let values: [Value; 12] = [
        new.room.0.into(),
        seq.into(),
        new.author.map(|author| author.0).into(),
        new.content.clone().into(),
        new.role.as_str().into(),
        new.participant_type
            .map(|kind| kind.as_str().to_owned())
            .into(),
        new.participant_name.clone().into(),
        new.thinking.clone().into(),
        calls.into(),
        at.into(),
        new.image
            .as_ref()
            .map(|image| image.media_type.clone())
            .into(),
        new.interrupted.into(),
    ];
    let row = tx
        .one(&insert, values)
        .await?
        .ok_or_else(|| Error::unavailable("an insert returned no row"))?;
    let stored = message(&row)?;
    if let Some(image) = &new.image {
        tx.run(
            "INSERT INTO images (message_id, data) VALUES ($1, $2)",
            [stored.id.0.into(), image.data.clone().into()],
        )
        .await?;
    }
    Ok(stored)
}

#[async_trait]
impl Messages for SqlStore {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        );
        let before = before.map_or(i64::MAX, |before| before.0);
        oldest_first(
            &self
                .db
                .read()
                .all(&sql, [room.0.into(), before.into(), limit_of(limit)])
                .await?,
        )
        .map(Page::from)
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND id > $2 ORDER BY id LIMIT $3"
        );
        let rows = self
            .db
            .read()
            .all(&sql, [room.0.into(), after.0.into(), limit_of(limit)])
            .await?;
        rows.iter().map(message).collect()
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
        let among = places(4, authors.len());
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND id > $2 AND agent_id IN ({among}) ORDER BY id LIMIT $3"
        );
        let values = [room.0.into(), after.0.into(), limit_of(limit)]
            .into_iter()
            .chain(authors.iter().map(|author| author.0.into()));
        self.db
            .read()
            .all(&sql, values)
            .await?
            .iter()
            .map(message)
            .collect()
    }

    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM messages WHERE room_id = $1 AND seq > (SELECT CASE WHEN last.seq > m.joined_after_seq THEN last.seq \
             ELSE m.joined_after_seq END FROM members m, (SELECT COALESCE(MAX(seq), 0) AS seq FROM messages WHERE room_id = $1 AND agent_id = $2) last \
             WHERE m.room_id = $1 AND m.agent_id = $2) ORDER BY id DESC LIMIT $3"
        );
        oldest_first(
            &self
                .db
                .read()
                .all(&sql, [room.0.into(), agent.0.into(), limit_of(limit)])
                .await?,
        )
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let sql = "SELECT r.last_seq, m.agent_id, COUNT(m.id) AS answers FROM rooms r \
                   LEFT JOIN messages m ON m.room_id = r.id AND m.agent_id IS NOT NULL WHERE r.id = $1 GROUP BY r.last_seq, m.agent_id";
        let mut answers = None;
        for row in &self.db.read().all(sql, [room.0.into()]).await? {
            let row = Row::new("messages", "answers", row);
            let answers = answers.get_or_insert_with(AnswerCounts::default);
            answers.last_seq = Seq(row.get("last_seq")?);
            // A room in which no agent spoke gives one row without an agent.
            if let Some(agent) = row.get::<Option<i64>>("agent_id")? {
                answers
                    .by_agent
                    .insert(AgentId(agent), row.count("answers")?);
            }
        }
        Ok(answers.map(Arc::new))
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let sql = format!(
            "SELECT r.last_seq, m.* FROM rooms r LEFT JOIN (SELECT {COLUMNS} FROM messages WHERE room_id = $1 ORDER BY id DESC LIMIT $2) m \
             ON TRUE WHERE r.id = $1 ORDER BY m.id"
        );
        let rows = self
            .db
            .read()
            .all(&sql, [room.0.into(), limit_of(limit)])
            .await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let first = Row::new("rooms", "id", first);
        // An empty room gives one row without a message.
        let messages = match first.get::<Option<i64>>("id")? {
            Some(_) => rows.iter().map(message).collect::<Result<_>>()?,
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
        let among = places(2, messages.len());
        let sql = format!(
            "SELECT m.id, m.image_media_type, i.data FROM messages m JOIN images i ON i.message_id = m.id \
             WHERE m.room_id = $1 AND m.id IN ({among}) ORDER BY m.id"
        );
        let values = [room.0.into()]
            .into_iter()
            .chain(messages.iter().map(|message| message.0.into()));
        let rows = self.db.read().all(&sql, values).await?;
        let image = |row: &QueryResult| {
            let row = Row::new("messages", "id", row);
            Ok((
                MessageId(row.get("id")?),
                Arc::new(Image {
                    media_type: row.get("image_media_type")?,
                    data: row.get("data")?,
                }),
            ))
        };
        rows.iter().map(image).collect()
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        self.db
            .write(move |tx| Box::pin(async move { append(tx, &new).await }))
            .await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let bump = "UPDATE rooms SET last_seq = last_seq + 1, last_message_seq = 0 WHERE id = $1";
                    if tx.run(bump, [room.0.into()]).await? == 0 {
                        return Err(Error::missing("room", room));
                    }
                    tx.run("DELETE FROM messages WHERE room_id = $1", [room.0.into()]).await
                })
            })
            .await
    }
}
