//! The port of read positions.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{ReadPosition, Result, RoomId, UserId};

/// The users' read positions.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{NewMessage, NewRoom, RoomName, UserId};
///
/// let ports = contract::memory::repositories();
/// let (owner, name) = (UserId::admin(), RoomName::parse("tea")?);
/// let new = NewRoom { owner: owner.clone(), name, max_interactions: None };
/// let room = ports.rooms.create(new).await?.id;
/// let message = ports.messages.append(NewMessage::from_user(room, "hello")).await?;
/// let position = ports.read_positions.mark(owner, room).await?;
/// assert_eq!(position.read_seq, message.seq);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ReadPositions: Send + Sync {
    /// Returns the read position of `user` in `room`; `None` if the user has never marked it.
    async fn find(&self, user: &UserId, room: RoomId) -> Result<Option<Arc<ReadPosition>>>;
    /// Returns the positions of `user` in these rooms, in ascending order and without duplicates.
    async fn find_many(&self, user: &UserId, rooms: &[RoomId]) -> Result<Vec<Arc<ReadPosition>>>;
    /// Marks the room's whole log as read by `user`, increments the version, and returns the
    /// position. Positions of other users do not change.
    async fn mark(&self, user: UserId, room: RoomId) -> Result<Arc<ReadPosition>>;
}
