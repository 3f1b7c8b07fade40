//! Rooms, who is in them, and how far they were read.

use crate::{AgentId, Message, RoomId, RoomName, Seq, Timestamp, UserId};
use std::sync::Arc;

/// What rarely changes of a room. A message changes none of it; see [`Activity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Never used twice.
    pub id: RoomId,
    /// Who made it, and may enter besides the administrator.
    pub owner: UserId,
    /// Unique for its owner among rooms that are not direct.
    pub name: RoomName,
    /// The agent of a direct room, unique for its owner.
    pub direct_agent: Option<AgentId>,
    /// How many answers agents may give in all; none is no limit.
    pub max_interactions: Option<u32>,
    /// Whether agents keep silent.
    pub is_paused: bool,
    /// The place in the log at which the conversation was finished.
    pub finished_seq: Option<Seq>,
    /// The text of the last failed answer.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Raised by each update; the first is 1.
    pub version: u64,
}

impl Room {
    /// Whether `user` may enter: the administrator everywhere, everybody else their own rooms.
    pub fn admits(&self, user: &UserId) -> bool {
        *user == UserId::admin() || *user == self.owner
    }

    /// Whether the conversation is over: finished at or after the last message of a user.
    pub fn is_finished(&self, activity: &Activity) -> bool {
        self.finished_seq
            .is_some_and(|finished| finished >= activity.last_user_seq)
    }
}

/// What changes of a room with each message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// The last place taken in the log, by a message or a clear; 0 before the first.
    pub last_seq: Seq,
    /// The place of the newest message that stands in the log now, as a reader counts unread; 0 if there is none.
    pub last_message_seq: Seq,
    /// The place of the last message of a user; 0 before the first.
    pub last_user_seq: Seq,
    /// When a user or an agent last spoke; system messages do not count.
    pub last_activity_at: Option<Timestamp>,
}

/// A room to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// Who makes it.
    pub owner: UserId,
    /// Must be free among the owner's rooms.
    pub name: RoomName,
    /// See [`Room::max_interactions`].
    pub max_interactions: Option<u32>,
}

/// What to change of a room. `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// Must be free among the owner's rooms.
    pub name: Option<RoomName>,
    /// `Some(None)` removes the limit.
    pub max_interactions: Option<Option<u32>>,
    /// Whether agents keep silent.
    pub is_paused: Option<bool>,
    /// True finishes the conversation at the room's last place in the log, false takes that back.
    pub is_finished: Option<bool>,
    /// `Some(None)` forgets the error.
    pub last_error: Option<Option<String>>,
}

/// An agent in a room. The agent may have been deleted since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The agent.
    pub agent: AgentId,
    /// The room's last place in the log when it joined, before any message of joining: it sees what came later.
    pub joined_after_seq: Seq,
    /// When it joined.
    pub joined_at: Timestamp,
}

/// What adding an agent to a room did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The membership, new or old.
    pub member: Member,
    /// The system message, if it was new and the room had messages.
    pub message: Option<Arc<Message>>,
}

/// How far a user has read a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    /// The room.
    pub room: RoomId,
    /// Everything at or below this place is read.
    pub read_seq: Seq,
    /// When it was last marked.
    pub read_at: Timestamp,
    /// Raised by each mark; the first is 1.
    pub version: u64,
}

/// An agent's session with its provider in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The agent.
    pub agent: AgentId,
    /// The provider's name for it.
    pub session_id: String,
}
