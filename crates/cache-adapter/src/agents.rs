//! The cached implementation of the port `Agents`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Agent, AgentChange, AgentId, AgentName, Agents, LIST_LIMIT, NewAgent, Repositories, Result,
};

use crate::{
    guard::Returned,
    hit_first::hit_first,
    keys::ListKey,
    list_parts::{may_be_in_memory, part_of_newest},
    ports::CachedPorts,
    reads::will_return,
    stale::Write,
};

/// Reads agents with their ids from the store. The result includes deleted agents (tombstones).
async fn agents_by_id(bare: Repositories, ids: Vec<AgentId>) -> Result<Vec<(AgentId, Arc<Agent>)>> {
    let found = bare.agents.find_many(&ids).await?;
    Ok(found.into_iter().map(|agent| (agent.id, agent)).collect())
}

impl CachedPorts {
    /// Returns the ids of the newest [`LIST_LIMIT`] agents.
    async fn newest_agents(&self) -> Result<Arc<[AgentId]>> {
        let load = |bare: Repositories| async move {
            let agents = bare.agents.list(None, LIST_LIMIT).await?;
            Ok(Some(agents.iter().map(|agent| agent.id).collect()))
        };
        let ids = self.read(&self.regions().agent_list, ListKey, load).await?;
        Ok(ids.unwrap_or_default())
    }

    /// Returns the living agents of `ids`, in the order of `ids`. Agents that were deleted after a
    /// list was cached are left out.
    async fn read_living(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        let found = self
            .read_many(&self.regions().agent_obj, ids, agents_by_id)
            .await?;
        let found = found.into_iter().flatten();
        Ok(found.filter(|agent| agent.is_living()).collect())
    }

    /// Reads agents from the store, and removes older copies from memory.
    async fn bypass_agents(
        &self,
        read: impl Future<Output = Result<Vec<Arc<Agent>>>>,
    ) -> Result<Vec<Arc<Agent>>> {
        let agents = self.bypass(read).await?;
        let ids = agents.iter().map(|agent| agent.id);
        will_return(&self.regions().agent_obj, ids);
        Ok(agents)
    }

    /// Removes the agents with a name from memory, because one of them may have another name now.
    fn forget_named(&self, name: &AgentName) {
        if self.store.others_write.is_some() {
            let region = &self.regions().agent_obj;
            let named = region.iter().filter(|(_, agent)| agent.name == *name);
            will_return(region, named.map(|(id, _)| id));
        }
    }

    /// Returns the agents in ascending order of ids, without duplicates. Called when some of them
    /// are not in memory.
    async fn load_agents(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        if self.is_bypassing() {
            let agents = self.bypass(self.bare().agents.find_many(ids)).await?;
            // Includes ids that were not found.
            will_return(&self.regions().agent_obj, ids.iter().copied());
            return Ok(agents);
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
            let found = self.bypass(self.bare().agents.find(id)).await?;
            self.regions().agent_obj.will_return(&id);
            return Ok(found);
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

    async fn find_named(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        if !self.is_bypassing() {
            let ids = self.newest_agents().await?;
            let agents = self.read_living(&ids).await?;
            let found = agents.into_iter().find(|agent| agent.name == *name);
            if found.is_some() || ids.len() < LIST_LIMIT {
                return Ok(found);
            }
        }
        let found = self.bypass(self.bare().agents.find_named(name)).await?;
        let agent = found.iter().map(|agent| agent.id);
        will_return(&self.regions().agent_obj, agent);
        self.forget_named(name);
        self.regions().agent_list.will_return(&ListKey);
        Ok(found)
    }

    async fn list(&self, after: Option<AgentId>, limit: usize) -> Result<Vec<Arc<Agent>>> {
        if !self.is_bypassing() {
            let ids = self.newest_agents().await?;
            if may_be_in_memory(ids.len(), after.as_ref()) {
                let agents = self.read_living(&ids).await?;
                let id_of = |agent: &Arc<Agent>| agent.id;
                if let Some(part) = part_of_newest(agents, ids.len(), id_of, after, limit) {
                    return Ok(part);
                }
            }
        }
        let list = self.bare().agents.list(after, limit);
        let agents = self.bypass_agents(list).await?;
        self.regions().agent_list.will_return(&ListKey);
        Ok(agents)
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let run = |bare: Repositories| async move { bare.agents.create(new).await };
        self.write(Write::CreateAgent, run).await
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
