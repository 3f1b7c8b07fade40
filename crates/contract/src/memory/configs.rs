//! The agents' personas in the in-memory backend.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Memory, each_once};
use domain::{AgentConfig, AgentConfigs, AgentId, Change, RecentEvent, Result};

#[async_trait]
impl AgentConfigs for Memory {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        Ok(self.tables().living(id).ok().map(|row| row.config.clone()))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let tables = self.tables();
        Ok(each_once(&tables.agents, ids)
            .filter(|(_, row)| row.agent.is_living())
            .map(|(id, row)| (id, row.config.clone()))
            .collect())
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        Ok(self
            .tables()
            .living(id)
            .ok()
            .and_then(|row| row.picture.clone()))
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        let mut tables = self.tables();
        let row = tables.living_mut(id)?;
        row.config = Arc::new(AgentConfig {
            profile_pic: row.config.profile_pic.clone(),
            ..config
        });
        let config = row.config.clone();
        tables.log.add(Change::PersonaChanged(id));
        Ok(config)
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        let mut tables = self.tables();
        let row = tables.living_mut(id)?;
        let config = Arc::make_mut(&mut row.config);
        config.recent_events.push(event);
        config.remove_oldest_events();
        let config = row.config.clone();
        tables.log.add(Change::PersonaChanged(id));
        Ok(config)
    }
}
