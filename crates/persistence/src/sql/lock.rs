//! Locks that keep a second process from using a database: a file lock for SQLite, an advisory lock
//! for PostgreSQL.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::{Error, Result};
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tokio::{sync::Mutex, time::timeout};

use super::pool::postgres_options;
#[cfg(target_os = "linux")]
use crate::inode_lock::InodeLock;
use crate::platform::private_file;

/// The key of the advisory lock: the ASCII bytes of `greenrom`. All programs that use the same
/// PostgreSQL database share one set of keys, and this key is unlikely to be used by another.
const ADVISORY_KEY: i64 = 0x6772_6565_6e72_6f6d;

/// The longest wait for a reply to a ping of the lock's connection. Every write pings the
/// connection first. Without a reply in time, the connection counts as lost.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A lock on an SQLite database.
///
/// On Linux, the database file itself is locked, so that no other name of the file leads past the
/// lock. A file beside the database is locked, too. Other systems have only this lock.
pub(super) struct FileLock {
    beside: File,
    #[cfg(target_os = "linux")]
    database: InodeLock,
}

impl FileLock {
    /// Locks the existing database at `path` without waiting. Fails with `Conflict` if another
    /// process holds the lock.
    pub(super) fn acquire(path: &Path) -> Result<Self> {
        let in_use = || {
            Error::Conflict(format!(
                "another process uses this database ({}): \
                 stop that process or choose another database",
                path.display()
            ))
        };
        let beside = lock_beside(path)?.ok_or_else(in_use)?;
        Ok(Self {
            beside,
            #[cfg(target_os = "linux")]
            database: InodeLock::acquire(path)?.ok_or_else(in_use)?,
        })
    }

    /// Fails with `Unavailable` if the database file was moved, removed or replaced.
    pub(super) fn check(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        self.database.check()?;
        Ok(())
    }
}

/// Locks the file `PATH.lock`, and creates it if it is missing. Returns `None` if another process
/// holds the lock.
fn lock_beside(path: &Path) -> Result<Option<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let unavailable =
        |error: io::Error| Error::unavailable(format!("cannot lock {}: {error}", path.display()));
    let file = private_file()
        .truncate(false)
        .open(&path)
        .map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Unlocks explicitly, because closing the file may not release the lock: a child process
        // between fork and exec still holds the inherited file. An error is ignored, because the
        // kernel releases the lock when this process ends.
        let _ = self.beside.unlock();
    }
}

/// A PostgreSQL advisory lock, held by one connection outside of the pools.
///
/// PostgreSQL holds the lock exactly as long as the connection lasts. So a reply to a ping proves
/// that this process still holds the lock. A ping costs one round trip and runs no statement.
pub(super) struct PostgresLock {
    url: String,
    /// The connection that holds the lock; `None` once it is known to be lost.
    connection: Mutex<Option<PgConnection>>,
}

impl PostgresLock {
    /// Acquires the lock without waiting. Fails with `Conflict` if another process holds the lock.
    pub(super) async fn acquire(url: &str) -> Result<Self> {
        let connection = connect_and_lock(url).await?;
        Ok(Self {
            url: url.to_owned(),
            connection: Mutex::new(Some(connection)),
        })
    }

    /// Checks that this process still holds the lock. Called before each write.
    pub(super) async fn check(&self) -> Result<()> {
        let mut slot = self.connection.lock().await;
        let lost = || Error::unavailable("this process lost its lock on the database");
        // A cancelled check leaves its reply in the connection's buffer. That is harmless: the next
        // ping reads the old reply before its own.
        let checked = timeout(PING_TIMEOUT, slot.as_mut().ok_or_else(lost)?.ping()).await;
        if !matches!(checked, Ok(Ok(()))) {
            *slot = None;
            return Err(lost());
        }
        Ok(())
    }

    /// Checks the lock as [`PostgresLock::check`] does. If an earlier check has found the lock
    /// lost, acquires the lock again, but still returns an error. The error makes callers drop
    /// their cached data, because another process may have written in the meantime.
    pub(super) async fn check_or_reacquire(&self) -> Result<()> {
        if self.connection.lock().await.is_some() {
            return self.check().await;
        }
        let connection = connect_and_lock(&self.url).await?;
        *self.connection.lock().await = Some(connection);
        Err(Error::unavailable(
            "this process lost its lock on the database, and has taken it again",
        ))
    }
}

async fn connect_and_lock(url: &str) -> Result<PgConnection> {
    let options = url.parse().map_err(Error::unavailable)?;
    let mut connection = PgConnection::connect_with(&postgres_options(options))
        .await
        .map_err(Error::unavailable)?;
    let is_locked: bool = query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(ADVISORY_KEY)
        .fetch_one(&mut connection)
        .await
        .map_err(Error::unavailable)?;
    if is_locked {
        Ok(connection)
    } else {
        Err(Error::Conflict(format!(
            "another process uses this database (it holds advisory lock {ADVISORY_KEY}): \
             stop that process or choose another database"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lock_can_be_taken_though_a_child_process_has_inherited_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greenroom.db");
        std::fs::write(&path, "").unwrap();
        let lock = FileLock::acquire(&path).unwrap();
        let _inherited = lock.beside.try_clone().unwrap();
        let refused = FileLock::acquire(&path).map(drop);
        assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
        drop(lock);
        FileLock::acquire(&path).unwrap();
    }
}
