//! The cached implementation of the port `Agents`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Agent, AgentChange, AgentId, Agents, NewAgent, Repositories, Result};

use crate::{
    guard::Returned, hit_first::hit_first, keys::ListKey, ports::CachedPorts, stale::Write,
};

/// Reads agents with their ids from the store. The result includes deleted agents (tombstones).
async fn agents_by_id(bare: Repositories, ids: Vec<AgentId>) -> Result<Vec<(AgentId, Arc<Agent>)>> {
    let found = bare.agents.find_many(&ids).await?;
    Ok(found.into_iter().map(|agent| (agent.id, agent)).collect())
}

impl CachedPorts {
    /// Returns the agents in ascending order of ids, without duplicates. Called when some of them
    /// are not in memory.
    async fn load_agents(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        if self.is_bypassing() {
            return self.bypass(self.bare().agents.find_many(ids)).await;
        }
        let found = self
            .load_rows(&self.regions().agent_obj, ids, agents_by_id)
            .await?;
        Ok(found.into_iter().map(|(_, agent)| agent).collect())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Agents for CachedPorts {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        if self.is_bypassing() {
            return self.bypass(self.bare().agents.find(id)).await;
        }
        // The load uses `find_many` because `Agents::find` hides tombstones. The region must hold
        // them: lists of messages and members need the names of deleted agents.
        let load =
            move |bare: Repositories| async move { Ok(bare.agents.find_many(&[id]).await?.pop()) };
        let agent = self.read(&self.regions().agent_obj, id, load).await?;
        Ok(agent.filter(|agent| agent.is_living()))
    }

    hit_first! {
        fn find_many(ports, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>>;
        hit: ports.hits(&ports.regions().agent_obj, ids, |_, agent| agent).map(Ok),
        miss: ports.load_agents(ids),
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        if self.is_bypassing() {
            return self.bypass(self.bare().agents.list()).await;
        }
        let load = |bare: Repositories| async move {
            let agents = bare.agents.list().await?;
            Ok(Some(agents.iter().map(|agent| agent.id).collect()))
        };
        let ids = self
            .read(&self.regions().agent_list, ListKey, load)
            .await?
            .unwrap_or_default();
        let found = self
            .read_many(&self.regions().agent_obj, &ids, agents_by_id)
            .await?;
        // Agents that were deleted after the list was cached are left out.
        Ok(found
            .into_iter()
            .flatten()
            .filter(|agent| agent.is_living())
            .collect())
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let run = |bare: Repositories| async move { bare.agents.create(new).await };
        self.write(Write::CreateAgent, run).await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let path = path.to_owned();
        let run = |bare: Repositories| async move { bare.agents.adopt(&path).await };
        self.write(Write::AdoptAgent, run).await
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let run = move |bare: Repositories| async move { bare.agents.update(id, change).await };
        self.write_returning(Write::UpdateAgent(id), run, |agent: &Arc<Agent>| Returned {
            agent: Some(agent.clone()),
            ..Returned::default()
        })
        .await
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let run = move |bare: Repositories| async move { bare.agents.delete(id).await };
        self.write(Write::DeleteAgent(id), run).await
    }
}
