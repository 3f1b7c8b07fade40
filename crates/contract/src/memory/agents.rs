//! The agents' rows in the in-memory backend.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;

use super::{AgentRow, Memory, Tables, each_once, part};
use domain::{
    Agent, AgentChange, AgentConfig, AgentId, AgentName, Agents, Change, Error, GroupName,
    NewAgent, Picture, Result,
};

#[async_trait]
impl Agents for Memory {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<Agent>>> {
        Ok(self.tables().living(id).ok().map(|row| row.agent.clone()))
    }

    async fn find_named(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        let tables = self.tables();
        let mut living = tables.agents.values().map(|row| &row.agent);
        Ok(living
            .find(|agent| agent.is_living() && agent.name == *name)
            .cloned())
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<Arc<Agent>>> {
        Ok(each_once(&self.tables().agents, ids)
            .map(|(_, row)| row.agent.clone())
            .collect())
    }

    async fn list(&self, after: Option<AgentId>, limit: usize) -> Result<Vec<Arc<Agent>>> {
        let tables = self.tables();
        let living = tables
            .agents
            .values()
            .map(|row| &row.agent)
            .filter(|agent| agent.is_living());
        Ok(part(living.cloned(), |agent| agent.id, after, limit))
    }

    async fn create(&self, new: NewAgent) -> Result<Arc<Agent>> {
        self.tables().create_agent(new)
    }

    async fn update(&self, id: AgentId, change: AgentChange) -> Result<Arc<Agent>> {
        self.tables().update_agent(id, &change)
    }

    async fn delete(&self, id: AgentId) -> Result<()> {
        let mut tables = self.tables();
        let agent = Arc::make_mut(&mut tables.living_mut(id)?.agent);
        agent.deleted_at = Some(Utc::now());
        agent.config_file = format!(".deleted/{}-{id}/agent.yaml", agent.name);
        agent.version += 1;
        tables.memories.retain(|(agent, _), _| *agent != id);
        tables.log.add(Change::AgentChanged(id));
        Ok(())
    }
}

impl Tables {
    pub(crate) fn create_agent(&mut self, new: NewAgent) -> Result<Arc<Agent>> {
        self.ensure_name_free(&new.name, None)?;
        let profile_pic = new.picture.as_ref().map(picture_file).transpose()?;
        self.last_agent += 1;
        let agent = Arc::new(Agent {
            id: AgentId(self.last_agent),
            config_file: config_path(new.group.as_ref(), &new.name),
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
        self.log.add(Change::AgentCreated);
        Ok(agent)
    }

    pub(crate) fn update_agent(&mut self, id: AgentId, change: &AgentChange) -> Result<Arc<Agent>> {
        self.living(id)?;
        if let Some(name) = &change.name {
            self.ensure_name_free(name, Some(id))?;
        }
        let profile_pic = change.picture.as_ref().map(picture_file).transpose()?;
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
        agent.config_file = config_path(agent.group.as_ref(), &agent.name);
        agent.version += 1;
        let config = Arc::make_mut(&mut row.config);
        change.apply_to(config);
        if profile_pic.is_some() {
            config.profile_pic = profile_pic;
        }
        let agent = row.agent.clone();
        self.log.add(Change::AgentChanged(id));
        self.log.add(Change::PersonaChanged(id));
        Ok(agent)
    }

    pub(crate) fn ensure_name_free(&self, name: &AgentName, except: Option<AgentId>) -> Result<()> {
        name.require_visible()?;
        let is_taken_by = |agent: &Agent| {
            agent.is_living() && agent.name.collides_with(name) && Some(agent.id) != except
        };
        if self.agents.values().any(|row| is_taken_by(&row.agent)) {
            return Err(Error::Conflict(format!("agent {name} already exists")));
        }
        Ok(())
    }
}

fn config_path(group: Option<&GroupName>, name: &AgentName) -> String {
    group.map_or_else(
        || format!("{name}/agent.yaml"),
        |group| format!("{group}/{name}/agent.yaml"),
    )
}

fn picture_file(picture: &Picture) -> Result<String> {
    let extension = match picture.media_type.as_str() {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        other => {
            return Err(Error::Invalid(format!(
                "a picture must be PNG, JPEG, GIF or WebP, got {other:?}"
            )));
        }
    };
    Ok(format!("profile.{extension}"))
}
