//! Writes under way, so that those whose outcome nobody saw can be ended for good.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Error, Result};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// A transaction: its server process, and when both began. Process numbers are used again, and a connection whose
/// transaction was rolled back serves others.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    pub(crate) started: String,
    /// Unknown where the server does not track activities.
    pub(crate) begun: Option<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Pending(Arc<Mutex<Writes>>);

#[derive(Default)]
struct Writes {
    next: u64,
    running: HashMap<u64, Option<Backend>>,
    /// Those that were dropped before their end was seen.
    lost: Vec<Backend>,
}

/// A write under way. Dropped before [`Entry::ended`], it is lost.
pub(crate) struct Entry {
    pending: Pending,
    number: u64,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self) -> Entry {
        let mut writes = self.lock();
        writes.next += 1;
        let number = writes.next;
        writes.running.insert(number, None);
        Entry {
            pending: self.clone(),
            number,
        }
    }

    /// Waits for the writes that run, and ends the server processes that still run those that were lost.
    pub(crate) async fn settle(&self, connection: &DatabaseConnection) -> Result<()> {
        let newest = self.lock().next;
        while self.lock().running.keys().any(|number| *number <= newest) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let lost = self.lock().lost.clone();
        for backend in &lost {
            end(connection, backend).await?;
        }
        self.lock().lost.retain(|backend| !lost.contains(backend));
        Ok(())
    }
}

async fn end(
    connection: &DatabaseConnection,
    Backend {
        pid,
        started,
        begun,
    }: &Backend,
) -> Result<()> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE pid = $1 AND backend_start::text = $2 AND ($3::text IS NULL OR xact_start::text = $3)";
    loop {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            sql,
            [(*pid).into(), started.as_str().into(), begun.clone().into()],
        );
        if connection
            .query_all_raw(statement)
            .await
            .map_err(Error::unavailable)?
            .is_empty()
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Entry {
    pub(crate) fn register(&mut self, backend: Backend) {
        self.pending
            .lock()
            .running
            .insert(self.number, Some(backend));
    }

    /// Its outcome is known.
    pub(crate) fn ended(&mut self) {
        self.pending.lock().running.remove(&self.number);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut writes = self.pending.lock();
        if let Some(Some(backend)) = writes.running.remove(&self.number) {
            writes.lost.push(backend);
        }
    }
}
