//! The locks that keep a second process from writing to the same database: on a file beside SQLite's, and PostgreSQL's
//! advisory one.

use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use domain::{Error, Result};
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tokio::{sync::Mutex, time::timeout};

/// `greenroom` in letters, so that other programs' locks are others.
const KEY: i64 = 0x6772_6565_6e72_6f6d;
/// A connection that does not answer for so long is lost: every write waits for this check.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held until it is dropped, or the process ends.
pub(crate) struct FileLock(File);

impl FileLock {
    pub(crate) fn take(path: PathBuf) -> Result<Self> {
        let failed = |error: io::Error| Error::unavailable(format!("{}: {error}", path.display()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Conflict(format!(
                "another process uses this database: it holds the lock on {}",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // To close the file is not enough: a process that is just being started has it open, too, until its program runs.
        // What fails here is given up when this process ends.
        let _ = self.0.unlock();
    }
}

/// Held by one connection that does nothing else, and by nothing but that connection: it lasts as long.
pub(crate) struct PostgresLock {
    url: String,
    /// None once the connection is known to be lost.
    connection: Mutex<Option<PgConnection>>,
}

impl PostgresLock {
    pub(crate) async fn take(url: &str) -> Result<Self> {
        let connection = Mutex::new(Some(take(url).await?));
        Ok(Self {
            url: url.to_owned(),
            connection,
        })
    }

    /// Whether the connection that holds the lock is there: one round trip, no statement.
    pub(crate) async fn check(&self) -> Result<()> {
        let mut slot = self.connection.lock().await;
        let lost = || Error::unavailable("the lock on the database was lost");
        // A check that is given up half way leaves an answer behind, which the next one reads before its own.
        let checked = timeout(PATIENCE, slot.as_mut().ok_or_else(lost)?.ping()).await;
        if !matches!(checked, Ok(Ok(()))) {
            *slot = None;
            return Err(lost());
        }
        Ok(())
    }

    /// The same; a lock that is known to be lost is taken again, which fails this time, so that every cache is cleared.
    pub(crate) async fn check_or_retake(&self) -> Result<()> {
        if self.connection.lock().await.is_some() {
            return self.check().await;
        }
        let connection = take(&self.url).await?;
        *self.connection.lock().await = Some(connection);
        Err(Error::unavailable(
            "the lock on the database was lost and has been taken again",
        ))
    }
}

async fn take(url: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(url)
        .await
        .map_err(Error::unavailable)?;
    let held: bool = query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(KEY)
        .fetch_one(&mut connection)
        .await
        .map_err(Error::unavailable)?;
    if held {
        Ok(connection)
    } else {
        Err(Error::Conflict(
            "another process uses this database: it holds the advisory lock".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_dropped_can_be_taken_though_a_process_that_is_being_started_has_its_file_open()
     {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greenroom.db.lock");
        let lock = FileLock::take(path.clone()).unwrap();
        let _inherited = lock.0.try_clone().unwrap();
        assert!(matches!(
            FileLock::take(path.clone()),
            Err(Error::Conflict(_))
        ));
        drop(lock);
        FileLock::take(path).unwrap();
    }
}
