//! The ports of agents: identities and personas.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Agent, AgentChange, AgentConfig, AgentId, AgentName, NewAgent, RecentEvent, Result};

/// The agents' identities and tombstones.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentConfig, AgentName, NewAgent};
///
/// let agents = contract::memory::repositories().agents;
/// let new = NewAgent {
///     name: AgentName::parse("Ada")?,
///     group: None,
///     config: AgentConfig::default(),
///     picture: None,
/// };
/// let ada = agents.create(new).await?;
/// agents.delete(ada.id).await?;
/// assert_eq!(agents.find(ada.id).await?, None);
/// // The tombstone still says who spoke.
/// assert_eq!(agents.find_many(&[ada.id]).await?[0].name.as_str(), "Ada");
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Agents: Send + Sync {
    /// Returns the living agent with this id. A deleted agent MUST be `None`.
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>>;
    /// Returns the living agent with exactly this name. A deleted agent's name and an agent's old
    /// name MUST be `None`.
    async fn find_named(&self, name: &AgentName) -> Result<Option<Arc<Agent>>>;
    /// Returns the agents with these ids, in ascending order and without duplicates. Tombstones
    /// MUST be in the result, so that a log can show the authors of old messages.
    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>>;
    /// Returns the oldest `limit` living agents with ids above `after`, or the newest `limit` if
    /// `after` is `None`. They MUST be in ascending order of ids.
    async fn list(&self, after: Option<AgentId>, limit: usize) -> Result<Vec<Arc<Agent>>>;
    /// Creates an agent and its persona in one step, and returns the agent. A name that
    /// [collides](crate::AgentName::collides_with) with a living agent's name MUST fail with
    /// `Conflict`; the name of a deleted agent MUST NOT.
    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>>;
    /// Changes identity and persona in one step, increments the version, and returns the agent.
    ///
    /// After a conflict nothing MUST have changed. Fails with `Missing` for a deleted agent.
    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>>;
    /// Replaces the agent by a tombstone. Its memberships and messages MUST stay. Its name becomes
    /// free; its id is never reused. Fails with `Missing` for a deleted agent.
    async fn delete(&self, id: AgentId) -> Result<()>;
}

/// The agents' personas.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain::Result<()> {
/// use domain::{AgentConfig, AgentName, NewAgent, RecentEvent};
///
/// let ports = contract::memory::repositories();
/// let new = NewAgent {
///     name: AgentName::parse("Ada")?,
///     group: None,
///     config: AgentConfig::default(),
///     picture: None,
/// };
/// let ada = ports.agents.create(new).await?.id;
/// let event = RecentEvent { date: None, text: "It rained.".into() };
/// let persona = ports.configs.append_memory(ada, event).await?;
/// assert_eq!(persona.recent_events.len(), 1);
/// assert_eq!(ports.configs.find(ada).await?, Some(persona));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait AgentConfigs: Send + Sync {
    /// Returns the persona of a living agent; `None` for a deleted or unknown agent.
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>>;
    /// Returns the personas of the living agents with these ids, in ascending order of ids and
    /// without duplicates.
    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>>;
    /// Returns a living agent's picture, byte for byte as it was stored. Returns `None` if the
    /// agent is deleted or unknown, or has no picture.
    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>>;
    /// Replaces the persona and returns the stored one. The picture MUST stay as it is.
    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>>;
    /// Appends a recent event to the persona and returns the stored persona. Earlier events MUST
    /// stay, except the oldest ones beyond [`MAX_RECENT_EVENTS`](crate::MAX_RECENT_EVENTS).
    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>>;
}
