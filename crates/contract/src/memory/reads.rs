//! How far users have read, the agents' sessions, and the store's own state.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::Utc;

use super::Memory;
use domain::{
    AgentId, Error, Health, ReadPosition, ReadPositions, Result, RoomId, Session, Sessions, Settle,
    UserId,
};

#[async_trait]
impl ReadPositions for Memory {
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>> {
        Ok(self
            .state()
            .rooms
            .get(&room)
            .and_then(|row| row.reads.get(user))
            .cloned())
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        let state = self.state();
        let rooms: BTreeSet<_> = rooms.iter().collect();
        Ok(rooms
            .into_iter()
            .filter_map(|room| state.rooms.get(room)?.reads.get(user))
            .cloned()
            .collect())
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        let mut state = self.state();
        let row = state.room_mut(room)?;
        let version = row.reads.get(&user).map_or(0, |position| position.version) + 1;
        let position = Arc::new(ReadPosition {
            room,
            read_seq: row.activity.last_seq,
            read_at: Utc::now(),
            version,
        });
        row.reads.insert(user, position.clone());
        Ok(position)
    }
}

#[async_trait]
impl Sessions for Memory {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        let state = self.state();
        let sessions = state
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
        let mut state = self.state();
        let row = state.room_mut(room)?;
        if !row.members.iter().any(|member| member.agent == agent) {
            return Err(Error::missing("member", agent));
        }
        row.sessions.insert(agent, session_id);
        Ok(())
    }
}

#[async_trait]
impl Settle for Memory {
    async fn settle(&self) -> Result<()> {
        // A write that does not hold the mutex is over or was never begun.
        drop(self.state());
        Ok(())
    }
}

#[async_trait]
impl Health for Memory {
    async fn check(&self) -> Result<()> {
        Ok(())
    }
}
