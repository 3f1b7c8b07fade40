//! Faults of what agents remember of owners' rooms.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Planted, PlantedFault, hide_refusal};
use crate::pause::pause;
use domain::{AgentId, Memories, RecentEvent, Result, UserId};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Memories for Planted {
    async fn list(&self, agent: AgentId, owner: &UserId) -> Result<Arc<[RecentEvent]>> {
        let listed = Memories::list(&*self.memory, agent, owner).await?;
        let key = (agent, owner.clone());
        Ok(match self.fault {
            PlantedFault::MemoriesOfAnyOwner => {
                let tables = self.tables();
                let all = tables.memories.iter().filter(|((by, _), _)| *by == agent);
                all.flat_map(|(_, memories)| memories.clone()).collect()
            }
            PlantedFault::MemoriesAreNewestFirst => listed.iter().rev().cloned().collect(),
            PlantedFault::MemoriesServeTheirFirstResult => {
                self.remembered.memories.first(key, listed)
            }
            PlantedFault::MemoriesOfDeletedAreListed if listed.is_empty() => {
                let deleted = self.remembered.deleted_memories.get(&key);
                deleted.unwrap_or(listed)
            }
            _ => listed,
        })
    }

    async fn append(
        &self,
        agent: AgentId,
        owner: UserId,
        event: RecentEvent,
        most: usize,
    ) -> Result<Arc<[RecentEvent]>> {
        let key = (agent, owner.clone());
        if self.is(PlantedFault::AppendToMemoriesIsNotAtomic) {
            let before = self.tables().memories.get(&key).cloned();
            pause().await;
            let before = before.unwrap_or_default();
            self.tables().memories.insert(key.clone(), before);
        }
        let most = if self.is(PlantedFault::MemoriesIgnoreTheLimit) {
            usize::MAX
        } else {
            most
        };
        let appended = Memories::append(&*self.memory, agent, owner, event, most).await;
        let appended = hide_refusal(
            appended,
            self.is(PlantedFault::AppendToMemoriesAcceptsDeleted),
            || Some(Arc::default()),
        )?;
        if self.is(PlantedFault::MemoriesOfDeletedAreListed) {
            self.remembered
                .deleted_memories
                .first(key, appended.clone());
        }
        Ok(appended)
    }

    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64> {
        let agent = agent.filter(|_| !self.is(PlantedFault::ForgetIgnoresTheAgent));
        let count = Memories::forget(&*self.memory, owner, agent).await?;
        match self.fault {
            PlantedFault::ForgetReachesAllOwners => {
                let of_agent = |knower: AgentId| agent.is_none_or(|agent| agent == knower);
                self.tables()
                    .memories
                    .retain(|(knower, _), _| !of_agent(*knower));
            }
            PlantedFault::ForgetReturnsZero => return Ok(0),
            _ => {}
        }
        Ok(count)
    }
}
