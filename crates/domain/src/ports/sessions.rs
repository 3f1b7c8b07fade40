//! The port of the agents' sessions.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{AgentId, Result, RoomId, Session};

/// The agents' sessions with their provider, one for each agent and room.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentId, Error, RoomId};
///
/// let sessions = contract::memory::repositories().sessions;
/// assert!(sessions.list(RoomId(7)).await?.is_empty());
/// let saved = sessions.save(RoomId(7), AgentId(3), "abc".into()).await;
/// assert_eq!(saved, Err(Error::missing("room", 7)));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Returns the sessions in a room, in ascending order of agents.
    async fn list(&self, room: RoomId) -> Result<Arc<[Session]>>;
    /// Sets the session of one member. The sessions of the others MUST stay. Fails with `Missing`
    /// for an agent that is not a member.
    async fn save(&self, room: RoomId, agent: AgentId, session_id: String) -> Result<()>;
}
