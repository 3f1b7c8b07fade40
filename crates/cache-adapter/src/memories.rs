//! The cached implementation of the port `Memories`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentId, Memories, RecentEvent, Repositories, Result, UserId};

use crate::{guard::Returned, keys::MemoryKey, ports::CachedPorts, stale::Write};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Memories for CachedPorts {
    async fn list(&self, agent: AgentId, owner: &UserId) -> Result<Arc<[RecentEvent]>> {
        let owner = owner.clone();
        let key = MemoryKey {
            owner: owner.clone(),
            agent,
        };
        let load = move |bare: Repositories| async move {
            bare.memories.list(agent, &owner).await.map(Some)
        };
        let found = self.read(&self.regions().agent_memories, key, load).await?;
        Ok(found.unwrap_or_default())
    }

    async fn append(
        &self,
        agent: AgentId,
        owner: UserId,
        event: RecentEvent,
        most: usize,
    ) -> Result<Arc<[RecentEvent]>> {
        let write = Write::AppendOwnerMemory(agent, owner.clone());
        let run = move |bare: Repositories| async move {
            bare.memories.append(agent, owner, event, most).await
        };
        self.write_returning(write, run, |memories: &Arc<[RecentEvent]>| Returned {
            memories: Some(memories.clone()),
            ..Returned::default()
        })
        .await
    }

    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64> {
        let write = Write::ForgetOwner(owner.clone(), agent);
        let run = move |bare: Repositories| async move { bare.memories.forget(owner, agent).await };
        self.write(write, run).await
    }
}
