//! Rooms, their members, and the users' read positions.

use crate::{AgentId, Message, RoomId, RoomName, Seq, Timestamp, UserId};
use std::sync::Arc;

/// The part of a room that messages do not change. [`Activity`] is the part that messages change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The id, which is never reused.
    pub id: RoomId,
    /// The user who created the room. Only this user and the administrator may enter the room.
    pub owner: UserId,
    /// The name. It is unique among the owner's rooms, not counting direct rooms.
    pub name: RoomName,
    /// The agent of a direct room. An owner has at most one direct room with an agent.
    pub direct_agent: Option<AgentId>,
    /// The maximum number of answers by all agents together. `None` is no limit.
    pub max_interactions: Option<u32>,
    /// `true` if agents must not answer.
    pub is_paused: bool,
    /// The log's last sequence number at the time when the conversation was finished; `None` if it
    /// was not.
    pub finished_seq: Option<Seq>,
    /// The error text of the last answer that failed.
    pub last_error: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The number of updates plus 1.
    pub version: u64,
}

impl Room {
    /// Returns `true` if `user` may enter: the administrator may enter every room, other users only
    /// their own.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> domain::Result<()> {
    /// # use domain::{NewRoom, RoomName, UserId};
    /// # let (owner, name) = (UserId::parse("guest-1")?, RoomName::parse("tea")?);
    /// # let new = NewRoom { owner: owner.clone(), name, max_interactions: None };
    /// # let room = contract::memory::repositories().rooms.create(new).await?;
    /// assert!(room.admits(&owner) && room.admits(&UserId::admin()));
    /// assert!(!room.admits(&UserId::parse("guest-2")?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn admits(&self, user: &UserId) -> bool {
        *user == UserId::admin() || *user == self.owner
    }

    /// Returns `true` if the conversation was finished at or after the last message of a user.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> domain::Result<()> {
    /// # use domain::{Activity, NewRoom, RoomChange, RoomName, Seq, UserId};
    /// # let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
    /// # let rooms = contract::memory::repositories().rooms;
    /// # let id = rooms.create(NewRoom { owner, name, max_interactions: None }).await?.id;
    /// let change = RoomChange { is_finished: Some(true), ..RoomChange::default() };
    /// let room = rooms.update(id, change).await?;
    /// assert!(room.is_finished(&Activity::default()));
    /// // A user's message continues the conversation.
    /// assert!(!room.is_finished(&Activity { last_user_seq: Seq(1), ..Activity::default() }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_finished(&self, activity: &Activity) -> bool {
        self.finished_seq
            .is_some_and(|finished| finished >= activity.last_user_seq)
    }
}

/// The part of a room that changes with each message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// The log's last sequence number, of a message, a removal or a clear. 0 if the log never had
    /// an entry.
    pub last_seq: Seq,
    /// The sequence number of the newest message in the current log; 0 for an empty log. A message
    /// is unread if it is above the user's read position.
    pub last_message_seq: Seq,
    /// The sequence number of the last message of a user, even if it was cleared. 0 if there was
    /// none.
    pub last_user_seq: Seq,
    /// The time of the last message of a user or an agent. System messages do not count.
    pub last_activity_at: Option<Timestamp>,
    /// The sequence number of the last clear; 0 if there was none.
    pub cleared_seq: Seq,
    /// The sequence number of the last removal of a message; 0 if there was none.
    pub removed_seq: Seq,
}

impl Activity {
    /// Returns a number that changes whenever messages disappear from the log; `None` if none ever
    /// has.
    ///
    /// ```
    /// use domain::{Activity, Seq};
    ///
    /// let activity = Activity { cleared_seq: Seq(7), ..Activity::default() };
    /// assert_eq!(activity.log_version(), Some(Seq(7)));
    /// assert_eq!(Activity::default().log_version(), None);
    /// ```
    pub fn log_version(&self) -> Option<Seq> {
        let last = self.cleared_seq.max(self.removed_seq);
        (last > Seq(0)).then_some(last)
    }
}

/// The values from which a room is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// The user who creates the room.
    pub owner: UserId,
    /// The name. It must not be the name of another room of the owner. Direct rooms do not count.
    pub name: RoomName,
    /// The limit of answers; see [`Room::max_interactions`].
    pub max_interactions: Option<u32>,
}

/// A change of a room. A field that is `None` is not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomChange {
    /// The new name. It must not be the name of another room of the owner. Direct rooms do not
    /// count.
    pub name: Option<RoomName>,
    /// `Some(None)` removes the limit.
    pub max_interactions: Option<Option<u32>>,
    /// `true` stops agents from answering.
    pub is_paused: Option<bool>,
    /// `true` finishes the conversation at the log's last sequence number, `false` continues it.
    pub is_finished: Option<bool>,
    /// `Some(None)` removes the error.
    pub last_error: Option<Option<String>>,
}

/// The membership of an agent in a room. A deleted agent stays a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The agent.
    pub agent: AgentId,
    /// The log's last sequence number before the agent joined. The agent sees only later messages.
    /// The first of them is the announcement that the agent joined, if there is one.
    pub joined_after_seq: Seq,
    /// The time of joining.
    pub joined_at: Timestamp,
}

/// The result of adding an agent to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The membership, new or existing.
    pub member: Member,
    /// The message that announces the new member. It exists if the membership is new and the room
    /// has messages.
    pub message: Option<Arc<Message>>,
}

/// A user's read position in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    /// The room.
    pub room: RoomId,
    /// The last sequence number that the user has read.
    pub read_seq: Seq,
    /// The time at which the user last marked the room as read.
    pub read_at: Timestamp,
    /// The number of times that the user marked the room as read.
    pub version: u64,
}

/// An agent's session with its provider in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The agent.
    pub agent: AgentId,
    /// The provider's id of the session.
    pub session_id: String,
}
