//! Helpers of the faults of appends: late writes, keys, and messages that are not stored.

use std::{
    mem,
    sync::{Arc, MutexGuard, PoisonError},
};

use domain::{Message, MessageId, NewMessage, SendKey, Seq};

use super::Planted;
use crate::memory::SentRow;

/// A guard for an append. If the caller is dropped, the guard queues the message, and the store
/// appends the message later.
pub(super) struct LateWrite<'a> {
    pub(super) planted: &'a Planted,
    pub(super) new: Option<NewMessage>,
}

impl Drop for LateWrite<'_> {
    fn drop(&mut self) {
        self.planted.late_writes().extend(self.new.take());
    }
}

impl Planted {
    fn late_writes(&self) -> MutexGuard<'_, Vec<NewMessage>> {
        self.late_writes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends the queued messages. Called by a read, so that the messages are appended after
    /// settling.
    pub(super) fn apply_late_writes(&self) {
        let late_writes = mem::take(&mut *self.late_writes());
        let mut tables = self.tables();
        for new in late_writes {
            // An error is ignored: the message's room may be deleted by now, and no caller waits
            // for a result.
            drop(tables.append(new));
        }
    }

    /// Forgets the earlier use of the message's key.
    pub(super) fn forget_key(&self, new: &NewMessage) {
        if let Some(SendKey { user, key, .. }) = &new.send_key {
            self.tables().sent.remove(&(user.clone(), key.clone()));
        }
    }

    /// Uses the message's key although its room is unknown.
    pub(super) fn use_key(&self, new: &NewMessage) {
        let mut tables = self.tables();
        if let Some(SendKey { user, key, digest }) = &new.send_key
            && !tables.rooms.contains_key(&new.room)
        {
            let row = SentRow {
                digest: digest.clone(),
                room: new.room,
                message: MessageId(0),
                at: chrono::Utc::now(),
            };
            tables.sent.insert((user.clone(), key.clone()), row);
        }
    }

    /// Returns a message as an existing room would have stored it, without storing the message.
    pub(super) fn unstored_message(&self, new: NewMessage) -> Arc<Message> {
        let mut tables = self.tables();
        tables.last_message += 1;
        Arc::new(Message {
            id: MessageId(tables.last_message),
            room: new.room,
            seq: Seq(1),
            author: new.author,
            content: new.content,
            role: new.role,
            participant_type: new.participant_type,
            participant_name: new.participant_name,
            thinking: new.thinking,
            anthropic_calls: new.anthropic_calls,
            timestamp: chrono::Utc::now(),
            image_media_type: None,
            interrupted: new.interrupted,
        })
    }
}
