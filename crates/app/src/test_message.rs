//! A message for unit tests.

use std::sync::Arc;

use domain::{Message, MessageId, Role, RoomId, Seq};

/// Returns a message of a person. Its id is also its sequence number.
pub(crate) fn message(id: i64, content: String) -> Arc<Message> {
    Arc::new(Message {
        id: MessageId(id),
        room: RoomId(1),
        seq: Seq(id),
        author: None,
        content,
        role: Role::User,
        participant_type: None,
        participant_name: None,
        thinking: None,
        anthropic_calls: None,
        timestamp: chrono::DateTime::default(),
        image_media_type: None,
        interrupted: false,
    })
}
