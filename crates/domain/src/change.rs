//! The changes of a store.

use crate::{AgentId, RoomId, Seq, UserId};

/// A change of a store.
///
/// It names the changed data, not the stale cached values. Each process derives those from its own
/// tables, so that processes of different versions can share a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Anything may have changed.
    Everything,
    /// An agent was created.
    AgentCreated,
    /// An agent's name, group or picture has changed, or the agent was deleted.
    AgentChanged(AgentId),
    /// An agent's persona has changed.
    PersonaChanged(AgentId),
    /// An agent's memories of an owner's rooms have changed.
    MemoriesChanged(AgentId, UserId),
    /// A room of this owner was created.
    RoomCreated(UserId),
    /// The fields of a room have changed.
    RoomChanged(RoomId),
    /// A room was deleted with everything in it.
    RoomDeleted(RoomId),
    /// A member joined or left a room.
    MembersChanged(RoomId),
    /// An agent's session in a room was set or removed.
    SessionsChanged(RoomId),
    /// A message with this sequence number was appended to the log of a room.
    MessageAppended(RoomId, Seq),
    /// One message or all were removed from the log of a room.
    MessagesRemoved(RoomId),
    /// A user has marked a room as read.
    RoomRead(UserId, RoomId),
}
