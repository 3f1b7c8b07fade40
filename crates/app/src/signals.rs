//! Wakes who waits for something new in a room.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use domain::RoomId;
use tokio::sync::Notify;

/// One bell per room that somebody waits in.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<Mutex<HashMap<RoomId, Weak<Notify>>>>);

impl Signals {
    /// The room's bell. To miss nothing, listen first, then read.
    pub fn bell(&self, room: RoomId) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&room).and_then(Weak::upgrade) {
            return bell;
        }
        bells.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::new(Notify::new());
        bells.insert(room, Arc::downgrade(&bell));
        bell
    }

    /// Something was written in the room.
    pub fn ring(&self, room: RoomId) {
        let bell = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&room).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }
}
