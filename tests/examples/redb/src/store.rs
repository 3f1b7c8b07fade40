//! [`RedbStore`], which runs each method of a port in one transaction, and the ports `Settle` and
//! `Health`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, Health, Result, Settle};
use redb::{ReadTransaction, WriteTransaction};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::database_file::{DatabaseFile, Opener, TxResult, commit};

/// The store, which implements every port except `files`.
pub(crate) struct RedbStore {
    file: Arc<DatabaseFile>,
    /// The permit to write. There is one, and waiters get it in the order in which they asked.
    permit: Arc<Semaphore>,
}

impl RedbStore {
    /// Opens the file. Blocks the thread, and for as long as a repair takes.
    pub(crate) fn open(opener: Opener) -> Result<Self> {
        Ok(Self {
            file: Arc::new(DatabaseFile::open(opener)?),
            permit: Arc::new(Semaphore::new(1)),
        })
    }

    /// Runs `query` on one snapshot, which contains every write that was acknowledged before.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&ReadTransaction) -> TxResult<T> + Send + 'static,
    ) -> Result<T> {
        let file = self.file.clone();
        let task = spawn_blocking(move || {
            let transaction = file.begin_read()?;
            Ok(query(&transaction)?)
        });
        task.await
            .unwrap_or_else(|error| Err(Error::unavailable(error)))
    }

    /// Runs `change` in one transaction, and returns its result after a successful commit.
    ///
    /// The error says if the change may have been applied. If the caller is dropped, the change
    /// either never begins, or ends before [`Settle::settle`] returns.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> TxResult<T> + Send + 'static,
    ) -> Result<T> {
        self.in_turn(move |file| {
            let transaction = file.begin_write()?;
            // After an error the transaction is dropped, which aborts it.
            let value = change(&transaction)?;
            commit(transaction)?;
            Ok(value)
        })
        .await
    }

    /// Runs `step` on a thread for blocking calls, while it holds the permit to write.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        step: impl FnOnce(&DatabaseFile) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // A caller that is dropped here has not begun its step, which will never run. A waiting
        // write occupies no thread.
        let permit = self.permit.clone().acquire_owned().await;
        let permit = permit.map_err(Error::unavailable)?;
        let file = self.file.clone();
        let task = spawn_blocking(move || {
            // The task owns the permit, not the caller. A caller that is dropped from here on
            // leaves the step to run later, and the step keeps the permit until it has ended.
            let _permit = permit;
            step(&file)
        });
        task.await.unwrap_or_else(|error| {
            Err(if error.is_panic() {
                // The panic may have interrupted the commit.
                Error::unknown(error)
            } else {
                // The runtime was shut down before the step began.
                Error::unavailable(error)
            })
        })
    }
}

#[async_trait]
impl Settle for RedbStore {
    async fn settle(&self) -> Result<()> {
        // With the permit, all earlier writes have ended, including those whose callers were
        // dropped. If the commit of one failed, redb refuses this transaction, and `begin_write`
        // opens the file again, which decides if that write was applied.
        self.in_turn(|file| file.begin_write()?.abort().map_err(Error::unavailable))
            .await
    }
}

#[async_trait]
impl Health for RedbStore {
    async fn check(&self) -> Result<()> {
        // redb's lock on the file excludes writes of other processes.
        let file = self.file.clone();
        let task = spawn_blocking(move || file.accepts_writes());
        if task.await.map_err(Error::unavailable)? {
            return Ok(());
        }
        // Without this step, a store that is only read would not recover.
        self.settle().await
    }
}
