//! The rooms whose conversation runs.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::RoomId;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::trigger::Trigger;

/// A map from each room whose conversation runs to the channel of its task.
///
/// Triggers are sent, and tasks end, under one lock. Otherwise a trigger could reach a task that
/// has just decided to end, and be lost.
#[derive(Debug, Default)]
pub(super) struct RunningRooms(Mutex<HashMap<RoomId, UnboundedSender<Trigger>>>);

impl RunningRooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, UnboundedSender<Trigger>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a trigger to the room's task.
    ///
    /// If no task runs, registers the room and returns the channel for a new task, with the
    /// trigger in it.
    pub(super) fn send(
        &self,
        room: RoomId,
        trigger: Trigger,
    ) -> Option<UnboundedReceiver<Trigger>> {
        let mut rooms = self.lock();
        let trigger = match rooms.get(&room).map(|task| task.send(trigger.clone())) {
            Some(Ok(())) => return None,
            // The task panicked, so it could not remove its room.
            Some(Err(unsent)) => unsent.0,
            None => trigger,
        };
        let (sender, triggers) = mpsc::unbounded_channel();
        sender.send(trigger).expect("the receiver still exists");
        rooms.insert(room, sender);
        Some(triggers)
    }

    /// Removes the room unless another trigger has arrived, which is returned then.
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
