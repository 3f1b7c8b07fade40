//! The advisory lock that keeps a second process from writing to the same PostgreSQL database.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::{Error, Result};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::db::common;

/// `greenroom` in letters, so that other programs' locks are others.
const KEY: i64 = 0x6772_6565_6e72_6f6d;

/// Held by one connection that does nothing else.
pub(crate) struct PostgresLock {
    connection: DatabaseConnection,
    held: AtomicBool,
}

impl PostgresLock {
    pub(crate) async fn take(url: &str) -> Result<Self> {
        let mut options = ConnectOptions::new(url);
        common(&mut options).max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
        let connection = Database::connect(options).await.map_err(Error::unavailable)?;
        let lock = Self { connection, held: AtomicBool::new(false) };
        lock.retake().await?;
        Ok(lock)
    }

    /// Whether the lock is held, asked on the connection that holds it.
    pub(crate) async fn check(&self) -> Result<()> {
        let sql = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() LIMIT 1";
        let found = self.connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        if self.held.load(Ordering::SeqCst) && found.is_ok_and(|rows| !rows.is_empty()) {
            return Ok(());
        }
        self.held.store(false, Ordering::SeqCst);
        Err(Error::unavailable("the lock on the database was lost"))
    }

    /// The same; a lock that is known to be lost is taken again, which fails this time, so that every cache is cleared.
    pub(crate) async fn check_or_retake(&self) -> Result<()> {
        if self.held.load(Ordering::SeqCst) {
            return self.check().await;
        }
        self.retake().await?;
        Err(Error::unavailable("the lock on the database was lost and has been taken again"))
    }

    async fn retake(&self) -> Result<()> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_try_advisory_lock($1) AS held", [KEY.into()]);
        let row = self.connection.query_one_raw(statement).await.map_err(Error::unavailable)?;
        let held = row.is_some_and(|row| row.try_get("", "held").unwrap_or(false));
        self.held.store(held, Ordering::SeqCst);
        if held { Ok(()) } else { Err(Error::Conflict("another process uses this database: it holds the advisory lock".into())) }
    }
}
