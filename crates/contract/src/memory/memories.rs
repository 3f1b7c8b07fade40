//! Agents' memories of owners' rooms in the in-memory backend.

use std::sync::Arc;

use async_trait::async_trait;

use super::Memory;
use domain::{AgentId, Change, Memories, RecentEvent, Result, UserId};

#[async_trait]
impl Memories for Memory {
    async fn list(&self, agent: AgentId, owner: &UserId) -> Result<Arc<[RecentEvent]>> {
        let tables = self.tables();
        let found = tables.memories.get(&(agent, owner.clone()));
        Ok(found
            .map(|memories| memories[..].into())
            .unwrap_or_default())
    }

    async fn append(
        &self,
        agent: AgentId,
        owner: UserId,
        event: RecentEvent,
        most: usize,
    ) -> Result<Arc<[RecentEvent]>> {
        let mut tables = self.tables();
        tables.living(agent)?;
        let change = Change::MemoriesChanged(agent, owner.clone());
        let memories = tables.memories.entry((agent, owner)).or_default();
        memories.push(event);
        memories.drain(..memories.len().saturating_sub(most));
        let memories = memories[..].into();
        tables.log.add(change);
        Ok(memories)
    }

    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64> {
        let mut tables = self.tables();
        let of_owner = |(knower, known): &(AgentId, UserId)| {
            *known == owner && agent.is_none_or(|agent| agent == *knower)
        };
        let forgotten = tables.memories.extract_if(.., |key, _| of_owner(key));
        let forgotten: Vec<_> = forgotten.collect();
        let count: usize = forgotten.iter().map(|(_, memories)| memories.len()).sum();
        for ((agent, owner), _) in forgotten {
            tables.log.add(Change::MemoriesChanged(agent, owner));
        }
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}
