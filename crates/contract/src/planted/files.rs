//! Faults of the port `AgentFiles`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Planted, PlantedFault, hide_refusal};
use domain::{
    Agent, AgentConfig, AgentConfigs, AgentFiles, AgentId, AgentName, ConfigFile, ConfigProblem,
    Error, NewAgent, Result,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AgentFiles for Planted {
    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let found = AgentConfigs::find_many(self, ids).await?;
        if self.is(PlantedFault::FindAgainServesItsFirstResult) {
            let first =
                |(id, config)| Some((id, self.remembered.personas.first(id, Some(config))?));
            return Ok(found.into_iter().filter_map(first).collect());
        }
        Ok(found)
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let invent_agent = || {
            let name = AgentName::parse(&path.replace(['/', '\\', '.'], "-")).ok()?;
            self.tables()
                .create_agent(NewAgent {
                    name,
                    group: None,
                    config: AgentConfig::default(),
                    picture: None,
                })
                .ok()
        };
        let adopted = self.files.adopt(path).await;
        match &adopted {
            Err(Error::Invalid(_)) => hide_refusal(
                adopted,
                self.is(PlantedFault::AdoptLeadsOutside),
                invent_agent,
            ),
            Err(Error::Missing { .. }) => hide_refusal(
                adopted,
                self.is(PlantedFault::AdoptInventsFiles),
                invent_agent,
            ),
            _ => hide_refusal(
                adopted,
                self.is(PlantedFault::AdoptTakesFilesTwice),
                invent_agent,
            ),
        }
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        if self.is(PlantedFault::ReloadEmptiesThePersona) {
            self.tables().living_mut(id)?.config = Arc::default();
        }
        let read = self.files.reload(id).await;
        hide_refusal(
            read,
            self.is(PlantedFault::ReloadSucceedsForADeletedAgent),
            || self.any_persona(id),
        )
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        let mut files = self.files.list().await?;
        if self.is(PlantedFault::ConfigsAreNotListedByName) {
            files.reverse();
        }
        if self.is(PlantedFault::ConfigsOfDeletedAreListed) {
            let all = self
                .tables()
                .agents
                .values()
                .map(|row| row.agent.clone())
                .collect::<Vec<_>>();
            files = all
                .iter()
                .map(|agent| ConfigFile {
                    name: agent.name.clone(),
                    path: agent.config_file.clone(),
                })
                .collect();
            files.sort_by(|one, next| one.name.cmp(&next.name));
        }
        Ok(files)
    }

    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        Ok(if self.is(PlantedFault::ChangedEchoesWrites) {
            ids.to_vec()
        } else {
            Vec::new()
        })
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        if self.is(PlantedFault::WatchEchoesWrites) {
            return Ok(self.tables().agents.keys().copied().collect());
        }
        self.files.watch().await
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        let files = if self.is(PlantedFault::ProblemsOfSoundAgents) {
            self.files.list().await?
        } else {
            Vec::new()
        };
        Ok(files
            .into_iter()
            .map(|file| ConfigProblem {
                name: file.name.to_string(),
                text: file.path,
            })
            .collect())
    }
}
