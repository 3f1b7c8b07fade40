//! The implementation of the port `AgentConfigs`.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use domain::{
    AgentConfig, AgentConfigs, AgentId, ConfigFile, ConfigProblem, Error, RecentEvent, Result,
};

use super::{
    snapshot::parse_snapshot,
    table::{StoredAgent, find_living, lock_living, update_snapshot},
};
use crate::{
    agent_files::{file_store::to_config_file, prepare::Edit},
    store::SqlStore,
};

impl SqlStore {
    /// Returns the persona of an agent, or `None` if it was deleted since `row` was read.
    async fn current_persona(&self, mut row: StoredAgent) -> Result<Option<Arc<AgentConfig>>> {
        loop {
            let id = row.agent.id;
            self.files.registry.set_path(id, row.path());
            match self.files.load_persona(id, row.path()).await {
                Ok(Some(config)) => return Ok(Some(config)),
                Ok(None) | Err(Error::Invalid(_)) => {}
                Err(other) => return Err(other),
            }
            // The row was read before the files, so the folder may have moved in between. The row
            // is read again to find out.
            let Some(newer) = find_living(&self.database.read(), &[id]).await?.pop() else {
                return Ok(None);
            };
            if newer.path() == row.path() {
                return self.persona_or_last_valid(&newer).await.map(Some);
            }
            row = newer;
        }
    }

    /// Returns the persona that an agent's files contain. If they are invalid or missing, logs a
    /// warning and returns the last valid persona.
    pub(super) async fn persona_or_last_valid(
        &self,
        row: &StoredAgent,
    ) -> Result<Arc<AgentConfig>> {
        let id = row.agent.id;
        let why = match self.files.load_persona(id, row.path()).await {
            Ok(Some(config)) => return Ok(config),
            Ok(None) => format!("{} is missing", row.agent.config_file),
            Err(Error::Invalid(why)) => why,
            Err(other) => return Err(other),
        };
        tracing::warn!(
            agent = %id,
            why,
            "the agent's files cannot be used: its last valid persona stays in use"
        );
        self.last_valid(row).await
    }

    /// Returns the last valid persona of an agent. If the files were valid at any time since the
    /// start, the persona is in memory. Otherwise it is parsed from the snapshot, which may be
    /// older than the persona that readers last received.
    async fn last_valid(&self, row: &StoredAgent) -> Result<Arc<AgentConfig>> {
        match self.files.registry.last_valid(row.agent.id).await {
            Some(config) => Ok(config),
            None => parse_snapshot(row.agent.id, &row.snapshot).map(Arc::new),
        }
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
        for row in find_living(&self.database.read(), ids).await? {
            let id = row.agent.id;
            let config = self.current_persona(row).await?;
            found.extend(config.map(|config| (id, config)));
        }
        Ok(found)
    }

    async fn find_again(&self, ids: &[AgentId]) -> Result<Vec<(AgentId, Arc<AgentConfig>)>> {
        let mut found = self.files.unchanged(ids).await?;
        let unchanged: HashSet<_> = found.iter().map(|(id, _)| *id).collect();
        let others: Vec<_> = ids
            .iter()
            .copied()
            .filter(|id| !unchanged.contains(id))
            .collect();
        if !others.is_empty() {
            found.extend(AgentConfigs::find_many(self, &others).await?);
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        found.dedup_by_key(|(id, _)| *id);
        Ok(found)
    }

    async fn picture(&self, id: AgentId) -> Result<Option<Arc<[u8]>>> {
        let Some(row) = find_living(&self.database.read(), &[id]).await?.pop() else {
            return Ok(None);
        };
        let config = self.persona_or_last_valid(&row).await?;
        let Some(file) = config.profile_pic.clone() else {
            return Ok(None);
        };
        let bytes = self.files.picture(row.path(), file).await?;
        Ok(bytes.map(Into::into))
    }

    async fn save(&self, id: AgentId, config: AgentConfig) -> Result<Arc<AgentConfig>> {
        self.change_persona(id, move |store, permit, row| async move {
            let edit = Edit {
                id,
                from: row.path(),
                to: row.path(),
                picture: None,
            };
            let replace = move |old: &mut AgentConfig| {
                *old = AgentConfig {
                    profile_pic: old.profile_pic.take(),
                    ..config
                }
            };
            store.files.prepare_edit(&permit, edit, replace).await
        })
        .await
    }

    async fn append_memory(&self, id: AgentId, event: RecentEvent) -> Result<Arc<AgentConfig>> {
        self.change_persona(id, move |store, permit, row| async move {
            let last_valid = (*store.last_valid(&row).await?).clone();
            store
                .files
                .prepare_event(&permit, row.path(), event, last_valid)
                .await
        })
        .await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        // The permit is held until the end, so that no change runs between reading the files and
        // storing the snapshot.
        let _permit = self.begin_change().await?;
        let row = find_living(&self.database.read(), &[id])
            .await?
            .pop()
            .ok_or_else(|| Error::missing("agent", id))?;
        let config = match self.files.load_persona(id, row.path()).await {
            Ok(Some(config)) => config,
            unusable @ (Ok(None) | Err(Error::Invalid(_))) => {
                // A person may have renamed the folder. The id in its `agent.yaml` identifies the
                // agent.
                let moved = self.files.locate(id.0).await?;
                if let Some(path) = moved.filter(|path| *path != row.path()) {
                    return self.follow_moved_folder(id, path).await;
                }
                unusable?.ok_or_else(|| Error::missing("configuration", &row.agent.config_file))?
            }
            Err(other) => return Err(other),
        };
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    lock_living(tx, id).await?;
                    update_snapshot(tx, id, &config).await?;
                    Ok(config)
                })
            })
            .await
    }

    async fn list(&self) -> Result<Vec<ConfigFile>> {
        let paths = self.files.list().await?;
        Ok(paths.iter().map(to_config_file).collect())
    }

    async fn changed(&self, ids: &[AgentId]) -> Result<Vec<AgentId>> {
        self.files.changed(ids).await
    }

    async fn watch(&self) -> Result<Vec<AgentId>> {
        self.files.watch().await
    }

    async fn problems(&self) -> Result<Vec<ConfigProblem>> {
        self.find_problems().await
    }
}
