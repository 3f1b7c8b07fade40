//! The port `Memories`.

use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;
use domain::{AgentId, Memories, RecentEvent, Result, UserId};

use crate::{
    agents::require_living,
    json_table::remove_span,
    rows::MemoriesRow,
    store::RedbStore,
    tables::{MEMORIES, agents_of},
};

#[async_trait]
impl Memories for RedbStore {
    async fn list(&self, agent: AgentId, owner: &UserId) -> Result<Arc<[RecentEvent]>> {
        let owner = owner.clone();
        self.read(move |tx| {
            let row = MEMORIES.get(tx, (owner.as_str(), agent.0))?;
            Ok(row.unwrap_or_default().memories.into())
        })
        .await
    }

    async fn append(
        &self,
        agent: AgentId,
        owner: UserId,
        event: RecentEvent,
        most: usize,
    ) -> Result<Arc<[RecentEvent]>> {
        self.write(move |tx| {
            require_living(tx, agent)?;
            let key = (owner.as_str(), agent.0);
            let MemoriesRow { mut memories } = MEMORIES.get(tx, key)?.unwrap_or_default();
            memories.push(event);
            memories.drain(..memories.len().saturating_sub(most));
            let row = MemoriesRow { memories };
            MEMORIES.insert(tx, key, &row)?;
            Ok(row.memories.into())
        })
        .await
    }

    async fn forget(&self, owner: UserId, agent: Option<AgentId>) -> Result<u64> {
        self.write(move |tx| {
            let key = |agent: AgentId| Bound::Included((owner.as_str(), agent.0));
            let span = agent.map_or_else(|| agents_of(&owner), |agent| (key(agent), key(agent)));
            let rows = MEMORIES.first(tx, span, usize::MAX)?;
            remove_span(tx, MEMORIES.definition, span)?;
            let count: usize = rows.iter().map(|row| row.memories.len()).sum();
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        })
        .await
    }
}
