//! Agreement of files and table, at the start and after a change with an unknown outcome.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{AgentConfig, AgentId, Agents, Error, Result};

use super::{
    snapshot::to_snapshot,
    table::{StoredAgent, find_living, list_living, lock_living, update_path, update_snapshot},
};
use crate::{
    agent_files::{
        file_store::{ChangePermit, to_config_file},
        path::AgentPath,
        recovery::FoundFolder,
    },
    store::SqlStore,
};

impl SqlStore {
    /// Recovers from a crash, and makes an agent of each folder that is no agent's yet. Folders
    /// with errors are logged and left alone. Called once, before the store serves requests.
    pub(crate) async fn start(&self) -> Result<()> {
        let permit = self.files.change_permit().await;
        self.recover(&permit).await?;
        // `adopt` acquires it again.
        drop(permit);
        let agents = Agents::list(self).await?;
        let taken: HashSet<_> = agents.iter().map(|agent| &agent.config_file).collect();
        for path in self.files.list().await? {
            let file = to_config_file(&path).path;
            if taken.contains(&file) {
                continue;
            }
            match self.adopt(&file).await {
                Ok(agent) => tracing::info!(agent = %agent.id, file, "created an agent from files"),
                Err(error @ (Error::Invalid(_) | Error::Conflict(_))) => {
                    tracing::warn!(file, %error, "cannot create an agent from files");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes files and table agree. Interrupted changes of files are completed or discarded, rows
    /// follow folders that have moved, and snapshots follow the files.
    pub(crate) async fn recover(&self, permit: &ChangePermit) -> Result<()> {
        let rows = list_living(&self.database.read()).await?;
        let living = rows
            .iter()
            .map(|row| (row.agent.id.0, row.path()))
            .collect();
        let folders = self.files.recover(permit, living).await?;
        for row in &rows {
            self.files.registry.set_path(row.agent.id, row.path());
        }
        for (id, path) in moved_folders(&rows, &folders) {
            match self.follow_moved_folder(id, path.clone()).await {
                Err(error @ (Error::Invalid(_) | Error::Conflict(_))) => {
                    tracing::warn!(
                        agent = %id,
                        file = %path.config_file(),
                        %error,
                        "cannot follow an agent's folder that has moved"
                    );
                }
                result => drop(result?),
            }
        }
        self.repair_snapshots(&rows).await?;
        self.files.record_recovery();
        Ok(())
    }

    /// Renames an agent after a folder that contains its id, and returns its persona.
    /// The caller holds the [`ChangePermit`].
    pub(super) async fn follow_moved_folder(
        &self,
        id: AgentId,
        path: AgentPath,
    ) -> Result<Arc<AgentConfig>> {
        let persona = self
            .files
            .inspect_persona(path.clone(), Some(id.0))
            .await?
            .ok_or_else(|| Error::missing("configuration", path.config_file()))?;
        let new_path = path.clone();
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    lock_living(tx, id).await?;
                    update_path(tx, id, &new_path, &persona.config).await
                })
            })
            .await?;
        self.files.registry.set_path(id, path);
        let row = find_living(&self.database.read(), &[id])
            .await?
            .pop()
            .ok_or_else(|| Error::missing("agent", id))?;
        self.persona_or_last_valid(&row).await
    }

    /// Updates the snapshots that differ from valid files. Invalid files leave the snapshot alone.
    async fn repair_snapshots(&self, rows: &[StoredAgent]) -> Result<()> {
        let mut outdated = Vec::new();
        for row in rows {
            let id = row.agent.id;
            if let Ok(Some(persona)) = self.files.inspect_persona(row.path(), Some(id.0)).await
                && to_snapshot(&persona.config) != row.snapshot
            {
                outdated.push((id, persona.config));
            }
        }
        if outdated.is_empty() {
            return Ok(());
        }
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    for (id, config) in &outdated {
                        update_snapshot(tx, *id, config).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Returns the id that an adopted agent gets: `found`, the one in its `agent.yaml`, or `None`
    /// for the next free one. Ids are never reused, so a deleted agent's id counts as none.
    ///
    /// The id of a living agent is a conflict: the folder probably is a copy of that agent's.
    pub(super) async fn adoptable_id(
        &self,
        found: Option<i64>,
        path: &AgentPath,
    ) -> Result<Option<AgentId>> {
        let Some(id) = found.map(AgentId) else {
            return Ok(None);
        };
        let Some(owner) = Agents::find_many(self, &[id]).await?.pop() else {
            return Ok(Some(id));
        };
        if !owner.is_living() {
            return Ok(None);
        }
        Err(Error::Conflict(format!(
            "{}: agent.yaml: `id` {id} belongs to agent {}: remove the `id` line from the copy",
            path.name, owner.name
        )))
    }
}

/// Returns the agents whose folder has moved, with the new path.
///
/// An agent has moved if its id is in exactly one folder that is no other agent's, and is not in
/// the folder at its own path. Two such folders are ambiguous, so the agent stays.
fn moved_folders(rows: &[StoredAgent], folders: &[FoundFolder]) -> Vec<(AgentId, AgentPath)> {
    let taken: HashSet<AgentPath> = rows.iter().map(StoredAgent::path).collect();
    let ids: HashMap<&AgentPath, Option<i64>> = folders
        .iter()
        .map(|folder| (&folder.path, folder.id))
        .collect();
    let new_path = |row: &StoredAgent| {
        let id = row.agent.id.0;
        // A file without an id belongs to the agent at its path.
        let is_at_home = ids
            .get(&row.path())
            .is_some_and(|found| found.is_none_or(|found| found == id));
        if is_at_home {
            return None;
        }
        let mut elsewhere = folders
            .iter()
            .filter(|folder| folder.id == Some(id) && !taken.contains(&folder.path));
        match (elsewhere.next(), elsewhere.next()) {
            (Some(folder), None) => Some((row.agent.id, folder.path.clone())),
            _ => None,
        }
    };
    rows.iter().filter_map(new_path).collect()
}
