//! The cached implementation of the port `AgentFiles`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Agent, AgentConfig, AgentConfigs, AgentFiles, AgentId, ConfigFile, ConfigProblem, Repositories,
    Result,
};

use crate::{ports::CachedPorts, stale::Write};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AgentFiles for CachedPorts {
    // Only the loads of the cache call `find_again` of the store. Callers of this port read through
    // the cache.
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        AgentConfigs::find_many(self, ids).await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let path = path.to_owned();
        let run = |bare: Repositories| async move { bare.files.adopt(&path).await };
        self.write(Write::AdoptAgent, run).await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let run = move |bare: Repositories| async move { bare.files.reload(id).await };
        // The result is not stored: people edit these files, and may have changed them since the
        // reload.
        self.write(Write::ReloadConfig(id), run).await
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        self.bypass(self.bare().files.list()).await
    }

    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        self.bare().files.changed(ids).await
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        self.bare().files.watch().await
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        self.bypass(self.bare().files.problems()).await
    }
}
