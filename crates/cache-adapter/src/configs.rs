//! The cached implementation of the port `AgentConfigs`, for agents' personas.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{AgentConfig, AgentConfigs, AgentId, RecentEvent, Repositories, Result};

use crate::{
    guard::Returned, hit_first::hit_first, ports::CachedPorts, reads::will_return, stale::Write,
};

impl CachedPorts {
    /// Runs a write that returns the agent's whole persona, and records a read of the persona.
    async fn write_config<Fut>(
        &self,
        write: Write,
        id: AgentId,
        run: impl FnOnce(Repositories) -> Fut,
    ) -> Result<Arc<AgentConfig>>
    where
        Fut: Future<Output = Result<Arc<AgentConfig>>> + Send + 'static,
    {
        let recent_reads = self.store.recent_reads.clone();
        self.write_returning(write, run, move |config: &Arc<AgentConfig>| {
            recent_reads.track(id);
            recent_reads.touch(id);
            Returned {
                config: Some(config.clone()),
                ..Returned::default()
            }
        })
        .await
    }

    /// Returns `true` if loaded personas are cached. A load then calls `find_again`: the store
    /// checks if the files that it read before have changed, and reads only changed files.
    fn caches_configs(&self) -> bool {
        !self.is_bypassing() && self.regions().agent_config.is_enabled()
    }

    /// Returns the personas in ascending order of ids, without duplicates. Called when some of them
    /// are not in memory.
    async fn load_configs(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        if self.is_bypassing() {
            let found = self.bypass(self.bare().configs.find_many(ids)).await?;
            will_return(&self.regions().agent_config, ids.iter().copied());
            return Ok(found);
        }
        for id in ids {
            self.store.recent_reads.touch(*id);
        }
        let (recent_reads, is_cached) = (self.store.recent_reads.clone(), self.caches_configs());
        let load = move |bare: Repositories, ids: Vec<AgentId>| async move {
            for id in &ids {
                recent_reads.track(*id);
            }
            if is_cached {
                bare.files.find_again(&ids).await
            } else {
                bare.configs.find_many(&ids).await
            }
        };
        self.load_rows(&self.regions().agent_config, ids, load)
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AgentConfigs for CachedPorts {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        let (recent_reads, is_cached) = (self.store.recent_reads.clone(), self.caches_configs());
        recent_reads.touch(id);
        let load = move |bare: Repositories| async move {
            recent_reads.track(id);
            if !is_cached {
                return bare.configs.find(id).await;
            }
            let mut found = bare.files.find_again(&[id]).await?;
            Ok(found.pop().map(|(_, config)| config))
        };
        self.read(&self.regions().agent_config, id, load).await
    }

    hit_first! {
        fn find_many(ports, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>>;
        hit: ports
            .hits(&ports.regions().agent_config, ids, |id, config| {
                ports.store.recent_reads.touch(*id);
                (*id, config)
            })
            .map(Ok),
        miss: ports.load_configs(ids),
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        self.bypass(self.bare().configs.picture(id)).await
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        let run = move |bare: Repositories| async move { bare.configs.save(id, config).await };
        self.write_config(Write::SaveConfig(id), id, run).await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        let run =
            move |bare: Repositories| async move { bare.configs.append_memory(id, event).await };
        self.write_config(Write::AppendMemory(id), id, run).await
    }
}
