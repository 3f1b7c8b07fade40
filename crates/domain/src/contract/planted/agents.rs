//! What can be wrong with who the agents are.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Fault, Planted, glossed};
use crate::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Error, NewAgent, Result,
    contract::pause,
};

#[async_trait]
impl Agents for Planted {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        let found = Agents::find(&self.memory, id).await?;
        Ok(match self.fault {
            Fault::FindShowsDeleted => self.state().agents.get(&id).map(|row| row.agent.clone()),
            Fault::FindServesItsFirstAnswer => self.seen.agents.first(id, found),
            _ => found,
        })
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        let mut found = Agents::find_many(&self.memory, ids).await?;
        if self.is(Fault::FindManyHidesTombstones) {
            found.retain(|agent| agent.is_living());
        }
        Ok(self.batch(
            ids,
            found,
            |agent| agent.id,
            Fault::FindManyKeepsTheOrderAsked,
            Some(Fault::FindManyRepeatsAgents),
        ))
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        let mut list = Agents::list(&self.memory).await?;
        if self.is(Fault::ListShowsDeletedAgents) {
            list = self
                .state()
                .agents
                .values()
                .map(|row| row.agent.clone())
                .collect();
        }
        if self.is(Fault::ListSortsAgentsByName) {
            list.sort_by(|one, next| one.name.cmp(&next.name));
        }
        Ok(list)
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        let (name, named) = (new.name.clone(), new.config.profile_pic.clone());
        if self.is(Fault::CreateRevivesADeletedAgent)
            && let Some(row) = self
                .state()
                .agents
                .values_mut()
                .find(|row| row.agent.name == name && !row.agent.is_living())
        {
            Arc::make_mut(&mut row.agent).deleted_at = None;
            return Ok(row.agent.clone());
        }
        if self.is(Fault::CreateIsNotAtomic) {
            return self.create_later(new).await;
        }
        let made = self.memory.create(new).await;
        let made = glossed(made, self.is(Fault::CreateTakesALivingName), || {
            self.called(&name)
        })?;
        let mut state = self.state();
        let config = Arc::make_mut(&mut state.living_mut(made.id)?.config);
        match self.fault {
            Fault::CreateForgetsThePersona => {
                *config = AgentConfig {
                    profile_pic: config.profile_pic.take(),
                    ..AgentConfig::default()
                }
            }
            Fault::CreateLetsTheCallerNameThePicture => config.profile_pic = named,
            _ => {}
        }
        Ok(made)
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let made_up = || {
            let name = AgentName::parse(&path.replace(['/', '\\', '.'], "-")).ok()?;
            self.state()
                .create_agent(NewAgent {
                    name,
                    group: None,
                    config: AgentConfig::default(),
                    picture: None,
                })
                .ok()
        };
        let adopted = self.memory.adopt(path).await;
        match &adopted {
            Err(Error::Invalid(_)) => glossed(adopted, self.is(Fault::AdoptLeadsOutside), made_up),
            Err(Error::Missing { .. }) => {
                glossed(adopted, self.is(Fault::AdoptMakesUpFiles), made_up)
            }
            _ => glossed(adopted, self.is(Fault::AdoptTakesFilesTwice), made_up),
        }
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        let before = self.state().agents.get(&id).cloned();
        if self.is(Fault::UpdateIsNotAtomic) {
            pause().await;
            let mut state = self.state();
            let read = before.ok_or_else(|| Error::missing("agent", id))?.config;
            state.living_mut(id)?.config = read;
            return state.update_agent(id, &change);
        }
        let updated = self.memory.update(id, change.clone()).await;
        let mut state = self.state();
        let (Ok(agent), Some(before)) = (&updated, &before) else {
            return match (&updated, self.fault) {
                (Err(Error::Conflict(_)), Fault::UpdateChangesThePersonaOnConflict) => {
                    change.apply_to(Arc::make_mut(&mut state.living_mut(id)?.config));
                    updated
                }
                (Err(Error::Conflict(_)), Fault::UpdateLeavesOutATakenName) => state.update_agent(
                    id,
                    &AgentChange {
                        name: None,
                        ..change
                    },
                ),
                (Err(Error::Missing { .. }), Fault::UpdateAnswersForADeletedAgent) => {
                    before.map(|row| row.agent).map_or(updated, Ok)
                }
                (Err(Error::Missing { .. }), Fault::UpdateAnswersForUnknownAgents)
                    if before.is_none() =>
                {
                    state
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
        let row = state.living_mut(id)?;
        if self.is(Fault::UpdateKeepsTheVersion) {
            Arc::make_mut(&mut agent).version = before.agent.version;
            row.agent = agent.clone();
        }
        if self.is(Fault::UpdateLosesOtherFields) {
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
            .state()
            .agents
            .get(&id)
            .is_some_and(|row| !row.agent.is_living());
        let deleted = self.memory.delete(id).await;
        glossed(deleted, self.is(Fault::DeleteAnswersTwice), || {
            tombstone.then_some(())
        })?;
        let mut state = self.state();
        match self.fault {
            Fault::DeleteLosesTheTombstone => drop(state.agents.remove(&id)),
            Fault::DeleteLosesMemberships => state
                .rooms
                .values_mut()
                .for_each(|row| row.members.retain(|member| member.agent != id)),
            Fault::DeleteLosesMessages => state
                .rooms
                .values_mut()
                .for_each(|row| row.messages.retain(|said| said.author != Some(id))),
            Fault::DeleteFreesTheId if state.last_agent == id.0 => state.last_agent -= 1,
            _ => {}
        }
        Ok(())
    }
}

impl Planted {
    fn called(&self, name: &AgentName) -> Option<Arc<Agent>> {
        self.state()
            .agents
            .values()
            .map(|row| &row.agent)
            .find(|agent| agent.name == *name && agent.is_living())
            .cloned()
    }

    async fn create_later(&self, new: NewAgent) -> Result<Arc<Agent>> {
        self.state().must_be_free(&new.name, None)?;
        pause().await;
        let mut state = self.state();
        let unique = AgentName::parse(&format!("agent {}", state.last_agent + 1))?;
        let name = new.name.clone();
        let id = state
            .create_agent(NewAgent {
                name: unique,
                ..new
            })?
            .id;
        let row = state.living_mut(id)?;
        Arc::make_mut(&mut row.agent).name = name;
        Ok(row.agent.clone())
    }
}
