//! Changes of an agent's files together with its row. The documentation of the module `agents`
//! describes the order of the steps.

use std::sync::Arc;

use domain::{AgentConfig, AgentId, Result};

use super::{
    snapshot::to_snapshot,
    table::{StoredAgent, find_living, lock_living, update_snapshot},
};
use crate::{
    agent_files::{file_store::ChangePermit, prepare::PreparedChange},
    sql::{connection::Tx, database::WriteFuture},
    store::SqlStore,
};

impl SqlStore {
    /// Waits for the change permit and returns it. If the outcome of an earlier change is unknown,
    /// first completes or discards that change.
    pub(super) async fn begin_change(&self) -> Result<ChangePermit> {
        let permit = self.files.change_permit().await;
        if self.files.needs_recovery() {
            self.recover(&permit).await?;
        }
        Ok(permit)
    }

    /// Runs `statements`, which also change files, in one transaction, and records its outcome.
    ///
    /// If the caller is cancelled, the outcome stays unknown, and [`SqlStore::begin_change`]
    /// recovers before the next change.
    pub(super) async fn write_with_files<T: Send>(
        &self,
        _permit: &ChangePermit,
        statements: impl for<'a> FnOnce(&'a Tx<'a>) -> WriteFuture<'a, T> + Send,
    ) -> Result<T> {
        let outcome = self.database.write(statements).await;
        self.files.record_outcome(&outcome);
        outcome
    }

    /// Changes an agent's persona, and returns the new persona. `prepare` writes the new files
    /// beside the old ones. They are renamed into place before the COMMIT.
    pub(super) async fn change_persona<Fut>(
        &self,
        id: AgentId,
        prepare: impl FnOnce(SqlStore, ChangePermit, StoredAgent) -> Fut + Send + 'static,
    ) -> Result<Arc<AgentConfig>>
    where
        Fut: Future<Output = Result<PreparedChange>> + Send + 'static,
    {
        let permit = self.begin_change().await?;
        let (store, held) = (self.clone(), permit.clone());
        self.write_with_files(&permit, move |tx| {
            Box::pin(async move {
                let row = lock_living(tx, id).await?;
                store.files.registry.set_path(id, row.path());
                let prepared = prepare(store.clone(), held.clone(), row).await?;
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
    pub(super) async fn refresh_snapshot(&self, id: AgentId) -> Result<()> {
        let Some(row) = find_living(&self.database.read(), &[id]).await?.pop() else {
            return Ok(());
        };
        let config = self.persona_or_last_valid(&row).await?;
        if to_snapshot(&config) == row.snapshot {
            return Ok(());
        }
        self.database
            .write(move |tx| Box::pin(async move { update_snapshot(tx, id, &config).await }))
            .await
    }
}
