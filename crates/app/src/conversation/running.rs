//! The rooms whose conversation is running.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::RoomId;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::trigger::Trigger;

/// A map from each room whose conversation is running to the channel of its task.
///
/// Sending a trigger and ending a task take the same lock. Otherwise a trigger could be sent to a
/// task that has just decided to end, and be lost.
#[derive(Debug, Default)]
pub(super) struct RunningRooms(Mutex<HashMap<RoomId, UnboundedSender<Trigger>>>);

impl RunningRooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, UnboundedSender<Trigger>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a trigger to the room's task.
    ///
    /// If no task is running, registers the room and returns the receiver for a new task. The
    /// channel then contains the trigger.
    pub(super) fn send(
        &self,
        room: RoomId,
        trigger: Trigger,
    ) -> Option<UnboundedReceiver<Trigger>> {
        let mut rooms = self.lock();
        let trigger = match rooms.get(&room).map(|task| task.send(trigger.clone())) {
            Some(Ok(())) => return None,
            // The receiver was dropped: the task panicked before it could remove its room.
            Some(Err(unsent)) => unsent.0,
            None => trigger,
        };
        let (sender, triggers) = mpsc::unbounded_channel();
        sender.send(trigger).expect("the receiver still exists");
        rooms.insert(room, sender);
        Some(triggers)
    }

    /// Removes the room if no trigger is queued. Otherwise keeps the room and returns the next
    /// trigger.
    pub(super) fn remove_if_idle(
        &self,
        room: RoomId,
        triggers: &mut UnboundedReceiver<Trigger>,
    ) -> Option<Trigger> {
        let mut rooms = self.lock();
        let next = triggers.try_recv().ok();
        if next.is_none() {
            rooms.remove(&room);
        }
        next
    }

    /// Returns the number of running conversations.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
