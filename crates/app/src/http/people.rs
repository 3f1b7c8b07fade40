//! Agents with their personas, read together.

use std::sync::{Arc, Weak};

use domain::{Agent, AgentConfig, AgentId, Repositories};

use super::{
    error::Answer,
    made::{Signature, signature},
};

/// Agents, tombstones among them, and the personas of those who have one, each by rising id.
pub(crate) struct People {
    agents: Vec<Arc<Agent>>,
    personas: Vec<(AgentId, Arc<AgentConfig>)>,
}

/// Rising, each once.
pub(crate) fn distinct(ids: impl IntoIterator<Item = AgentId>) -> Vec<AgentId> {
    let mut ids = Vec::from_iter(ids);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// An agent and its persona as they were once. While they are pointed to, nothing else is put into their place.
pub(super) type Seen = (Option<Weak<Agent>>, Option<Weak<AgentConfig>>);

impl People {
    /// Of `ids`, which rise.
    pub(crate) async fn read(ports: &Repositories, ids: &[AgentId]) -> Answer<Self> {
        if ids.is_empty() {
            return Ok(Self {
                agents: Vec::new(),
                personas: Vec::new(),
            });
        }
        let personas = ports.configs.find_many(ids).await?;
        Ok(Self {
            agents: ports.agents.find_many(ids).await?,
            personas,
        })
    }

    /// The agents, with the personas of theirs.
    pub(crate) async fn of(ports: &Repositories, agents: Vec<Arc<Agent>>) -> Answer<Self> {
        let ids: Vec<_> = agents.iter().map(|agent| agent.id).collect();
        Ok(Self {
            agents,
            personas: ports.configs.find_many(&ids).await?,
        })
    }

    fn agent(&self, id: AgentId) -> Option<&Arc<Agent>> {
        let at = self
            .agents
            .binary_search_by_key(&id, |agent| agent.id)
            .ok()?;
        self.agents.get(at)
    }

    fn persona(&self, id: AgentId) -> Option<&Arc<AgentConfig>> {
        let at = self
            .personas
            .binary_search_by_key(&id, |(of, _)| *of)
            .ok()?;
        self.personas.get(at).map(|(_, persona)| persona)
    }

    /// The agent, if it is living and has a persona.
    pub(crate) fn living(&self, id: AgentId) -> Option<(&Agent, &Arc<AgentConfig>)> {
        let agent = self.agent(id).filter(|agent| agent.is_living())?;
        Some((agent, self.persona(id)?))
    }

    /// All who are living and have a persona.
    pub(crate) fn all_living(&self) -> impl Iterator<Item = (&Agent, &Arc<AgentConfig>)> {
        self.agents.iter().filter_map(|agent| self.living(agent.id))
    }

    pub(crate) fn signatures(&self) -> Vec<(AgentId, Signature)> {
        self.agents
            .iter()
            .map(|agent| (agent.id, signature(agent, self.persona(agent.id))))
            .collect()
    }

    /// What one is, to be compared with what it will be.
    pub(super) fn seen(&self, id: AgentId) -> Seen {
        (
            self.agent(id).map(Arc::downgrade),
            self.persona(id).map(Arc::downgrade),
        )
    }

    pub(super) fn is(&self, id: AgentId, (agent, persona): &Seen) -> bool {
        fn same<T>(now: Option<&Arc<T>>, before: Option<&Weak<T>>) -> bool {
            now.map(Arc::as_ptr) == before.map(Weak::as_ptr)
        }
        same(self.agent(id), agent.as_ref()) && same(self.persona(id), persona.as_ref())
    }
}
