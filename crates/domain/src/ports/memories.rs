//! The port of what agents remember of their owners' rooms.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{AgentId, RecentEvent, Result, UserId};

/// The memories that agents keep of the rooms of one owner. An agent uses them in that owner's
/// rooms alone. What it knows in all rooms is in its [`AgentConfig`](crate::AgentConfig).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentConfig, AgentName, NewAgent, RecentEvent, UserId};
///
/// let ports = contract::memory::repositories();
/// let new = NewAgent {
///     name: AgentName::parse("Ada")?,
///     group: None,
///     config: AgentConfig::default(),
///     picture: None,
/// };
/// let ada = ports.agents.create(new).await?.id;
/// let guest = UserId::parse("guest-1")?;
/// let event = RecentEvent { date: None, text: "It rained.".into() };
/// ports.memories.append(ada, guest.clone(), event.clone(), 100).await?;
/// assert_eq!(*ports.memories.list(ada, &guest).await?, [event]);
/// assert!(ports.memories.list(ada, &UserId::parse("guest-2")?).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Memories: Send + Sync {
    /// Returns what an agent remembers of the rooms of `owner`, oldest first. A deleted or unknown
    /// agent MUST remember nothing.
    async fn list(&self, agent: AgentId, owner: &UserId) -> Result<Arc<[RecentEvent]>>;
    /// Appends a memory, and returns all memories of this agent and owner. Only the newest `most`
    /// MUST stay. Fails with `Missing` for a deleted agent.
    async fn append(
        &self,
        agent: AgentId,
        owner: UserId,
        event: RecentEvent,
        most: usize,
    ) -> Result<Arc<[RecentEvent]>>;
    /// Deletes what `agent` remembers of the rooms of `owner`, or what all agents remember of them
    /// if `agent` is `None`. Returns how many memories there were. Memories of other owners MUST
    /// stay.
    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64>;
}
