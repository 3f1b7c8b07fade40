//! The implementation of the port `Messages` in SQL.

pub(crate) mod append;
mod log;
mod remove;
mod rows;
pub(crate) mod sends;

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    AgentId, AnswerCounts, Error, Image, LogEnd, Message, MessageId, Messages, NewMessage, Page,
    Removal, Result, RoomId, Sent, Seq, UserId,
};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, JoinType, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, RelationTrait as _,
    sea_query::{Expr, ExprTrait as _},
};

use crate::{
    sql::{
        connection::{Tx, limit_value, row_limit},
        error::DbError,
        rows::{Columns, first_value, model, partial_model},
        tables::{
            answer_counts, images,
            messages::{Column, Entity},
            removals, rooms,
        },
    },
    store::SqlStore,
};
use append::append;
use log::{START, is_after, is_after_text, log_after};
use rows::{CountRow, NewestId, to_image, to_oldest_first, to_page};

/// Returns the statement for [`Messages::by_authors`]. Its parameters are the room, the message id
/// to start after, the limit, and the list of authors. `order` is `ASC` or `DESC`.
///
/// For each author, the statement reads at most `limit` ids from the index `messages_author`. A
/// condition `agent_id IN (…)` would read the whole room if the authors have written nothing.
fn by_authors_sql(is_postgres: bool, order: &str) -> String {
    let ids_of_author = format!(
        "SELECT id FROM messages WHERE room_id = $1 AND {} \
         AND agent_id = author.value ORDER BY id {order} LIMIT $3",
        is_after_text("$2")
    );
    let ids = if is_postgres {
        format!(
            "SELECT own.id FROM unnest($4::BIGINT[]) AS author (value) \
             CROSS JOIN LATERAL ({ids_of_author}) AS own"
        )
    } else {
        // SQLite has no LATERAL. The inner SELECT returns the ids of one author as a JSON array.
        format!(
            "SELECT own.value FROM json_each($4) AS author, \
             json_each((SELECT json_group_array(id) FROM ({ids_of_author}))) AS own"
        )
    };
    format!("SELECT * FROM messages WHERE id IN ({ids}) ORDER BY id {order} LIMIT $3")
}

/// Deletes all messages of a room by setting the room's marks, and returns the number of messages.
async fn clear(tx: &Tx<'_>, room: RoomId) -> Result<u64> {
    use rooms::Column::{
        ClearedId, ClearedSeq, DeletedAt, HasGarbage, Id, LastMessageSeq, LastSeq, MessageCount,
    };
    let next_seq = || Expr::col(LastSeq).add(1);
    // A clear gets its own sequence number, so that it has a position among the room's messages.
    let update = rooms::Entity::update_many()
        .filter(Id.eq(room.0))
        .filter(DeletedAt.is_null())
        .col_expr(LastSeq, next_seq())
        .col_expr(ClearedSeq, next_seq())
        .col_expr(LastMessageSeq, Expr::value(0))
        .col_expr(
            HasGarbage,
            Expr::col(HasGarbage).or(Expr::col(MessageCount).gt(0)),
        );
    let row = tx.update_one(update).await.map_err(DbError::into_error)?;
    let row = model::<rooms::Entity>(&row.ok_or_else(|| Error::missing("room", room))?)?;
    let columns = Columns::<rooms::Entity>::of_row(row.id);
    let count = columns.unsigned(MessageCount, row.message_count)?;
    // The first statement may have waited for other transactions that held the room's lock. Only a
    // separate statement sees the messages of these transactions.
    let last = Entity::find()
        .select_only()
        .column_as(Column::Id.max(), "id")
        .filter(Column::RoomId.eq(room.0));
    let last = tx.select_one(last).await?;
    let last = last.as_ref().map(first_value::<Option<i64>>).transpose()?;
    let mut update = rooms::Entity::update_many()
        .filter(Id.eq(room.0))
        .col_expr(MessageCount, Expr::value(0));
    if let Some(last) = last.flatten() {
        update = update.col_expr(ClearedId, Expr::value(last));
    }
    tx.run(&update).await?;
    let removals = removals::Entity::delete_many();
    tx.run(&removals.filter(removals::Column::RoomId.eq(room.0)))
        .await?;
    let counts = answer_counts::Entity::delete_many();
    tx.run(&counts.filter(answer_counts::Column::RoomId.eq(room.0)))
        .await?;
    Ok(count)
}

