//! The advisory lock that keeps a second process from writing to the same PostgreSQL database.

use std::time::Duration;

use domain::{Error, Result};
use sea_orm::sqlx::{Connection, PgConnection, query_scalar};
use tokio::{sync::Mutex, time::timeout};

/// `greenroom` in letters, so that other programs' locks are others.
const KEY: i64 = 0x6772_6565_6e72_6f6d;
/// A connection that does not answer for so long is lost: every write waits for this check.
const PATIENCE: Duration = Duration::from_secs(5);

/// Held by one connection that does nothing else, and by nothing but that connection: it lasts as long.
pub(crate) struct PostgresLock {
    url: String,
    /// None once the connection is known to be lost.
    connection: Mutex<Option<PgConnection>>,
}

impl PostgresLock {
    pub(crate) async fn take(url: &str) -> Result<Self> {
        let connection = Mutex::new(Some(take(url).await?));
        Ok(Self { url: url.to_owned(), connection })
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
        Err(Error::unavailable("the lock on the database was lost and has been taken again"))
    }
}

async fn take(url: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await.map_err(Error::unavailable)?;
    let held: bool =
        query_scalar("SELECT pg_try_advisory_lock($1)").bind(KEY).fetch_one(&mut connection).await.map_err(Error::unavailable)?;
    if held { Ok(connection) } else { Err(Error::Conflict("another process uses this database: it holds the advisory lock".into())) }
}
