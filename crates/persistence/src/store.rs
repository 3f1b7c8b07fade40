//! The store that implements all ports.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, Health, Result, Settle};

use crate::{agent_files::file_store::FileStore, purge::Purge, sql::database::Database};

/// The implementation of all ports on one database and one agents' folder. Clones share both.
///
/// Most ports are implemented in the module named after their entity: `agents`, `rooms`, `messages`
/// and so on.
#[derive(Clone)]
pub(crate) struct SqlStore {
    pub(crate) database: Arc<Database>,
    pub(crate) files: Arc<FileStore>,
    pub(crate) purge: Arc<Purge>,
}

#[async_trait]
impl Settle for SqlStore {
    async fn settle(&self) -> Result<()> {
        self.database.settle().await?;
        self.files.settle().await?;
        // No earlier write is running any more. A write with an unknown outcome may have changed
        // only the files or only the table `agents`. Recovery makes both agree.
        if self.files.needs_recovery() {
            let permit = self.files.change_permit().await;
            // A write that waited for the permit may have been dropped since then.
            self.database.settle().await?;
            self.recover(&permit).await?;
            if self.files.is_recovery_incomplete() {
                return Err(Error::unavailable(
                    "an interrupted change of an agent's files cannot be completed",
                ));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Health for SqlStore {
    async fn check(&self) -> Result<()> {
        self.files.check_claim()?;
        self.database.check().await
    }
}
