//! Agents and their configurations behind the cache.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Agent, AgentChange, AgentConfig, AgentConfigs, AgentId, Agents, ConfigFile, ConfigProblem,
    NewAgent, RecentEvent, Repositories, Result,
};
use futures_util::future::BoxFuture;

use crate::{
    cache::{All, Cached},
    hit_first::hit_first,
    joined,
    stale::Write,
};

impl Cached {
    /// Tombstones among them, in the order of `ids`.
    async fn agents(&self, ids: &[AgentId]) -> Result<Vec<Option<Arc<Agent>>>> {
        let load = |inner: Repositories, ids: Vec<AgentId>| async move {
            Ok(inner
                .agents
                .find_many(&ids)
                .await?
                .into_iter()
                .map(|agent| (agent.id, agent))
                .collect())
        };
        self.read_many(&self.core.regions.agent_obj, ids, load)
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Agents for Cached {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        if self.bypass {
            return self.past(self.core.inner.agents.find(id)).await;
        }
        let load = move |inner: Repositories| async move {
            Ok(inner.agents.find_many(&[id]).await?.pop())
        };
        let agent = self.read(&self.core.regions.agent_obj, id, load).await?;
        Ok(agent.filter(|agent| agent.is_living()))
    }

    fn find_many<'life0, 'life1, 'async_trait>(
        &'life0 self,
        ids: &'life1 [AgentId],
    ) -> BoxFuture<'async_trait, Result<Vec<Arc<Agent>>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        hit_first(
            (self, ids),
            |(of, ids)| {
                of.hits(&of.core.regions.agent_obj, ids, |_, agent| agent)
                    .map(Ok)
            },
            |(of, ids)| async move {
                if of.bypass {
                    return of.past(of.core.inner.agents.find_many(ids)).await;
                }
                Ok(of
                    .agents(&joined::distinct(ids))
                    .await?
                    .into_iter()
                    .flatten()
                    .collect())
            },
        )
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        if self.bypass {
            return self.past(self.core.inner.agents.list()).await;
        }
        let load = |inner: Repositories| async move {
            Ok(Some(
                inner
                    .agents
                    .list()
                    .await?
                    .iter()
                    .map(|agent| agent.id)
                    .collect(),
            ))
        };
        let ids = self
            .read(&self.core.regions.agent_list, All, load)
            .await?
            .unwrap_or_default();
        Ok(self
            .agents(&ids)
            .await?
            .into_iter()
            .flatten()
            .filter(|agent| agent.is_living())
            .collect())
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        self.write(
            Write::CreateAgent,
            |inner| async move { inner.agents.create(new).await },
            |_, _, _| {},
        )
        .await
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let path = path.to_owned();
        self.write(
            Write::AdoptAgent,
            |inner| async move { inner.agents.adopt(&path).await },
            |_, _, _| {},
        )
        .await
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let run = move |inner: Repositories| async move { inner.agents.update(id, change).await };
        self.write(Write::UpdateAgent(id), run, move |agent, of, stores| {
            stores.put(&of.agent_obj, id, agent.clone());
        })
        .await
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        self.write(
            Write::DeleteAgent(id),
            move |inner| async move { inner.agents.delete(id).await },
            |(), _, _| {},
        )
        .await
    }
}

impl Cached {
    /// Whether a persona that has left memory need only be looked at, not read.
    fn caches_configs(&self) -> bool {
        !self.bypass && self.core.regions.agent_config.is_enabled()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AgentConfigs for Cached {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        let (lately, cached) = (self.core.regions.lately.clone(), self.caches_configs());
        lately.read(id);
        let load = move |inner: Repositories| async move {
            lately.keep(id);
            if !cached {
                return inner.configs.find(id).await;
            }
            Ok(inner
                .configs
                .find_again(&[id])
                .await?
                .pop()
                .map(|(_, config)| config))
        };
        self.read(&self.core.regions.agent_config, id, load).await
    }

    fn find_many<'life0, 'life1, 'async_trait>(
        &'life0 self,
        ids: &'life1 [AgentId],
    ) -> BoxFuture<'async_trait, Result<Vec<(AgentId, Arc<AgentConfig>)>>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let hit = |(of, ids): &(&Self, &[AgentId])| {
            let each = |id: &AgentId, config| {
                of.core.regions.lately.read(*id);
                (*id, config)
            };
            of.hits(&of.core.regions.agent_config, ids, each).map(Ok)
        };
        hit_first((self, ids), hit, |(of, ids)| async move {
            if of.bypass {
                return of.past(of.core.inner.configs.find_many(ids)).await;
            }
            let ids = joined::distinct(ids);
            let lately = &of.core.regions.lately;
            for id in &ids {
                lately.read(*id);
            }
            let (lately, cached) = (lately.clone(), of.caches_configs());
            let load = move |inner: Repositories, ids: Vec<AgentId>| async move {
                for id in &ids {
                    lately.keep(*id);
                }
                if cached {
                    inner.configs.find_again(&ids).await
                } else {
                    inner.configs.find_many(&ids).await
                }
            };
            let configs = of
                .read_many(&of.core.regions.agent_config, &ids, load)
                .await?;
            Ok(ids
                .into_iter()
                .zip(configs)
                .filter_map(|(id, config)| Some((id, config?)))
                .collect())
        })
    }

    // A refresh of the cache calls the store's `find_again`; a caller reads through the cache.
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        AgentConfigs::find_many(self, ids).await
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        self.past(self.core.inner.configs.picture(id)).await
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        let run = move |inner: Repositories| async move { inner.configs.save(id, config).await };
        self.write(Write::SaveConfig(id), run, move |config, of, stores| {
            of.keep_config(id, config, stores);
        })
        .await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        let run =
            move |inner: Repositories| async move { inner.configs.append_memory(id, event).await };
        self.write(Write::AppendMemory(id), run, move |config, of, stores| {
            of.keep_config(id, config, stores);
        })
        .await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        let run = move |inner: Repositories| async move { inner.configs.reload(id).await };
        // The files are others', and may be newer than what was read of them.
        self.write(Write::ReloadConfig(id), run, |_, _, _| ()).await
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        self.past(self.core.inner.configs.list()).await
    }

    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        self.core.inner.configs.changed(ids).await
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        self.core.inner.configs.watch().await
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        self.past(self.core.inner.configs.problems()).await
    }
}
