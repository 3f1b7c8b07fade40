//! A registry of running PostgreSQL writes. `settle` uses it to end the transactions of writes that
//! were dropped before their outcome was known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Error, Result};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement};

use super::error::DbError;

/// The pause between two checks while settling.
///
/// Settling is rare: it runs only after a write with an unknown outcome. Polling is simpler than a
/// notification from each write, and 5 ms are short compared with the statements it waits for.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The identity of a transaction on the PostgreSQL server.
///
/// The process id alone is not enough. The server reuses process ids, and one server process runs
/// many transactions in turn. The start times of the process and of the transaction make the
/// identity unique.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServerTransaction {
    pid: i32,
    backend_start: String,
    /// The start of the transaction. `None` if the server does not track activities.
    transaction_start: Option<String>,
}

/// The columns from which [`ServerTransaction::from_row`] reads the identity of the transaction
/// that runs the statement.
pub(crate) const IDENTITY_COLUMNS: &str = "pg_backend_pid() AS tx_pid, \
     (SELECT backend_start::text FROM pg_stat_get_activity(pg_backend_pid())) AS tx_server_start, \
     (SELECT xact_start::text FROM pg_stat_get_activity(pg_backend_pid())) AS tx_start";

/// The result of a write's statements, with the identity of their transaction on PostgreSQL.
pub(crate) struct Identified<T> {
    pub(crate) value: T,
    pub(crate) transaction: Option<ServerTransaction>,
}

impl ServerTransaction {
    /// Reads the [`IDENTITY_COLUMNS`] of a row.
    pub(crate) fn from_row(row: &QueryResult) -> Result<Self, DbError> {
        Ok(Self {
            pid: row.try_get("", "tx_pid")?,
            backend_start: row.try_get("", "tx_server_start")?,
            transaction_start: row.try_get("", "tx_start")?,
        })
    }
}

/// The running writes of this process, and the writes that were dropped before their outcome was
/// known. Clones share the same registry.
#[derive(Clone, Default)]
pub(super) struct PendingWrites(Arc<Mutex<WriteTable>>);

#[derive(Default)]
struct WriteTable {
    last_number: u64,
    running: HashMap<u64, Option<ServerTransaction>>,
    /// Transactions whose write was dropped before its outcome was known.
    lost: Vec<ServerTransaction>,
}

/// A guard for a running write. If the guard is dropped before [`PendingWrite::finish`], the
/// transaction is recorded as lost.
pub(super) struct PendingWrite {
    writes: PendingWrites,
    number: u64,
}

impl PendingWrites {
    /// Registers a write that is about to begin.
    pub(super) fn begin(&self) -> PendingWrite {
        let mut table = self.lock();
        table.last_number += 1;
        let number = table.last_number;
        table.running.insert(number, None);
        PendingWrite {
            writes: self.clone(),
            number,
        }
    }

    /// Waits for all writes that began before the call, and terminates the server processes of lost
    /// transactions. After this call returns, none of these writes can take effect.
    pub(super) async fn settle(&self, connection: &DatabaseConnection) -> Result<()> {
        let newest = self.lock().last_number;
        while self.lock().running.keys().any(|number| *number <= newest) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let lost = self.lock().lost.clone();
        for transaction in &lost {
            terminate(connection, transaction).await?;
        }
        // Removed only after all lost transactions have ended. If this future is dropped earlier,
        // the next call terminates them again.
        self.lock()
            .lost
            .retain(|transaction| !lost.contains(transaction));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, WriteTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Terminates the server process of a transaction, and waits until the transaction is gone.
async fn terminate(connection: &DatabaseConnection, transaction: &ServerTransaction) -> Result<()> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid = $1 AND backend_start::text = $2 \
               AND ($3::text IS NULL OR xact_start::text = $3)";
    loop {
        let values = [
            transaction.pid.into(),
            transaction.backend_start.as_str().into(),
            transaction.transaction_start.clone().into(),
        ];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = connection
            .query_all_raw(statement)
            .await
            .map_err(Error::unavailable)?;
        if rows.is_empty() {
            return Ok(());
        }
        // `pg_terminate_backend` only sends a signal, so the process may still be listed for a
        // moment. The loop queries again until it is not.
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl PendingWrite {
    /// Records the identity of this write's transaction on the server.
    pub(super) fn set_transaction(&mut self, transaction: ServerTransaction) {
        self.writes
            .lock()
            .running
            .insert(self.number, Some(transaction));
    }

    /// Removes the write from the registry, because its outcome is known.
    pub(super) fn finish(&mut self) {
        self.writes.lock().running.remove(&self.number);
    }
}

impl Drop for PendingWrite {
    fn drop(&mut self) {
        let mut table = self.writes.lock();
        // A write without a recorded transaction has not sent COMMIT, so it is rolled back.
        if let Some(Some(transaction)) = table.running.remove(&self.number) {
            table.lost.push(transaction);
        }
    }
}
