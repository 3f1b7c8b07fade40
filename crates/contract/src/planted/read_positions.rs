//! Faults of read positions, sessions, settling and health.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Planted, PlantedFault, hide_refusal};
use crate::pause::pause;
use domain::{
    AgentId, Error, Health, ReadPosition, ReadPositions, Result, RoomId, Seq, Session, Sessions,
    Settle, UserId,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ReadPositions for Planted {
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>> {
        if let Some(row) = self.deleted_room(PlantedFault::DeleteLeavesPositions, room) {
            return Ok(row.reads.get(user).cloned());
        }
        let found = ReadPositions::find(&*self.memory, user, room).await?;
        Ok(match self.fault {
            PlantedFault::FindPositionOfAnyUser => self
                .tables()
                .rooms
                .get(&room)
                .and_then(|row| row.reads.values().next())
                .cloned(),
            PlantedFault::FindPositionServesItsFirstResult => {
                self.remembered.positions.first((user.clone(), room), found)
            }
            _ => found,
        })
    }

    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>> {
        let found = ReadPositions::find_many(&*self.memory, user, rooms).await?;
        Ok(self.break_order(
            rooms,
            found,
            |read| read.room,
            PlantedFault::PositionsKeepTheOrderOfIds,
            Some(PlantedFault::PositionsAreRepeated),
        ))
    }

    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>> {
        let before = self
            .tables()
            .rooms
            .get(&room)
            .map(|row| row.activity.last_seq);
        let before = before.unwrap_or(Seq(0));
        if self.is(PlantedFault::MarkIsNotAtomic) {
            // A mark that has read less waits longer, so that marks are set in the wrong order.
            for _ in before.0..16 {
                pause().await;
            }
        }
        let marked = self.memory.mark(user.clone(), room).await;
        let unstored_message = || {
            Some(Arc::new(ReadPosition {
                room,
                read_seq: Seq(0),
                read_at: chrono::Utc::now(),
                version: 1,
            }))
        };
        let mut marked = hide_refusal(
            marked,
            self.is(PlantedFault::MarkSucceedsForUnknownRooms),
            unstored_message,
        )?;
        let mut tables = self.tables();
        let Ok(row) = tables.room_mut(room) else {
            return Ok(marked);
        };
        match self.fault {
            PlantedFault::MarkMovesAllUsers => row
                .reads
                .values_mut()
                .for_each(|read| Arc::make_mut(read).read_seq = marked.read_seq),
            PlantedFault::MarkKeepsTheVersion => Arc::make_mut(&mut marked).version = 1,
            PlantedFault::MarkIsNotAtomic => Arc::make_mut(&mut marked).read_seq = before,
            PlantedFault::MarkStopsAtTheLastMessage => {
                Arc::make_mut(&mut marked).read_seq = row.activity.last_message_seq;
            }
            _ => {}
        }
        row.reads.insert(user, marked.clone());
        Ok(marked)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Sessions for Planted {
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>> {
        if let Some(row) = self.deleted_room(PlantedFault::DeleteLeavesSessions, room) {
            return Ok(row
                .sessions
                .into_iter()
                .map(|(agent, session_id)| Session { agent, session_id })
                .collect());
        }
        let list = Sessions::list(&*self.memory, room).await?;
        Ok(match self.fault {
            PlantedFault::SessionsAreNotByAgent => list.iter().rev().cloned().collect(),
            PlantedFault::SessionsServeTheirFirstResult => {
                self.remembered.sessions.first(room, list)
            }
            _ => list,
        })
    }

    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()> {
        let saved = Sessions::save(&*self.memory, room, agent, session_id.clone()).await;
        let mut tables = self.tables();
        let row = tables.rooms.get_mut(&room);
        if self.is(PlantedFault::SaveAcceptsNonMembers)
            && let Some(row) = row
        {
            row.sessions.insert(agent, session_id);
            return Ok(());
        }
        saved?;
        match self.fault {
            PlantedFault::SaveReplacesAllSessions => tables
                .room_mut(room)?
                .sessions
                .retain(|other, _| *other == agent),
            PlantedFault::SaveReachesOtherRooms => {
                let rooms = tables
                    .rooms
                    .values_mut()
                    .filter(|row| row.members.iter().any(|member| member.agent == agent));
                rooms.for_each(|row| drop(row.sessions.insert(agent, session_id.clone())));
            }
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Settle for Planted {
    async fn settle(&self) -> Result<()> {
        // Under `SettleIsTooEarly` this call ends too early: `recent` appends the late messages
        // afterwards.
        self.memory.settle().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Health for Planted {
    async fn check(&self) -> Result<()> {
        if self.is(PlantedFault::CheckFails) {
            return Err(Error::unavailable("planted"));
        }
        self.memory.check().await
    }
}
