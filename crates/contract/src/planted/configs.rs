//! Faults of the agents' personas.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Planted, PlantedFault, hide_refusal};
use crate::pause::pause;
use domain::{AgentConfig, AgentConfigs, AgentId, RecentEvent, Result};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AgentConfigs for Planted {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        let found = AgentConfigs::find(&*self.memory, id).await?;
        Ok(match self.fault {
            PlantedFault::FindPersonaOfDeleted => self.any_persona(id),
            PlantedFault::FindPersonaServesItsFirstResult => {
                self.remembered.personas.first(id, found)
            }
            _ => found,
        })
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let mut found = AgentConfigs::find_many(&*self.memory, ids).await?;
        if self.is(PlantedFault::PersonasOfDeletedAreFound) {
            let mut ids = ids.to_vec();
            ids.sort();
            ids.dedup();
            found = ids
                .into_iter()
                .filter_map(|id| Some((id, self.any_persona(id)?)))
                .collect();
        }
        Ok(self.break_order(
            ids,
            found,
            |(id, _)| *id,
            PlantedFault::PersonasKeepTheOrderOfIds,
            Some(PlantedFault::PersonasAreRepeated),
        ))
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        if self.is(PlantedFault::PictureOfDeletedIsReturned) {
            return Ok(self
                .tables()
                .agents
                .get(&id)
                .and_then(|row| row.picture.clone()));
        }
        AgentConfigs::picture(&*self.memory, id).await
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        let (before, given) = (self.any_persona(id), config.clone());
        let saved = self.memory.save(id, config).await;
        let saved = hide_refusal(
            saved,
            self.is(PlantedFault::SaveSucceedsForADeletedAgent),
            || before.clone(),
        )?;
        let mut tables = self.tables();
        let (Some(before), Ok(row)) = (before, tables.living_mut(id)) else {
            return Ok(saved);
        };
        let stored = Arc::make_mut(&mut row.config);
        match self.fault {
            PlantedFault::SaveReplacesThePicture => stored.profile_pic = given.profile_pic,
            PlantedFault::SaveKeepsMemories => stored
                .long_term_memories
                .clone_from(&before.long_term_memories),
            _ => {}
        }
        Ok(row.config.clone())
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        let before = self.any_persona(id).unwrap_or_default();
        if self.is(PlantedFault::MemoryIsNotAtomic) {
            pause().await;
            self.tables().living_mut(id)?.config = before;
            return self.memory.append_memory(id, event).await;
        }
        let stored = self.memory.append_memory(id, event).await?;
        let mut tables = self.tables();
        let row = tables.living_mut(id)?;
        let events = &mut Arc::make_mut(&mut row.config).recent_events;
        match self.fault {
            PlantedFault::MemoryGoesInFront => events.rotate_right(1),
            PlantedFault::MemoryReplacesTheOthers => drop(events.drain(..events.len() - 1)),
            _ => return Ok(stored),
        }
        Ok(row.config.clone())
    }
}

impl Planted {
    pub(super) fn any_persona(&self, id: AgentId) -> Option<Arc<AgentConfig>> {
        self.tables().agents.get(&id).map(|row| row.config.clone())
    }
}
