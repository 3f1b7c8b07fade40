//! The port of the rooms' logs.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    AgentId, AnswerCounts, Image, LogEnd, Message, MessageId, NewMessage, Page, Removal, Result,
    RoomId, Sent, Seq, UserId,
};

/// The rooms' logs.
///
/// A limit counts messages; 0 returns none. `before` and `after` may be ids of other rooms.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{MessageId, NewMessage, NewRoom, RoomName, UserId};
///
/// let ports = contract::memory::repositories();
/// let new = NewRoom {
///     owner: UserId::admin(),
///     name: RoomName::parse("tea")?,
///     max_interactions: None,
/// };
/// let room = ports.rooms.create(new).await?.id;
/// let first = ports.messages.append(NewMessage::from_user(room, "hello")).await?;
/// let second = ports.messages.append(NewMessage::from_user(room, "is anyone here?")).await?;
/// // A poller passes the last id that it received.
/// assert_eq!(ports.messages.since(room, first.id, 10).await?[..], [second]);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Messages: Send + Sync {
    /// Returns the newest `limit` messages with ids below `before`, or the newest of all if
    /// `before` is `None`. They MUST be oldest first.
    async fn recent(&self, room: RoomId, before: Option<MessageId>, limit: usize) -> Result<Page>;
    /// Returns the **oldest** `limit` messages with ids above `after`. They MUST be oldest first. A
    /// poller that passes the last id that it received misses no message, whatever its backlog.
    async fn since(&self, room: RoomId, after: MessageId, limit: usize) -> Result<Page>;
    /// Returns the oldest `limit` messages of these authors with ids above `after`, or their newest
    /// `limit` if `after` is `None`. They MUST be oldest first.
    async fn by_authors(
        &self,
        room: RoomId,
        authors: &[AgentId],
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>>;
    /// Returns the newest `limit` messages that `agent` has not answered. They MUST be oldest
    /// first.
    ///
    /// These are the messages after the agent's last message, and only those after the agent
    /// joined. The result is empty for an agent that is not a member.
    async fn since_answer(
        &self,
        room: RoomId,
        agent: AgentId,
        limit: usize,
    ) -> Result<Vec<Arc<Message>>>;
    /// Returns the number of messages of each agent in the room's current log; `None` for an
    /// unknown room.
    async fn answer_counts(&self, room: RoomId) -> Result<Option<Arc<AnswerCounts>>>;
    /// Returns the log's last sequence number and its newest `limit` messages in one snapshot. The
    /// messages MUST be oldest first. Returns `None` for an unknown room.
    async fn end(&self, room: RoomId, limit: usize) -> Result<Option<LogEnd>>;
    /// Returns the images of these messages, in ascending order of ids and without duplicates.
    /// Skips messages that have no image or are not in `room`.
    async fn images(
        &self,
        room: RoomId,
        messages: &[MessageId],
    ) -> Result<Vec<(MessageId, Arc<Image>)>>;
    /// Returns the size of all images in the rooms of `owner`: the sum of [`Image::bytes`].
    async fn image_bytes(&self, owner: &UserId) -> Result<u64>;
    /// Returns the oldest `limit` removals of messages with sequence numbers above `after`, in
    /// ascending order. Removals before the last clear are not listed.
    async fn removals(&self, room: RoomId, after: Seq, limit: usize) -> Result<Vec<Removal>>;
    /// Returns the message that `user` has sent under `key` in the last 24 hours. Returns `None` if
    /// there is none.
    async fn find_sent(&self, user: &UserId, key: &str) -> Result<Option<Sent>>;
    /// Appends a message to the log and returns it.
    ///
    /// The sequence number MUST be the log's last one plus 1, and the room's activity MUST change
    /// in the same step. An unknown room or author is `Missing`; a deleted agent is a known author.
    /// A NUL in the content, the thinking or the participant's name is `Invalid`. A send key that
    /// its user has used in the last 24 hours is `Conflict`, and nothing is stored.
    async fn append(&self, new: NewMessage) -> Result<Arc<Message>>;
    /// Deletes one message with its image. A message that is not in the room is `Missing`.
    ///
    /// The removal takes the log's next sequence number. Sequence numbers and ids of other messages
    /// MUST NOT change. Counts of messages MUST no longer include the message. If it was the
    /// newest, [`Activity::last_message_seq`](crate::Activity::last_message_seq) becomes that of
    /// the newest message left.
    async fn remove(&self, room: RoomId, message: MessageId) -> Result<()>;
    /// Deletes all messages of the room and returns their number, which may be 0. The clear takes
    /// the log's next sequence number, and ids of messages MUST NOT be reused.
    async fn clear(&self, room: RoomId) -> Result<u64>;
}
