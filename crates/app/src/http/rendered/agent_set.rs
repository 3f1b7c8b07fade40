//! Agents with their personas, read together.

use std::sync::Arc;

use domain::{Agent, AgentConfig, AgentId, Repositories, Result};

/// Agents, including tombstones, and the personas of those that have one. Both are in ascending
/// order of ids.
pub(super) struct AgentSet {
    agents: Vec<Arc<Agent>>,
    personas: Vec<(AgentId, Arc<AgentConfig>)>,
}

/// Returns the ids in ascending order, each once.
pub(super) fn distinct(ids: impl IntoIterator<Item = AgentId>) -> Vec<AgentId> {
    let mut ids = Vec::from_iter(ids);
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl AgentSet {
    /// Reads the agents with these ids, and their personas. The ids must be in ascending order.
    pub(super) async fn read(ports: &Repositories, ids: &[AgentId]) -> Result<Self> {
        if ids.is_empty() {
            return Ok(Self {
                agents: Vec::new(),
                personas: Vec::new(),
            });
        }
        let personas = ports.configs.find_many(ids).await?;
        let agents = ports.agents.find_many(ids).await?;
        Ok(Self { agents, personas })
    }

    /// Creates the set of these agents and reads their personas. The agents must be in ascending
    /// order of ids.
    pub(super) async fn with_personas(
        ports: &Repositories,
        agents: Vec<Arc<Agent>>,
    ) -> Result<Self> {
        let ids: Vec<_> = agents.iter().map(|agent| agent.id).collect();
        let personas = ports.configs.find_many(&ids).await?;
        Ok(Self { agents, personas })
    }

    /// Returns all agents, each with its persona if it has one.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Agent>, Option<&Arc<AgentConfig>>)> {
        self.agents
            .iter()
            .map(|agent| (agent, self.persona(agent.id)))
    }

    /// Returns the agents that are not deleted and have a persona.
    pub(super) fn living(&self) -> impl Iterator<Item = (&Arc<Agent>, &Arc<AgentConfig>)> {
        self.iter()
            .filter(|(agent, _)| agent.is_living())
            .filter_map(|(agent, persona)| Some((agent, persona?)))
    }

    /// Returns the agent with this id if it is not deleted and has a persona.
    pub(super) fn find_living(&self, id: AgentId) -> Option<(&Arc<Agent>, &Arc<AgentConfig>)> {
        let index = self
            .agents
            .binary_search_by_key(&id, |agent| agent.id)
            .ok()?;
        let agent = self.agents.get(index).filter(|agent| agent.is_living())?;
        Some((agent, self.persona(id)?))
    }

    fn persona(&self, id: AgentId) -> Option<&Arc<AgentConfig>> {
        let index = self
            .personas
            .binary_search_by_key(&id, |(agent, _)| *agent)
            .ok()?;
        self.personas.get(index).map(|(_, persona)| persona)
    }
}
