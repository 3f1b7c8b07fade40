//! Changes of an agent's files together with its row. The documentation of the module `agents`
//! describes the order of the steps.

use std::sync::Arc;

use domain::{Agent, AgentConfig, AgentId, AgentName, Error, Result};

use super::{
    snapshot::to_snapshot,
    table::{
        find_living, find_many_living, find_snapshot, highest_id, lock_living, update_snapshot,
    },
};
use crate::{
    agent_files::{
        file_store::ChangePermit, folder::FolderLock, path::AgentPath, prepare::PreparedChange,
    },
    sql::{connection::Tx, database::WriteFuture},
    store::SqlStore,
};

impl SqlStore {
    /// Waits for the change permit and returns it. If the outcome of an earlier change is unknown,
    /// first completes or discards that change.
    pub(super) async fn begin_change(&self) -> Result<ChangePermit> {
        let permit = self.files.change_permit().await;
        if self.files.needs_recovery() {
            // The COMMIT of a cancelled change may still be in flight, and recovery must see its
            // result.
            self.database.settle().await?;
            self.recover(&permit).await?;
        }
        Ok(permit)
    }

    /// Runs `statements`, which also change files, in one transaction, and records its outcome.
    ///
    /// If the caller is cancelled, the outcome stays unknown, and [`SqlStore::begin_change`]
    /// recovers before the next change. `_lock` is held until the transaction has ended, so that a
    /// backup never copies new files together with an old row.
    pub(super) async fn write_with_files<T: Send>(
        &self,
        _permit: &ChangePermit,
        _lock: Option<FolderLock>,
        statements: impl for<'a> FnOnce(&'a Tx<'a>) -> WriteFuture<'a, T> + Send,
    ) -> Result<T> {
        let outcome = self.database.write(statements).await;
        self.files.record_outcome(&outcome);
        outcome
    }

    /// Returns a living agent. Fails with `Missing` if no living agent has this id.
    pub(super) async fn living(&self, id: AgentId) -> Result<Arc<Agent>> {
        find_living(&self.database.read(), id)
            .await?
            .ok_or_else(|| Error::missing("agent", id))
    }

    /// Fails with `Conflict` if `name` [collides](AgentName::collides_with) with the name of a
    /// living agent other than `except`.
    pub(super) async fn require_free_name(
        &self,
        name: &AgentName,
        except: Option<AgentId>,
    ) -> Result<()> {
        name.require_visible()?;
        let ids = self.files.registry.colliding(name, except);
        let living = find_many_living(&self.database.read(), &ids).await?;
        match living.first() {
            None => Ok(()),
            Some(agent) => Err(Error::Conflict(format!(
                "an agent named {} already exists: choose another name",
                agent.name
            ))),
        }
    }

    /// Returns an id for a new agent. The caller holds the [`ChangePermit`].
    pub(super) async fn next_id(&self) -> Result<AgentId> {
        let highest = highest_id(&self.database.read()).await?;
        Ok(self.files.registry.next_id(highest))
    }

    /// Changes an agent's persona to the prepared one, and returns the new persona. The files are
    /// renamed into place before the COMMIT.
    ///
    /// The caller must have acquired `permit` before it prepared the files. So the agent's row
    /// cannot have changed since then.
    pub(super) async fn commit_persona(
        &self,
        permit: ChangePermit,
        id: AgentId,
        prepared: PreparedChange,
    ) -> Result<Arc<AgentConfig>> {
        let (store, held, lock) = (self.clone(), permit.clone(), prepared.lock());
        self.write_with_files(&permit, Some(lock), move |tx| {
            Box::pin(async move {
                lock_living(tx, id).await?;
                let config = prepared.config.clone();
                update_snapshot(tx, id, &config).await?;
                store.files.commit(&held, id, prepared).await?;
                Ok(config)
            })
        })
        .await
    }

    /// Updates an agent's snapshot from its files before its folder moves.
    ///
    /// Readers fall back to the snapshot during the move. The snapshot is older than the files if
    /// an earlier change was cancelled before its COMMIT. The caller holds the [`ChangePermit`].
    pub(super) async fn refresh_snapshot(&self, agent: &Agent) -> Result<()> {
        let id = agent.id;
        let config = self.persona_or_last_valid(agent).await?;
        if to_snapshot(&config) == find_snapshot(&self.database.read(), id).await? {
            return Ok(());
        }
        self.database
            .write(move |tx| Box::pin(async move { update_snapshot(tx, id, &config).await }))
            .await
    }

    /// Registers the path of an agent's folder, and returns the path.
    pub(super) fn registered_path(&self, agent: &Agent) -> AgentPath {
        let path = AgentPath::of(agent);
        self.files.registry.set_path(agent.id, path.clone());
        path
    }
}
