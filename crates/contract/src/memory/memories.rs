//! Agents' memories of owners' rooms in the in-memory backend.

use std::sync::Arc;

use async_trait::async_trait;

use super::Memory;
use domain::{AgentId, Memories, RecentEvent, Result, UserId};

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
        let memories = tables.memories.entry((agent, owner)).or_default();
        memories.push(event);
        memories.drain(..memories.len().saturating_sub(most));
        Ok(memories[..].into())
    }

    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64> {
        let mut tables = self.tables();
        let of_owner = |(knower, known): &(AgentId, UserId)| {
            *known == owner && agent.is_none_or(|agent| agent == *knower)
        };
        let forgotten = tables.memories.extract_if(.., |key, _| of_owner(key));
        let count: usize = forgotten.map(|(_, memories)| memories.len()).sum();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}
