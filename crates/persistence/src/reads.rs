//! Read positions, sessions, settling and health in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    AgentId, Error, Health, ReadPosition, ReadPositions, Result, RoomId, Seq, Session, Sessions,
    Settle, UserId,
};
use sea_orm::QueryResult;

use crate::{
    db::places,
    rows::{Row, now},
    sql::SqlStore,
};

const COLUMNS: &str = "room_id, read_seq, read_at, version";

fn position(row: &QueryResult) -> Result<Arc<ReadPosition>> {
    let row = Row::new("read_positions", "room_id", row);
    Ok(Arc::new(ReadPosition {
        room: RoomId(row.get("room_id")?),
        read_seq: Seq(row.get("read_seq")?),
        read_at: row.time("read_at")?,
        version: row.count("version")?,
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
        let among = places(2, rooms.len());
        let sql = format!(
            "SELECT {COLUMNS} FROM read_positions WHERE user_id = $1 AND room_id IN ({among}) ORDER BY room_id"
        );
        let values = [user.as_str().into()]
            .into_iter()
            .chain(rooms.iter().map(|room| room.0.into()));
        self.db
            .read()
            .all(&sql, values)
            .await?
            .iter()
            .map(position)
            .collect()
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = format!(
                        "INSERT INTO read_positions (user_id, room_id, read_seq, read_at) SELECT $1, id, last_seq, $3 FROM rooms WHERE id = $2 \
                         ON CONFLICT (user_id, room_id) DO UPDATE SET read_seq = excluded.read_seq, read_at = excluded.read_at, \
                         version = read_positions.version + 1 RETURNING {COLUMNS}"
                    );
                    // The row lock: no message gets its place between the look at the room and the mark.
                    tx.run("UPDATE rooms SET version = version WHERE id = $1", [room.0.into()]).await?;
                    let row = tx.one(&sql, [user.as_str().into(), room.0.into(), now().into()]).await?;
                    position(&row.ok_or_else(|| Error::missing("room", room))?)
                })
            })
            .await
    }
}

#[async_trait]
impl Sessions for SqlStore {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let sql = "SELECT agent_id, session_id FROM sessions WHERE room_id = $1 ORDER BY agent_id";
        let session = |row: &QueryResult| {
            let row = Row::new("sessions", "agent_id", row);
            Ok(Session {
                agent: AgentId(row.get("agent_id")?),
                session_id: row.get("session_id")?,
            })
        };
        self.db
            .read()
            .all(sql, [room.0.into()])
            .await?
            .iter()
            .map(session)
            .collect()
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO sessions (room_id, agent_id, session_id) SELECT room_id, agent_id, $3 FROM members \
                               WHERE room_id = $1 AND agent_id = $2 \
                               ON CONFLICT (room_id, agent_id) DO UPDATE SET session_id = excluded.session_id";
                    match tx.run(sql, [room.0.into(), agent.0.into(), session_id.into()]).await? {
                        0 => Err(Error::missing("member", agent)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}

#[async_trait]
impl Settle for SqlStore {
    async fn settle(&self) -> Result<()> {
        self.db.settle().await?;
        self.files.settle().await?;
        if self.files.is_unsure() {
            let turn = self.files.turn().await;
            self.recover(&turn).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Health for SqlStore {
    async fn check(&self) -> Result<()> {
        self.db.check().await
    }
}
