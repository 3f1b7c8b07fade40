//! The implementation of the port `AgentFiles`.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use domain::{
    Agent, AgentConfig, AgentConfigs, AgentFiles, AgentId, ConfigFile, ConfigProblem, Error, Result,
};

use super::table::{insert, lock_living, update_snapshot};
use crate::{
    agent_files::{
        file_store::{ChangePermit, to_config_file},
        path::AgentPath,
        prepare::PreparedChange,
    },
    store::SqlStore,
};

impl SqlStore {
    /// Prepares to write an adopted agent's id into its `agent.yaml`. Returns `None` if the file
    /// already contains the id, or if the file cannot be changed.
    ///
    /// A failure is only logged. An agent works without the id in its file: the id only serves to
    /// find the folder after a person has moved it.
    async fn prepare_adopted_id(
        &self,
        permit: &ChangePermit,
        id: AgentId,
        found: Option<i64>,
        path: &AgentPath,
    ) -> Option<PreparedChange> {
        if found == Some(id.0) {
            return None;
        }
        match self.files.prepare_id(permit, id, path.clone()).await {
            Ok(prepared) => Some(prepared),
            Err(error) => {
                warn_without_id(id, &error);
                None
            }
        }
    }
}

fn warn_without_id(agent: AgentId, error: &Error) {
    tracing::warn!(
        %agent,
        %error,
        "cannot write the agent's id into its agent.yaml: \
         the agent will not be recognized if its folder is moved"
    );
}

#[async_trait]
impl AgentFiles for SqlStore {
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

    async fn adopt(&self, path: &str) -> Result<Arc<Agent>> {
        let path = AgentPath::parse(path)?;
        let permit = self.begin_change().await?;
        let persona = self
            .files
            .inspect_persona(path.clone(), None)
            .await?
            .ok_or_else(|| Error::missing("configuration", path.config_file()))?;
        self.files.require_one_kind(path.clone()).await?;
        self.require_free_name(&path.name, None).await?;
        let id = match self.adoptable_id(persona.id, &path).await? {
            Some(id) => id,
            None => self.next_id().await?,
        };
        let prepared = self
            .prepare_adopted_id(&permit, id, persona.id, &path)
            .await;
        let (store, held) = (self.clone(), permit.clone());
        let lock = prepared.as_ref().map(PreparedChange::lock);
        self.write_with_files(&permit, lock, move |tx| {
            Box::pin(async move {
                let agent = insert(tx, id, &path, &persona.config).await?;
                store.files.registry.register_new(id, path);
                if let Some(prepared) = prepared {
                    match store.files.commit(&held, id, prepared).await {
                        Err(error) if !error.may_be_applied() => warn_without_id(id, &error),
                        committed => committed?,
                    }
                }
                Ok(agent)
            })
        })
        .await
    }

    async fn reload(&self, id: AgentId) -> Result<Arc<AgentConfig>> {
        // The permit is held until the end, so that no change runs between reading the files and
        // storing the snapshot.
        let _permit = self.begin_change().await?;
        let agent = self.living(id).await?;
        let current = AgentPath::of(&agent);
        let config = match self.files.load_persona(id, current.clone()).await {
            Ok(Some(config)) => config,
            unusable @ (Ok(None) | Err(Error::Invalid(_))) => {
                // A person may have renamed the folder. The id in its `agent.yaml` identifies the
                // agent.
                // A folder whose `agent.yaml` has errors is still the agent's own. A copy elsewhere
                // must not replace it.
                let is_gone = match &unusable {
                    Ok(_) => true,
                    Err(_) => self.files.belongs_to_another(id.0, current.clone()).await?,
                };
                if is_gone {
                    let moved = self.files.locate(id.0).await?;
                    if let Some(path) = moved.filter(|path| *path != current) {
                        return self.follow_moved_folder(id, path).await;
                    }
                }
                unusable?.ok_or_else(|| Error::missing("configuration", &agent.config_file))?
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
        let listing = self.files.list().await?;
        Ok(listing.agents.iter().map(to_config_file).collect())
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
