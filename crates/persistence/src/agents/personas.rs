//! The implementation of the port `AgentConfigs`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Agent, AgentConfig, AgentConfigs, AgentId, Error, RecentEvent, Result};

use super::{
    snapshot::parse_snapshot,
    table::{find_living, find_many_living, find_snapshot},
};
use crate::{
    agent_files::{path::AgentPath, prepare::Edit},
    store::SqlStore,
};

impl SqlStore {
    /// Returns the persona of an agent, or `None` if it was deleted since `agent` was read.
    async fn current_persona(&self, mut agent: Arc<Agent>) -> Result<Option<Arc<AgentConfig>>> {
        loop {
            let (id, path) = (agent.id, self.registered_path(&agent));
            match self.files.load_persona(id, path.clone()).await {
                Ok(Some(config)) => return Ok(Some(config)),
                Ok(None) | Err(Error::Invalid(_)) => {}
                Err(other) => return Err(other),
            }
            // The row was read before the files, so the folder may have moved in between. The row
            // is read again to find out.
            let Some(newer) = find_living(&self.database.read(), id).await? else {
                return Ok(None);
            };
            if AgentPath::of(&newer) == path {
                return self.persona_or_last_valid(&newer).await.map(Some);
            }
            agent = newer;
        }
    }

    /// Returns the persona that an agent's files contain. If they are invalid or missing, logs a
    /// warning and returns the last valid persona.
    pub(super) async fn persona_or_last_valid(&self, agent: &Agent) -> Result<Arc<AgentConfig>> {
        let id = agent.id;
        let why = match self.files.load_persona(id, AgentPath::of(agent)).await {
            Ok(Some(config)) => return Ok(config),
            Ok(None) => format!("{} is missing", agent.config_file),
            Err(Error::Invalid(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::warn!(
            agent = %id,
            why,
            "the agent's files cannot be used: its last valid persona stays in use"
        );
        self.last_valid(id).await
    }

    /// Returns the last valid persona of an agent. If the files were valid at any time since the
    /// start, the persona is in memory. Otherwise it is parsed from the snapshot, which may be
    /// older than the persona that readers last received.
    async fn last_valid(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        if let Some(config) = self.files.registry.last_valid(id).await {
            return Ok(config);
        }
        let snapshot = find_snapshot(&self.database.read(), id).await?;
        parse_snapshot(id, &snapshot).map(Arc::new)
    }
}

#[async_trait]
impl AgentConfigs for SqlStore {
    async fn find(&self, id: AgentId) -> Result<Option<Arc<AgentConfig>>> {
        let mut found = AgentConfigs::find_many(self, &[id]).await?;
        Ok(found.pop().map(|(_, config)| config))
    }

    async fn find_many(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let mut found = Vec::new();
        for agent in find_many_living(&self.database.read(), ids).await? {
            let id = agent.id;
            let config = self.current_persona(agent).await?;
            found.extend(config.map(|config| (id, config)));
        }
        Ok(found)
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        let Some(agent) = find_living(&self.database.read(), id).await? else {
            return Ok(None);
        };
        let config = self.persona_or_last_valid(&agent).await?;
        let Some(file) = config.profile_pic.clone() else {
            return Ok(None);
        };
        let bytes = self.files.picture(AgentPath::of(&agent), file).await?;
        Ok(bytes.map(Into::into))
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        let permit = self.begin_change().await?;
        let path = self.registered_path(&*self.living(id).await?);
        let edit = Edit {
            id,
            from: path.clone(),
            to: path,
            picture: None,
        };
        let replace = move |old: &mut AgentConfig| {
            *old = AgentConfig {
                profile_pic: old.profile_pic.take(),
                ..config
            }
        };
        let prepared = self.files.prepare_edit(&permit, edit, replace).await?;
        self.commit_persona(permit, id, prepared).await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        let permit = self.begin_change().await?;
        let path = self.registered_path(&*self.living(id).await?);
        let last_valid = (*self.last_valid(id).await?).clone();
        let prepared = self
            .files
            .prepare_event(&permit, (id, path), event, last_valid)
            .await?;
        self.commit_persona(permit, id, prepared).await
    }
}
