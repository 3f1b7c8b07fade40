//! A write guard around a SQL transaction: each end of the transaction is one of three outcomes.
//!
//! | end of the transaction | outcome | the cache then |
//! |---|---|---|
//! | COMMIT succeeds | `Written::Committed` | stores the row that the write returned |
//! | an error before COMMIT | `Written::NotApplied` | loads the value at the next read |
//! | an error at COMMIT | `Written::Unknown` | is bypassed until the write is settled |
//!
//! Run it with `cargo run -p greenroom-cache-core --example sql_transaction`.

use std::{error::Error, io, time::Duration};

use cache_core::{Manager, Policy, Region, Runtime, SettleError, Source};
use cache_core::{Unknown, WriteError, Written};
use sqlx::{Sqlite, SqlitePool, Transaction, sqlite::SqlitePoolOptions};
use tokio::sync::Mutex;

/// Locked by `main` while the connection to the database is lost.
static CONNECTION: Mutex<()> = Mutex::const_new(());

/// Runs a whole transaction, and returns its outcome.
async fn write(pool: SqlitePool, name: &'static str) -> Written<String, sqlx::Error> {
    let update = async {
        let mut transaction = pool.begin().await?;
        let row = sqlx::query_scalar("UPDATE users SET name = ? WHERE id = 7 RETURNING name");
        let row = row.bind(name).fetch_one(&mut *transaction).await?;
        Ok((transaction, row))
    };
    match update.await {
        // The transaction was dropped, which rolls it back.
        Err(error) => Written::NotApplied(error),
        Ok((transaction, row)) => match commit(transaction).await {
            // The database may have committed before the connection broke.
            Err(error) => Written::Unknown(error),
            Ok(()) => Written::Committed(row),
        },
    }
}

/// Commits. The reply of the database does not arrive while the connection is lost.
async fn commit(transaction: Transaction<'static, Sqlite>) -> sqlx::Result<()> {
    transaction.commit().await?;
    let lost = |_| io::Error::from(io::ErrorKind::ConnectionReset).into();
    CONNECTION.try_lock().map(drop).map_err(lost)
}

/// Returns once no earlier transaction can still commit, because this one has the write lock.
async fn settle(pool: SqlitePool) -> Result<(), SettleError> {
    let _connection = CONNECTION.lock().await;
    let transaction = pool.begin_with("BEGIN IMMEDIATE").await;
    let transaction = transaction.map_err(SettleError::failed)?;
    transaction.rollback().await.map_err(SettleError::failed)
}

struct Users {
    pool: SqlitePool,
    manager: Manager,
    names: Region<u64, String>,
}

impl Users {
    async fn rename(&self, name: &'static str) -> Result<String, WriteError<sqlx::Error>> {
        let guard = self.manager.guard();
        let guard = guard.key_storing(&self.names, 7, |row: &String| Some(row.clone()));
        guard.run(write(self.pool.clone(), name)).await
    }

    async fn name(&self) -> Result<(Option<String>, Source), Box<dyn Error>> {
        let pool = self.pool.clone();
        let row = sqlx::query_scalar("SELECT name FROM users WHERE id = 7");
        let load = || async move { row.fetch_optional(&pool).await };
        let read = self.names.get_or_load(7, load).await?;
        Ok((read.value, read.source))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One connection, because each has its own database in memory.
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect("sqlite::memory:").await?;
    let table = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> ''));
        INSERT INTO users VALUES (7, 'Ada')";
    sqlx::raw_sql(table).execute(&pool).await?;
    let database = pool.clone();
    let unknown = Unknown::settled_by(move || settle(database.clone()));
    let manager = Manager::new(Runtime::tokio(), unknown);
    let users = Users {
        names: manager.region("names", Policy::new(Duration::from_secs(60), 1_000)),
        pool,
        manager,
    };
    assert_eq!(users.name().await?, (Some("Ada".into()), Source::Loaded));

    users.rename("Grace").await?;
    assert_eq!(users.name().await?, (Some("Grace".into()), Source::Hit));
    // The table refuses an empty name.
    assert!(users.rename("").await.is_err());
    assert_eq!(users.name().await?, (Some("Grace".into()), Source::Loaded));

    let outage = CONNECTION.lock().await;
    assert!(users.rename("Joan").await.is_err());
    assert_eq!(users.name().await?.1, Source::DuringWrite);
    // The cache settles in the background. This waits until it has.
    drop(outage);
    users.manager.settle().await?;
    assert_eq!(users.name().await?, (Some("Joan".into()), Source::Loaded));
    println!("the write of unknown outcome was settled, and the name is cached again");
    Ok(())
}
