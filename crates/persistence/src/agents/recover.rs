//! Makes files and table agree, at the start and after a change with an unknown outcome.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use domain::{Agent, AgentConfig, AgentFiles as _, AgentId, Agents, Error, Result};

use super::{
    snapshot::to_snapshot,
    table::{find_snapshots, highest_id, list_living, lock_living, update_path, update_snapshot},
};
use crate::{
    agent_files::{
        file_store::{ChangePermit, to_config_file},
        path::AgentPath,
        recovery::FoundFolder,
    },
    store::SqlStore,
};

/// The greatest distance between the id in an adopted `agent.yaml` and the highest id in the table.
///
/// A new agent gets a higher id than all other agents. Without this bound, one file with a very
/// high id would leave no ids for later agents.
const MAX_ID_GAP: i64 = 1_000_000_000;

/// The number of snapshots that recovery keeps in memory at a time.
const SNAPSHOTS_AT_ONCE: usize = 100;

impl SqlStore {
    /// Recovers from a crash, and creates an agent from each folder that has no agent yet. A folder
    /// whose files have errors is logged and skipped. Called once, before the store serves
    /// requests.
    pub(crate) async fn start(&self) -> Result<()> {
        let permit = self.files.change_permit().await;
        self.recover(&permit).await?;
        // Dropped here, because `adopt` acquires the permit for each agent.
        drop(permit);
        let agents = list_living(&self.database.read()).await?;
        let taken: HashSet<_> = agents.iter().map(|agent| &agent.config_file).collect();
        let listing = self.files.list().await?;
        for problem in listing.problems {
            tracing::warn!(folder = problem.folder, "{}", problem.text);
        }
        for path in listing.agents {
            let file = to_config_file(&path).path;
            if taken.contains(&file) {
                continue;
            }
            match self.adopt(&file).await {
                Ok(agent) => tracing::info!(agent = %agent.id, file, "created an agent from files"),
                // An error in the agent's row is logged like an error in its files.
                Err(error @ (Error::Invalid(_) | Error::Conflict(_) | Error::Corrupt { .. })) => {
                    tracing::warn!(file, %error, "cannot create an agent from files");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes files and table agree. Completes or discards interrupted changes of files, updates the
    /// rows of agents whose folders have moved, and updates outdated snapshots.
    pub(crate) async fn recover(&self, permit: &ChangePermit) -> Result<()> {
        let agents = list_living(&self.database.read()).await?;
        let living = agents
            .iter()
            .map(|agent| (agent.id.0, AgentPath::of(agent)))
            .collect();
        let id_limit = highest_id(&self.database.read()).await? + MAX_ID_GAP;
        let recovered = self.files.recover(permit, living, id_limit).await?;
        let registry = &self.files.registry;
        registry.reserve_ids_up_to(recovered.highest_deleted_id);
        for agent in &agents {
            registry.set_path(agent.id, AgentPath::of(agent));
        }
        for (id, path) in moved_folders(&agents, &recovered.folders) {
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
        self.repair_snapshots(&agents).await?;
        self.files.record_recovery(recovered.is_complete);
        Ok(())
    }

    /// Sets an agent's name and group in the table according to `path`, a folder that contains the
    /// agent's id. Returns the agent's persona. The caller holds the [`ChangePermit`].
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
        // The row has changed, so an error must not say that nothing was applied.
        let agent = self.living(id).await.map_err(Error::unknown)?;
        let persona = self.persona_or_last_valid(&agent).await;
        persona.map_err(Error::unknown)
    }

    /// Updates each snapshot that differs from its agent's files. If the files are not valid, the
    /// snapshot stays as it is.
    async fn repair_snapshots(&self, agents: &[Arc<Agent>]) -> Result<()> {
        let mut outdated = Vec::new();
        for agents in agents.chunks(SNAPSHOTS_AT_ONCE) {
            let ids: Vec<_> = agents.iter().map(|agent| agent.id).collect();
            let snapshots = find_snapshots(&self.database.read(), &ids).await?;
            for agent in agents {
                let (id, path) = (agent.id, AgentPath::of(agent));
                if let Ok(Some(persona)) = self.files.inspect_persona(path, Some(id.0)).await
                    && snapshots.get(&id) != Some(&to_snapshot(&persona.config))
                {
                    outdated.push((id, persona.config));
                }
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

    /// Returns the id to create an adopted agent with. `found` is the id in its `agent.yaml`.
    /// Returns `None` if the agent must get a new id: without `found`, and if a deleted agent had
    /// that id.
    ///
    /// Fails with `Conflict` if a living agent has the id. The folder is then probably a copy of
    /// that agent's folder. Fails with `Invalid` for an id more than [`MAX_ID_GAP`] above the
    /// highest id in the table.
    pub(super) async fn adoptable_id(
        &self,
        found: Option<i64>,
        path: &AgentPath,
    ) -> Result<Option<AgentId>> {
        let Some(id) = found.map(AgentId) else {
            return Ok(None);
        };
        let Some(owner) = Agents::find_many(self, &[id]).await?.pop() else {
            let limit = highest_id(&self.database.read()).await? + MAX_ID_GAP;
            if id.0 > limit {
                return Err(Error::Invalid(format!(
                    "{}: agent.yaml: `id` must be at most {limit}, got {id}: remove the line, and \
                     the agent gets a new id",
                    path.name
                )));
            }
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

/// Returns the agents whose folders have moved, each with its new path.
///
/// A folder has moved if the folder at the agent's path does not contain the agent's id, and
/// exactly one folder without an agent does. If two such folders contain the id, the move is
/// ambiguous, and the agent keeps its path.
fn moved_folders(agents: &[Arc<Agent>], folders: &[FoundFolder]) -> Vec<(AgentId, AgentPath)> {
    let taken: HashSet<AgentPath> = agents.iter().map(|agent| AgentPath::of(agent)).collect();
    let ids: HashMap<&AgentPath, Option<i64>> = folders
        .iter()
        .map(|folder| (&folder.path, folder.id))
        .collect();
    let new_path = |agent: &Arc<Agent>| {
        let id = agent.id.0;
        // A file without an id belongs to the agent at its path.
        let is_at_home = ids
            .get(&AgentPath::of(agent))
            .is_some_and(|found| found.is_none_or(|found| found == id));
        if is_at_home {
            return None;
        }
        let mut elsewhere = folders
            .iter()
            .filter(|folder| folder.id == Some(id) && !taken.contains(&folder.path));
        match (elsewhere.next(), elsewhere.next()) {
            (Some(folder), None) => Some((agent.id, folder.path.clone())),
            _ => None,
        }
    };
    agents.iter().filter_map(new_path).collect()
}
