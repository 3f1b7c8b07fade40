//! Who the agents are.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;

use super::{AgentRow, Memory, State, each_once};
use crate::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Error, GroupName, NewAgent,
    Picture, Result,
};

#[async_trait]
impl Agents for Memory {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        Ok(self.state().living(id).ok().map(|row| row.agent.clone()))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        Ok(each_once(&self.state().agents, ids)
            .map(|(_, row)| row.agent.clone())
            .collect())
    }

    async fn list(&self) -> Result<Vec<Arc<Agent>>> {
        Ok(self
            .state()
            .agents
            .values()
            .map(|row| &row.agent)
            .filter(|agent| agent.is_living())
            .cloned()
            .collect())
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        self.state().create_agent(new)
    }

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        if path.starts_with('/') || path.contains('\\') || path.split('/').any(|part| part == "..")
        {
            return Err(Error::Invalid(format!(
                "{path:?} leads out of the agents' folder"
            )));
        }
        let state = self.state();
        if state
            .agents
            .values()
            .any(|row| row.agent.is_living() && row.agent.config_file == path)
        {
            return Err(Error::Conflict(format!("an agent has {path} already")));
        }
        // Files come only with agents here.
        Err(Error::missing("configuration", path))
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        self.state().update_agent(id, &change)
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let mut state = self.state();
        let agent = Arc::make_mut(&mut state.living_mut(id)?.agent);
        agent.deleted_at = Some(Utc::now());
        agent.config_file = format!(".deleted/{}-{id}/agent.yaml", agent.name);
        agent.version += 1;
        Ok(())
    }
}

impl State {
    pub(in crate::contract) fn create_agent(&mut self, new: NewAgent) -> Result<Arc<Agent>> {
        self.must_be_free(&new.name, None)?;
        let profile_pic = new.picture.as_ref().map(file_of).transpose()?;
        self.last_agent += 1;
        let agent = Arc::new(Agent {
            id: AgentId(self.last_agent),
            config_file: path_of(new.group.as_ref(), &new.name),
            name: new.name,
            group: new.group,
            created_at: Utc::now(),
            deleted_at: None,
            version: 1,
        });
        let config = Arc::new(AgentConfig {
            profile_pic,
            ..new.config
        });
        let picture = new.picture.map(|picture| picture.bytes.into());
        self.agents.insert(
            agent.id,
            AgentRow {
                agent: agent.clone(),
                config,
                picture,
            },
        );
        Ok(agent)
    }

    pub(in crate::contract) fn update_agent(
        &mut self,
        id: AgentId,
        change: &AgentChange,
    ) -> Result<Arc<Agent>> {
        self.living(id)?;
        if let Some(name) = &change.name {
            self.must_be_free(name, Some(id))?;
        }
        let profile_pic = change.picture.as_ref().map(file_of).transpose()?;
        let row = self.living_mut(id)?;
        if let Some(picture) = &change.picture {
            row.picture = Some(picture.bytes.clone().into());
        }
        let agent = Arc::make_mut(&mut row.agent);
        if let Some(name) = &change.name {
            agent.name = name.clone();
        }
        if let Some(group) = &change.group {
            agent.group.clone_from(group);
        }
        agent.config_file = path_of(agent.group.as_ref(), &agent.name);
        agent.version += 1;
        let config = Arc::make_mut(&mut row.config);
        change.apply_to(config);
        if profile_pic.is_some() {
            config.profile_pic = profile_pic;
        }
        Ok(row.agent.clone())
    }

    pub(in crate::contract) fn must_be_free(
        &self,
        name: &AgentName,
        for_agent: Option<AgentId>,
    ) -> Result<()> {
        let holds =
            |agent: &Agent| agent.is_living() && agent.name == *name && Some(agent.id) != for_agent;
        if self.agents.values().any(|row| holds(&row.agent)) {
            return Err(Error::Conflict(format!(
                "an agent is called {name} already"
            )));
        }
        Ok(())
    }
}

fn path_of(group: Option<&GroupName>, name: &AgentName) -> String {
    group.map_or_else(
        || format!("{name}/agent.yaml"),
        |group| format!("{group}/{name}/agent.yaml"),
    )
}

fn file_of(picture: &Picture) -> Result<String> {
    let ending = match picture.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            return Err(Error::Invalid(format!(
                "a picture is a PNG, JPEG, GIF or WebP, not {other:?}"
            )));
        }
    };
    Ok(format!("profile.{ending}"))
}