#[async_trait]
impl Messages for SqlStore {
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page> {
        let mut query = log_after(room, START);
        if let Some(before) = before {
            query = query.filter(Column::Id.lt(before.0));
        }
        let query = query.order_by_desc(Column::Id).limit(row_limit(limit));
        let rows = self.database.read().select(query).await?;
        to_oldest_first(&rows).map(Page::from)
    }

    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page> {
        let query = log_after(room, after)
            .order_by_asc(Column::Id)
            .limit(row_limit(limit));
        let rows = self.database.read().select(query).await?;
        to_page(&rows).map(Page::from)
    }

    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>> {
        if authors.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.database.read();
        let order = if after.is_some() { "ASC" } else { "DESC" };
        let sql = by_authors_sql(read.is_postgres(), order);
        let list = read.id_list(authors.iter().map(|author| author.0));
        let after = after.unwrap_or(START);
        let values = [room.0.into(), after.0.into(), limit_value(limit), list];
        let rows = read
            .query_text(&sql, values)
            .await
            .map_err(DbError::into_error)?;
        if order == "DESC" {
            return to_oldest_first(&rows);
        }
        to_page(&rows)
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
            "SELECT * FROM messages WHERE room_id = $1 AND seq > (\
             SELECT CASE WHEN last.seq > m.joined_after_seq THEN last.seq \
             ELSE m.joined_after_seq END FROM members m, (\
             SELECT COALESCE((SELECT seq FROM messages WHERE room_id = $1 AND agent_id = $2 \
             AND {} ORDER BY id DESC LIMIT 1), r.cleared_seq) AS seq \
             FROM rooms r WHERE r.id = $1) last \
             WHERE m.room_id = $1 AND m.agent_id = $2) ORDER BY seq DESC LIMIT $3",
            is_after_text("0")
        );
        let values = [room.0.into(), agent.0.into(), limit_value(limit)];
        let rows = self.database.read().query_text(&sql, values).await;
        to_oldest_first(&rows.map_err(DbError::into_error)?)
    }

    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>> {
        let query = rooms::Entity::find()
            .filter(rooms::Column::Id.eq(room.0))
            .filter(rooms::Column::DeletedAt.is_null())
            .join_rev(JoinType::LeftJoin, answer_counts::Relation::Room.def())
            .select_only()
            .column(rooms::Column::LastSeq)
            .columns([
                answer_counts::Column::AgentId,
                answer_counts::Column::Answers,
            ]);
        let mut counts = None;
        for row in &self.database.read().select(query).await? {
            let row: CountRow = partial_model(row, "the answer counts of a room")?;
            let counts = counts.get_or_insert_with(AnswerCounts::default);
            counts.last_seq = Seq(row.last_seq);
            // A room without answers yields one row whose `agent_id` is null.
            if let (Some(agent), Some(answers)) = (row.agent_id, row.answers) {
                let columns = Columns::<answer_counts::Entity>::of_row(agent);
                let answers = columns.unsigned(answer_counts::Column::Answers, answers)?;
                counts.by_agent.insert(AgentId(agent), answers);
            }
        }
        Ok(counts.map(Arc::new))
    }

    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>> {
        let sql = format!(
            "SELECT r.last_seq, newest.* FROM rooms r LEFT JOIN (\
             SELECT * FROM messages WHERE room_id = $1 AND {} \
             ORDER BY id DESC LIMIT $2) newest \
             ON TRUE WHERE r.id = $1 AND r.deleted_at IS NULL ORDER BY newest.id",
            is_after_text("0")
        );
        let values = [room.0.into(), limit_value(limit)];
        let rows = self.database.read().query_text(&sql, values).await;
        let rows = rows.map_err(DbError::into_error)?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        // A room without messages yields one row whose message columns are null.
        let newest: NewestId = partial_model(first, "the end of a log")?;
        let messages = if newest.id.is_some() {
            to_page(&rows)?
        } else {
            Vec::new()
        };
        Ok(Some(LogEnd {
            last_seq: Seq(first_value(first)?),
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
        // The list restricts messages. If it restricted images, SQLite would read the whole room.
        let query = images::Entity::find()
            .inner_join(Entity)
            .select_only()
            .columns([images::Column::MessageId, images::Column::Data])
            .column(Column::ImageMediaType)
            .filter(Column::RoomId.eq(room.0))
            .filter(is_after(room, START))
            .filter(read.is_one_of(Column::Id, messages.iter().map(|id| id.0)))
            .order_by_asc(Column::Id);
        let rows = read.select(query).await?;
        rows.iter().map(to_image).collect()
    }

    async fn image_bytes(&self, owner: &UserId) -> Result<u64> {
        // `SUM` is numeric on PostgreSQL.
        let sql = "SELECT CAST(COALESCE(SUM(images.bytes), 0) AS BIGINT) FROM rooms \
                   JOIN messages ON messages.room_id = rooms.id \
                   AND messages.id > rooms.cleared_id AND messages.image_media_type IS NOT NULL \
                   JOIN images ON images.message_id = messages.id \
                   WHERE rooms.owner = $1 AND rooms.deleted_at IS NULL";
        let rows = self
            .database
            .read()
            .query_text(sql, [owner.as_str().into()])
            .await;
        let rows = rows.map_err(DbError::into_error)?;
        let bytes = rows.first().map(first_value::<i64>).transpose()?;
        Ok(bytes.unwrap_or(0).unsigned_abs())
    }

    async fn removals(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Removal>> {
        remove::removals(&self.database, room, after, limit).await
    }

    async fn find_sent(&self, user: &UserId, key: &str) -> Result<Option<Sent>> {
        sends::find_sent(&self.database, user, key).await
    }

    async fn append(&self, new: NewMessage) -> Result<Arc<Message>> {
        self.database
            .write_identified(move |tx| Box::pin(async move { append(tx, &new).await }))
            .await
    }

    async fn remove(&self, room: RoomId, message: MessageId) -> Result<()> {
        self.database
            .write(move |tx| Box::pin(async move { remove::remove(tx, room, message).await }))
            .await
    }

    async fn clear(&self, room: RoomId) -> Result<u64> {
        let _wake = self.purge.wake_on_drop();
        self.database
            .write(move |tx| Box::pin(async move { clear(tx, room).await }))
            .await
    }
}
