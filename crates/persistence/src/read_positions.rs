//! The implementation of the port `ReadPositions` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, ReadPosition, ReadPositions, Result, RoomId, Seq, UserId};
use sea_orm::QueryResult;

use crate::{
    rooms::lock_room,
    sql::rows::{Row, now},
    store::SqlStore,
};

const COLUMNS: &str = "room_id, read_seq, read_at, version";

fn to_position(row: &QueryResult) -> Result<Arc<ReadPosition>> {
    let row = Row::new("read_positions", "room_id", row);
    Ok(Arc::new(ReadPosition {
        room: RoomId(row.get("room_id")?),
        read_seq: Seq(row.get("read_seq")?),
        read_at: row.time("read_at")?,
        version: row.unsigned("version")?,
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
        let sql = format!(
            "SELECT {COLUMNS} FROM read_positions WHERE user_id = $1 AND {} ORDER BY room_id",
            read.is_one_of("room_id", 2)
        );
        let list = read.id_list(rooms.iter().map(|room| room.0));
        let rows = read.all(&sql, [user.as_str().into(), list]).await?;
        rows.iter().map(to_position).collect()
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        let upsert = format!(
            "INSERT INTO read_positions (user_id, room_id, read_seq, read_at) \
             SELECT $1, id, last_seq, $3 FROM rooms WHERE id = $2 AND deleted_at IS NULL \
             ON CONFLICT (user_id, room_id) DO UPDATE SET read_seq = excluded.read_seq, \
             read_at = excluded.read_at, version = read_positions.version + 1 RETURNING {COLUMNS}"
        );
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    // Locks the room, so that no message gets a sequence number after `last_seq` is
                    // read and before it is stored.
                    lock_room(tx, room).await?;
                    let values = [user.as_str().into(), room.0.into(), now().into()];
                    let row = tx.one(&upsert, values).await?;
                    to_position(&row.ok_or_else(|| Error::missing("room", room))?)
                })
            })
            .await
    }
}
