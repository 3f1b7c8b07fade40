//! Faults of removing messages and of clearing logs.

use std::sync::Arc;

use domain::{MessageId, Messages, Result, RoomId, Seq};

use super::{Planted, PlantedFault};

impl Planted {
    pub(super) async fn remove_message(&self, room: RoomId, message: MessageId) -> Result<()> {
        let before = self.tables().rooms.get(&room).cloned();
        if self.is(PlantedFault::RemoveReachesOtherRooms) {
            let mut tables = self.tables();
            for row in tables.rooms.values_mut() {
                row.messages
                    .retain(|found| found.id != message || found.room == room);
            }
        }
        let removed = Messages::remove(&*self.memory, room, message).await;
        if self.is(PlantedFault::RemoveSucceedsTwice) && before.is_some() {
            return Ok(());
        }
        removed?;
        let mut tables = self.tables();
        let row = tables.room_mut(room)?;
        let before = before.expect("the message was in the room");
        let activity = Arc::make_mut(&mut row.activity);
        match self.fault {
            PlantedFault::RemoveTakesNoSequenceNumber => {
                activity.last_seq = before.activity.last_seq;
            }
            PlantedFault::RemoveLeavesTheImage => row.images = before.images,
            PlantedFault::RemoveKeepsTheNewest => {
                activity.last_message_seq = before.activity.last_message_seq;
            }
            PlantedFault::RemoveRenumbersTheLog => {
                for (index, message) in (1..).zip(&mut row.messages) {
                    Arc::make_mut(message).seq = Seq(index);
                }
            }
            PlantedFault::RemoveIsNotListed => drop(row.removals.pop()),
            _ => {}
        }
        Ok(())
    }

    pub(super) async fn clear_log(&self, room: RoomId) -> Result<u64> {
        let before = self.tables().rooms.get(&room).cloned();
        let cleared = Messages::clear(&*self.memory, room).await?;
        let mut tables = self.tables();
        let Some(before) = before else {
            return Ok(cleared);
        };
        match self.fault {
            PlantedFault::ClearTakesNoSequenceNumber => {
                Arc::make_mut(&mut tables.room_mut(room)?.activity).last_seq =
                    before.activity.last_seq;
            }
            PlantedFault::ClearFreesIds => {
                tables.last_message = before
                    .messages
                    .first()
                    .map_or(tables.last_message, |first| first.id.0 - 1);
            }
            PlantedFault::ClearReturnsZero => return Ok(0),
            PlantedFault::ClearReachesOtherRooms => tables
                .rooms
                .values_mut()
                .for_each(|row| row.messages.clear()),
            PlantedFault::ClearForgetsTheLastUser => {
                Arc::make_mut(&mut tables.room_mut(room)?.activity).last_user_seq = Seq(0);
            }
            PlantedFault::ClearLeavesImages => tables.room_mut(room)?.images = before.images,
            PlantedFault::RemoveSurvivesAClear => {
                tables.room_mut(room)?.removals = before.removals;
            }
            _ => {}
        }
        Ok(cleared)
    }
}
