//! An open database: reads, and writes in checked transactions.

use std::pin::Pin;

use domain::{Error, Result};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::{
    connection::{Connection, Tx},
    error::DbError,
    lock::{FileLock, PostgresLock},
    pending::{PendingWrites, ServerTransaction},
    pool::Pools,
    schema::migrate,
};

/// An open database that no other process uses.
pub(crate) struct Database {
    pools: Pools,
    pending: PendingWrites,
    lock: ProcessLock,
}

/// The lock that keeps a second process out.
enum ProcessLock {
    File(#[expect(dead_code, reason = "held, never read")] FileLock),
    Postgres(PostgresLock),
}

/// The future of a write's statements.
pub(crate) type WriteFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Database {
    /// Opens the database at `url`, `sqlite:FILE` or `postgres://…`, and migrates its schema.
    ///
    /// A database that another process uses is a conflict. Another kind of URL is invalid.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let database = if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await?
        } else {
            // The URL may contain a password, so the message does not repeat it.
            return Err(Error::Invalid(
                "the database URL must begin with `sqlite:`, `postgres:` or `postgresql:`".into(),
            ));
        };
        migrate(&database.pools.writer).await?;
        Ok(database)
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
        let path = path.split('?').next().unwrap_or(path);
        // Each connection to `:memory:` would open a separate database.
        if path.is_empty() || path.contains(":memory:") {
            return Err(Error::Invalid(format!(
                "the database URL must name a file, as in `sqlite:greenroom.db`, got `{url}`"
            )));
        }
        // Before the database: migrations must not run beside another process.
        let lock = FileLock::acquire(format!("{path}.lock").into())?;
        Ok(Self {
            pools: Pools::open_sqlite(path).await?,
            pending: PendingWrites::default(),
            lock: ProcessLock::File(lock),
        })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let lock = PostgresLock::acquire(url).await?;
        Ok(Self {
            pools: Pools::open_postgres(url).await?,
            pending: PendingWrites::default(),
            lock: ProcessLock::Postgres(lock),
        })
    }

    /// Returns the connections for reads. One statement reads one snapshot.
    pub(crate) fn read(&self) -> Connection<'_, DatabaseConnection> {
        Connection(&self.pools.reader)
    }

    /// Runs `statements` in one transaction, and returns their result after a successful COMMIT.
    ///
    /// The error says whether the write may have been applied. If the caller is cancelled, the
    /// outcome is unknown until [`Database::settle`] returns.
    pub(crate) async fn write<T: Send>(
        &self,
        statements: impl for<'a> FnOnce(&'a Tx<'a>) -> WriteFuture<'a, T> + Send,
    ) -> Result<T> {
        if let ProcessLock::Postgres(lock) = &self.lock {
            lock.check().await?;
        }
        // The driver does not log BEGIN, nor COMMIT on SQLite. Cost tests count these two events.
        tracing::trace!(target: "persistence::transaction", summary = "BEGIN");
        let mut pending = self.pending.begin();
        let transaction = match self.begin().await {
            Ok(transaction) => transaction,
            Err(error) => {
                pending.finish();
                return Err(error);
            }
        };
        let result = async {
            if self.backend() == DbBackend::Postgres {
                pending.set_transaction(identify(&transaction).await?);
            }
            statements(&Connection(&transaction)).await
        }
        .await;
        match result {
            Ok(value) => {
                if self.backend() == DbBackend::Sqlite {
                    tracing::trace!(target: "persistence::transaction", summary = "COMMIT");
                }
                // COMMIT can fail, on a full disk for example: without this check, a lost write
                // would be acknowledged. It can also succeed while its reply is lost, so a failure
                // means that the outcome is unknown.
                transaction.commit().await.map_err(Error::unknown)?;
                pending.finish();
                Ok(value)
            }
            // Files were changed before the failure. The write stays pending until it is settled.
            Err(error) if error.may_be_applied() => Err(error),
            Err(error) => {
                // If the rollback fails, the pool closes the connection, which rolls back as well.
                let _ = transaction.rollback().await;
                pending.finish();
                Err(error)
            }
        }
    }

    /// Waits until no write that began before the call can take effect any more.
    pub(crate) async fn settle(&self) -> Result<()> {
        match self.lock {
            // SQLite admits one writer. Once this transaction has begun, all earlier ones ended.
            ProcessLock::File(_) => {
                let transaction = self.begin().await?;
                transaction.rollback().await.map_err(statement_error)
            }
            ProcessLock::Postgres(_) => self.pending.settle(&self.pools.reader).await,
        }
    }

    /// Checks that the database responds, and that this process still holds its lock.
    pub(crate) async fn check(&self) -> Result<()> {
        if let ProcessLock::Postgres(lock) = &self.lock {
            lock.check_or_reacquire().await?;
        }
        // A ping costs one round trip and no statement. This runs every second.
        self.pools.reader.ping().await.map_err(statement_error)
    }

    async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            // IMMEDIATE takes SQLite's write lock at BEGIN, where the busy timeout applies. A
            // deferred transaction takes it at its first write, which fails without waiting if its
            // snapshot is outdated: of 1,600 such transactions, 953 failed in a measurement.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.pools
            .writer
            .begin_with_options(options)
            .await
            .map_err(statement_error)
    }

    fn backend(&self) -> DbBackend {
        self.pools.writer.get_database_backend()
    }
}

/// Asks the PostgreSQL server how it identifies a transaction.
async fn identify(transaction: &DatabaseTransaction) -> Result<ServerTransaction> {
    let sql = "SELECT pid, backend_start::text AS started, xact_start::text AS begun \
               FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = transaction
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .map_err(statement_error)?
        .ok_or_else(|| Error::unavailable("pg_stat_activity does not list the own connection"))?;
    Ok(ServerTransaction {
        pid: row.try_get("", "pid").map_err(statement_error)?,
        backend_start: row.try_get("", "started").map_err(statement_error)?,
        transaction_start: row.try_get("", "begun").map_err(statement_error)?,
    })
}

fn statement_error(error: DbErr) -> Error {
    DbError::from(error).into_error()
}
