//! The store that implements all ports.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Health, Result, Settle};

use crate::{agent_files::file_store::FileStore, sql::database::Database};

/// All ports, on one database and one agents' folder. Clones share both.
///
/// Each port is implemented in the module of its noun: `agents`, `rooms`, `messages` and so on.
#[derive(Clone)]
pub(crate) struct SqlStore {
    pub(crate) database: Arc<Database>,
    pub(crate) files: Arc<FileStore>,
}

#[async_trait]
impl Settle for SqlStore {
    async fn settle(&self) -> Result<()> {
        self.database.settle().await?;
        self.files.settle().await?;
        // Both are quiet now. A write with an unknown outcome may have changed files without the
        // table, or the other way round.
        if self.files.needs_recovery() {
            let permit = self.files.change_permit().await;
            self.recover(&permit).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Health for SqlStore {
    async fn check(&self) -> Result<()> {
        self.database.check().await
    }
}
