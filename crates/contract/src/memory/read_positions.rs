//! Read positions, sessions, settling and health in the in-memory backend.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;

use super::Memory;
use domain::{
    AgentId, Change, Error, Health, ReadPosition, ReadPositions, Result, RoomId, Session, Sessions,
    Settle, UserId,
};

#[async_trait]
impl ReadPositions for Memory {
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>> {
        Ok(self
            .tables()
            .rooms
            .get(&room)
            .and_then(|row| row.reads.get(user))
            .cloned())
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        let tables = self.tables();
        let rooms: BTreeSet<_> = rooms.iter().collect();
        Ok(rooms
            .into_iter()
            .filter_map(|room| tables.rooms.get(room)?.reads.get(user))
            .cloned()
            .collect())
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let version = row.reads.get(&user).map_or(0, |position| position.version) + 1;
        let position = Arc::new(ReadPosition {
            room,
            read_seq: row.activity.last_seq,
            read_at: Utc::now(),
            version,
        });
        row.reads.insert(user.clone(), position.clone());
        tables.log.add(Change::RoomRead(user, room));
        Ok(position)
    }
}

#[async_trait]
impl Sessions for Memory {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let tables = self.tables();
        let sessions = tables
            .rooms
            .get(&room)
            .into_iter()
            .flat_map(|row| &row.sessions);
        Ok(sessions
            .map(|(&agent, session_id)| Session {
                agent,
                session_id: session_id.clone(),
            })
            .collect())
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        if !row.members.iter().any(|member| member.agent == agent) {
            return Err(Error::missing("member", agent));
        }
        row.sessions.insert(agent, session_id);
        tables.log.add(Change::SessionsChanged(room));
        Ok(())
    }
}

#[async_trait]
impl Settle for Memory {
    async fn settle(&self) -> Result<()> {
        // Each write holds the mutex from its first change to its last. Once this call has locked
        // the mutex, no earlier write is in progress.
        drop(self.tables());
        Ok(())
    }
}

#[async_trait]
impl Health for Memory {
    async fn check(&self) -> Result<()> {
        Ok(())
    }
}
