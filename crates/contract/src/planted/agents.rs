//! Faults of agents.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Planted, PlantedFault, hide_refusal};
use crate::pause::pause;
use domain::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Error, NewAgent, Result,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Agents for Planted {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        let found = Agents::find(&*self.memory, id).await?;
        Ok(match self.fault {
            PlantedFault::FindShowsDeleted => {
                self.tables().agents.get(&id).map(|row| row.agent.clone())
            }
            PlantedFault::FindServesItsFirstResult => self.remembered.agents.first(id, found),
            _ => found,
        })
    }

    async fn find_named(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        let found = self.memory.find_named(name).await?;
        Ok(match self.fault {
            PlantedFault::FindNamedShowsDeleted => {
                let tables = self.tables();
                let mut agents = tables.agents.values().map(|row| row.agent.clone());
                agents.find(|agent| agent.name == *name)
            }
            PlantedFault::FindNamedServesItsFirstResult => {
                self.remembered.named.first(name.to_string(), found)
            }
            _ => found,
        })
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        self.limit_ids(ids, PlantedFault::FindManyRefusesLongLists)?;
        let mut found = Agents::find_many(&*self.memory, ids).await?;
        if self.is(PlantedFault::FindManyHidesTombstones) {
            found.retain(|agent| agent.is_living());
        }
        Ok(self.break_order(
            ids,
            found,
            |agent| agent.id,
            PlantedFault::FindManyKeepsTheOrderOfIds,
            Some(PlantedFault::FindManyRepeatsAgents),
        ))
    }

    async fn list(&self, after: Option<AgentId>, limit: usize) -> Result<Vec<Arc<Agent>>> {
        let (after, limit) = match self.fault {
            PlantedFault::ListIgnoresTheLastAgent => (None, limit),
            PlantedFault::ListReturnsTheOldestAgents => (after.or(Some(AgentId(0))), limit),
            PlantedFault::ListIgnoresTheLimitOfAgents => (after, usize::MAX),
            _ => (after, limit),
        };
        let mut list = Agents::list(&*self.memory, after, limit).await?;
        if self.is(PlantedFault::ListShowsDeletedAgents) {
            list = self
                .tables()
                .agents
                .values()
                .map(|row| row.agent.clone())
                .collect();
        }
        if self.is(PlantedFault::ListSortsAgentsByName) {
            list.sort_by(|one, next| one.name.cmp(&next.name));
        }
        Ok(list)
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let (name, named) = (new.name.clone(), new.config.profile_pic.clone());
        if self.is(PlantedFault::CreateRevivesADeletedAgent)
            && let Some(row) = self
                .tables()
                .agents
                .values_mut()
                .find(|row| row.agent.name == name && !row.agent.is_living())
        {
            Arc::make_mut(&mut row.agent).deleted_at = None;
            return Ok(row.agent.clone());
        }
        if self.is(PlantedFault::CreateIsNotAtomic) {
            return self.create_in_two_steps(new).await;
        }
        let created = self.memory.create(new).await;
        let created = hide_refusal(
            created,
            self.is(PlantedFault::CreateAcceptsALivingName),
            || self.find_living(&name),
        )?;
        let mut tables = self.tables();
        let config = Arc::make_mut(&mut tables.living_mut(created.id)?.config);
        match self.fault {
            PlantedFault::CreateForgetsThePersona => {
                *config = AgentConfig {
                    profile_pic: config.profile_pic.take(),
                    ..AgentConfig::default()
                }
            }
            PlantedFault::CreateLetsTheCallerNameThePicture => config.profile_pic = named,
            _ => {}
        }
        Ok(created)
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let before = self.tables().agents.get(&id).cloned();
        if self.is(PlantedFault::UpdateIsNotAtomic) {
            pause().await;
            let mut tables = self.tables();
            let read = before.ok_or_else(|| Error::missing("agent", id))?.config;
            tables.living_mut(id)?.config = read;
            return tables.update_agent(id, &change);
        }
        let updated = self.memory.update(id, change.clone()).await;
        let mut tables = self.tables();
        let (Ok(agent), Some(before)) = (&updated, &before) else {
            return match (&updated, self.fault) {
                (Err(Error::Conflict(_)), PlantedFault::UpdateChangesThePersonaOnConflict) => {
                    change.apply_to(Arc::make_mut(&mut tables.living_mut(id)?.config));
                    updated
                }
                (Err(Error::Conflict(_)), PlantedFault::UpdateSkipsATakenName) => tables
                    .update_agent(
                        id,
                        &AgentChange {
                            name: None,
                            ..change
                        },
                    ),
                (Err(Error::Missing { .. }), PlantedFault::UpdateSucceedsForADeletedAgent) => {
                    before.map(|row| row.agent).map_or(updated, Ok)
                }
                (Err(Error::Missing { .. }), PlantedFault::UpdateSucceedsForUnknownAgents)
                    if before.is_none() =>
                {
                    tables
                        .agents
                        .values()
                        .next_back()
                        .map(|row| row.agent.clone())
                        .map_or(updated, Ok)
                }
                _ => updated,
            };
        };
        let mut agent = agent.clone();
        let row = tables.living_mut(id)?;
        if self.is(PlantedFault::UpdateKeepsTheVersion) {
            Arc::make_mut(&mut agent).version = before.agent.version;
            row.agent = agent.clone();
        }
        if self.is(PlantedFault::UpdateLosesOtherFields) {
            let mut config = AgentConfig {
                profile_pic: row.config.profile_pic.clone(),
                ..AgentConfig::default()
            };
            change.apply_to(&mut config);
            row.config = Arc::new(config);
        }
        Ok(agent)
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let tombstone = self
            .tables()
            .agents
            .get(&id)
            .is_some_and(|row| !row.agent.is_living());
        let deleted = self.memory.delete(id).await;
        hide_refusal(deleted, self.is(PlantedFault::DeleteSucceedsTwice), || {
            tombstone.then_some(())
        })?;
        let mut tables = self.tables();
        match self.fault {
            PlantedFault::DeleteLosesTheTombstone => drop(tables.agents.remove(&id)),
            PlantedFault::DeleteLosesMemberships => tables
                .rooms
                .values_mut()
                .for_each(|row| row.members.retain(|member| member.agent != id)),
            PlantedFault::DeleteLosesMessages => tables
                .rooms
                .values_mut()
                .for_each(|row| row.messages.retain(|message| message.author != Some(id))),
            PlantedFault::DeleteFreesTheId if tables.last_agent == id.0 => tables.last_agent -= 1,
            _ => {}
        }
        Ok(())
    }
}

impl Planted {
    fn find_living(&self, name: &AgentName) -> Option<Arc<Agent>> {
        self.tables()
            .agents
            .values()
            .map(|row| &row.agent)
            .find(|agent| agent.name == *name && agent.is_living())
            .cloned()
    }

    async fn create_in_two_steps(&self, new: NewAgent) -> Result<Arc<Agent>> {
        self.tables().ensure_name_free(&new.name, None)?;
        pause().await;
        let mut tables = self.tables();
        let unique = AgentName::parse(&format!("agent {}", tables.last_agent + 1))?;
        let name = new.name.clone();
        let id = tables
            .create_agent(NewAgent {
                name: unique,
                ..new
            })?
            .id;
        let row = tables.living_mut(id)?;
        Arc::make_mut(&mut row.agent).name = name;
        Ok(row.agent.clone())
    }
}
