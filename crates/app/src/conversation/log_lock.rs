//! Locks that serialize the writes to each room's log, and count them.
//!
//! An agent's turn compares the counts before and after it composes an answer. So it detects that a
//! person wrote, or that the log was cleared, in the meantime.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use domain::RoomId;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

/// The numbers of user messages and of clears in one room since the room's lock was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteCounts {
    pub(crate) user_messages: u64,
    pub(crate) clears: u64,
}

/// A lock that each writer to a room's log holds during the write.
#[derive(Debug, Default)]
pub(crate) struct LogLock(AsyncMutex<WriteCounts>);

impl LogLock {
    pub(crate) async fn lock(&self) -> MutexGuard<'_, WriteCounts> {
        self.0.lock().await
    }
}

/// The locks of the rooms in which a person is writing or an agent is answering.
#[derive(Debug, Default)]
pub(crate) struct LogLocks(Mutex<HashMap<RoomId, Weak<LogLock>>>);

impl LogLocks {
    /// Returns the room's lock. The lock and its counts exist as long as a caller holds the `Arc`.
    pub(crate) fn for_room(&self, room: RoomId) -> Arc<LogLock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&room).and_then(Weak::upgrade) {
            return lock;
        }
        // Entries of dropped locks are removed before the map would grow. So its size depends on
        // the number of locks in use, not on the number of rooms.
        if locks.len() >= locks.capacity() {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::default();
        locks.insert(room, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_is_shared_while_it_is_in_use_and_removed_then() {
        let locks = LogLocks::default();
        let lock = locks.for_room(RoomId(1));
        lock.lock().await.user_messages += 1;
        assert_eq!(locks.for_room(RoomId(1)).lock().await.user_messages, 1);
        drop(lock);
        assert_eq!(
            *locks.for_room(RoomId(1)).lock().await,
            WriteCounts::default()
        );
        for room in 0..10_000 {
            drop(locks.for_room(RoomId(room)));
        }
        assert!(locks.0.lock().unwrap().len() < 100);
    }
}
