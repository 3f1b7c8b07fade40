//! The implementation of the port `Sessions` in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentId, Error, Result, RoomId, Session, Sessions};
use sea_orm::QueryResult;

use crate::{sql::rows::Row, store::SqlStore};

fn to_session(row: &QueryResult) -> Result<Session> {
    let row = Row::new("sessions", "agent_id", row);
    Ok(Session {
        agent: AgentId(row.get("agent_id")?),
        session_id: row.get("session_id")?,
    })
}

#[async_trait]
impl Sessions for SqlStore {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let sql = "SELECT agent_id, session_id FROM sessions WHERE room_id = $1 ORDER BY agent_id";
        let rows = self.database.read().all(sql, [room.0.into()]).await?;
        rows.iter().map(to_session).collect()
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        // The SELECT returns no row if the agent is not a member of the room. Then nothing is
        // inserted, and the call fails below.
        let upsert = "INSERT INTO sessions (room_id, agent_id, session_id) \
                      SELECT room_id, agent_id, $3 FROM members \
                      WHERE room_id = $1 AND agent_id = $2 \
                      ON CONFLICT (room_id, agent_id) DO UPDATE \
                      SET session_id = excluded.session_id";
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    let values = [room.0.into(), agent.0.into(), session_id.into()];
                    match tx.run(upsert, values).await? {
                        0 => Err(Error::missing("member", agent)),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}
