//! The port of rooms and their members.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Activity, Added, AgentId, Member, NewRoom, Result, Room, RoomChange, RoomId, UserId};

/// Rooms and their members.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{Error, NewRoom, RoomName, UserId};
///
/// let rooms = contract::memory::repositories().rooms;
/// let new = NewRoom {
///     owner: UserId::parse("guest-1")?,
///     name: RoomName::parse("tea")?,
///     max_interactions: None,
/// };
/// let room = rooms.create(new.clone()).await?;
/// assert_eq!(rooms.list_by_owner(&room.owner, None, 10).await?, [room]);
/// assert!(matches!(rooms.create(new).await, Err(Error::Conflict(_))));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Rooms: Send + Sync {
    /// Returns the room. Check access with [`Room::admits`].
    async fn find(&self, id: RoomId) -> Result<Option<Arc<Room>>>;
    /// Returns the rooms with these ids, in ascending order of ids and without duplicates.
    async fn find_many(&self, ids: &[RoomId]) -> Result<Vec<Arc<Room>>>;
    /// Returns the oldest `limit` rooms with ids above `after`, or the newest `limit` if `after` is
    /// `None`. They include direct rooms, and MUST be in ascending order of ids.
    async fn list(&self, after: Option<RoomId>, limit: usize) -> Result<Vec<Arc<Room>>>;
    /// Returns rooms of this owner and no others, as [`Rooms::list`] does. They MUST be in
    /// ascending order of ids.
    async fn list_by_owner(
        &self,
        owner: &UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<Arc<Room>>>;
    /// Returns the direct room of this owner and this agent, whatever its name.
    async fn find_direct(&self, owner: &UserId, agent: AgentId) -> Result<Option<Arc<Room>>>;
    /// Creates a room and returns it.
    ///
    /// The name of another room of this owner MUST fail with `Conflict`; the name of another
    /// owner's room MUST NOT. Names of direct rooms do not count.
    async fn create(&self, new: NewRoom) -> Result<Arc<Room>>;
    /// Returns the direct room of this owner and this agent, and creates the room if it is missing.
    /// A new direct room is called `Direct: NAME` and has the agent as a member.
    ///
    /// There MUST be at most one direct room for an owner and an agent, whatever its name. Fails
    /// with `Missing` for a deleted agent, even if there is a direct room with the agent.
    async fn create_direct(&self, owner: UserId, agent: AgentId) -> Result<Arc<Room>>;
    /// Changes the fields that `change` names, increments the version, and returns the room. The
    /// other fields MUST stay, and after a conflict nothing MUST have changed.
    async fn update(&self, id: RoomId, change: RoomChange) -> Result<Arc<Room>>;
    /// Deletes the room with its members, messages, read positions and sessions. Its id MUST NOT be
    /// reused.
    async fn delete(&self, id: RoomId) -> Result<()>;
    /// Returns the members in the order of joining, including deleted agents.
    async fn members(&self, room: RoomId) -> Result<Arc<[Member]>>;
    /// Adds an agent to a room. Returns the membership, and the announcement if there is one.
    ///
    /// Adding a member again MUST change nothing. A room with messages also gets the system message
    /// `NAME joined the chat`, which MUST be appended in the same step. Fails with `Missing` for a
    /// deleted agent.
    async fn add_member(&self, room: RoomId, agent: AgentId) -> Result<Added>;
    /// Removes an agent, living or deleted, and its session. Fails with `Missing` for an agent that
    /// is not a member.
    async fn remove_member(&self, room: RoomId, agent: AgentId) -> Result<()>;
    /// Returns the part of the room that changes with each message; `None` for an unknown room.
    async fn activity(&self, room: RoomId) -> Result<Option<Arc<Activity>>>;
    /// Returns the activities of these rooms, in ascending order of ids and without duplicates.
    async fn activities(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Arc<Activity>)>>;
}
