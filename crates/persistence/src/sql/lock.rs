//! Locks that keep a second process from using a database: a file lock for SQLite, an advisory lock
//! for PostgreSQL.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use domain::{Error, Result};
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tokio::{sync::Mutex, time::timeout};

/// The key of the advisory lock: the bytes of `greenrom`, so that other programs' keys differ.
const ADVISORY_KEY: i64 = 0x6772_6565_6e72_6f6d;

/// The longest wait for a reply to a ping. Every write waits for this check, so a connection that
/// stays silent for longer counts as lost.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A lock on a file beside the database. The kernel releases it when the process ends.
pub(super) struct FileLock(File);

impl FileLock {
    /// Takes the lock without waiting. A lock that another process holds is a conflict.
    pub(super) fn acquire(path: PathBuf) -> Result<Self> {
        let unavailable = |error: io::Error| {
            Error::unavailable(format!("cannot lock {}: {error}", path.display()))
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Conflict(format!(
                "another process uses this database (it holds the lock on {}): \
                 stop that process or choose another database",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process between fork and exec has inherited the
        // open file, and with it the lock. An error is ignored, since the lock ends with this
        // process at the latest.
        let _ = self.0.unlock();
    }
}

/// An advisory lock, held by one connection outside any pool.
///
/// The lock lasts exactly as long as the connection. A ping, which is one round trip and no
/// statement, therefore checks the lock.
pub(super) struct PostgresLock {
    url: String,
    /// `None` once the connection is known to be lost.
    connection: Mutex<Option<PgConnection>>,
}

impl PostgresLock {
    /// Takes the lock without waiting. A lock that another process holds is a conflict.
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
        // If a check is cancelled half way, its reply stays in the connection's buffer. The next
        // ping reads that reply before its own.
        let checked = timeout(PING_TIMEOUT, slot.as_mut().ok_or_else(lost)?.ping()).await;
        if !matches!(checked, Ok(Ok(()))) {
            *slot = None;
            return Err(lost());
        }
        Ok(())
    }

    /// Checks the lock as [`PostgresLock::check`] does. If it is already known to be lost, takes it
    /// again and still returns an error, so that callers drop everything they cached meanwhile.
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
    let mut connection = PgConnection::connect(url)
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
        let path = folder.path().join("greenroom.db.lock");
        let lock = FileLock::acquire(path.clone()).unwrap();
        let _inherited = lock.0.try_clone().unwrap();
        assert!(matches!(
            FileLock::acquire(path.clone()),
            Err(Error::Conflict(_))
        ));
        drop(lock);
        FileLock::acquire(path).unwrap();
    }
}
