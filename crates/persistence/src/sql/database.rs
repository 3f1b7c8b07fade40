//! The open database: connections for reads, and transactions for writes.

use std::{io, path::PathBuf, pin::Pin, sync::Arc};

use domain::{Error, Result};
use percent_encoding::percent_decode_str;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use super::{
    connection::{Connection, Tx},
    error::DbError,
    file_lock::FileLock,
    pending::{IDENTITY_COLUMNS, Identified, PendingWrite, PendingWrites, ServerTransaction},
    pool::{POSTGRES_WRITERS, Pools},
    postgres_lock::PostgresLock,
    schema::migrate,
    span::{in_commit_span, in_wait_span},
};
use crate::platform::private_file;

/// An open database, locked against use by other processes.
pub(crate) struct Database {
    pools: Pools,
    pending: PendingWrites,
    lock: ProcessLock,
}

/// The lock that keeps a second process from using the database.
enum ProcessLock {
    File(FileLock),
    Postgres(Arc<PostgresLock>),
}

/// A future that runs the statements of one write.
pub(crate) type WriteFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Database {
    /// Opens the database at `url`, `sqlite:FILE` or `postgres://…`, and migrates its schema.
    ///
    /// Fails with `Conflict` if another process uses the database, and with `Invalid` if the URL
    /// has another scheme.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let database = if is_sqlite_url(url) {
            Self::open_sqlite(url).await?
        } else if is_postgres_url(url) {
            Self::open_postgres(url).await?
        } else {
            return Err(unknown_scheme());
        };
        let tx = database.begin().await?;
        migrate(&tx).await?;
        tx.commit().await.map_err(statement_error)?;
        Ok(database)
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let path = sqlite_path(url)?;
        let unavailable = |error| Error::unavailable(format!("{}: {error}", path.display()));
        // Creates the file before SQLite does, so that only its owner may read it. SQLite gives its
        // other files the same mode. An existing file is not opened, because closing it would
        // release SQLite's locks.
        match private_file().create_new(true).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(unavailable(error));
            }
            _ => {}
        }
        // Resolves links, so that a link and the file that it leads to share one lock file.
        let path = path.canonicalize().map_err(unavailable)?;
        // The lock is acquired before the database is opened, because migrations must not run while
        // another process uses the database.
        let lock = FileLock::acquire(&path)?;
        Ok(Self {
            pools: Pools::open_sqlite(&path).await?,
            pending: PendingWrites::default(),
            lock: ProcessLock::File(lock),
        })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let lock = PostgresLock::acquire(url).await;
        let lock = Arc::new(lock.map_err(|error| with_server(url, error))?);
        Ok(Self {
            pools: Pools::open_postgres(url, &lock).await?,
            pending: PendingWrites::default(),
            lock: ProcessLock::Postgres(lock),
        })
    }

    /// Returns the pool of connections for reads. Each statement reads from one snapshot; two
    /// statements may read from different ones.
    pub(crate) fn read(&self) -> Connection<'_, DatabaseConnection> {
        Connection(&self.pools.reader)
    }

    /// Runs `statements` in one transaction, and returns their result after a successful COMMIT.
    ///
    /// The error says whether the write may have been applied. If the caller is cancelled, the
    /// write may still be applied until [`Database::settle`] returns.
    pub(crate) async fn write<T: Send>(
        &self,
        statements: impl for<'a> FnOnce(&'a Tx<'a>) -> WriteFuture<'a, T> + Send,
    ) -> Result<T> {
        let (mut pending, transaction) = self.begin_write().await?;
        let result = async {
            if self.backend() == DbBackend::Postgres {
                pending.set_transaction(identify(&transaction).await?);
            }
            statements(&Connection(&transaction)).await
        }
        .await;
        self.end_write(pending, transaction, result).await
    }

    /// Like [`Database::write`], for statements that return the identity of their transaction
    /// themselves (see [`IDENTITY_COLUMNS`]). This saves a round trip on PostgreSQL.
    ///
    /// The statements must change nothing but the database. Until their end, the identity is not
    /// known. This is sound because COMMIT is sent later: a transaction that is dropped earlier is
    /// rolled back.
    pub(crate) async fn write_identified<T: Send>(
        &self,
        statements: impl for<'a> FnOnce(&'a Tx<'a>) -> WriteFuture<'a, Identified<T>> + Send,
    ) -> Result<T> {
        let (mut pending, transaction) = self.begin_write().await?;
        let result = statements(&Connection(&transaction)).await;
        let result = result.map(|identified| {
            if let Some(transaction) = identified.transaction {
                pending.set_transaction(transaction);
            }
            identified.value
        });
        self.end_write(pending, transaction, result).await
    }

    /// Registers a write and begins its transaction.
    async fn begin_write(&self) -> Result<(PendingWrite, DatabaseTransaction)> {
        if let ProcessLock::Postgres(lock) = &self.lock {
            lock.require_writable()?;
        }
        // The driver does not log BEGIN, and on SQLite it does not log COMMIT. Two events replace
        // its log, because the cost tests count the statements of each operation.
        tracing::trace!(target: "persistence::transaction", summary = "BEGIN");
        let mut pending = self.pending.begin();
        match in_wait_span(self.backend(), self.begin()).await {
            Ok(transaction) => Ok((pending, transaction)),
            Err(error) => {
                pending.finish();
                Err(error)
            }
        }
    }

    /// Commits or rolls back the transaction of a write.
    async fn end_write<T>(
        &self,
        mut pending: PendingWrite,
        transaction: DatabaseTransaction,
        result: Result<T>,
    ) -> Result<T> {
        match result {
            Ok(value) => {
                if self.backend() == DbBackend::Sqlite {
                    tracing::trace!(target: "persistence::transaction", summary = "COMMIT");
                }
                // COMMIT can fail, for example on a full disk. Ignoring the error would acknowledge
                // a lost write. An error can also mean that COMMIT succeeded and only its reply was
                // lost, so the outcome is unknown.
                let committed = in_commit_span(self.backend(), transaction.commit()).await;
                committed.map_err(Error::unknown)?;
                pending.finish();
                Ok(value)
            }
            // The statements can also change files, and the outcome of such a change is unknown.
            // `pending` is dropped without `finish`, so that `settle` waits for the end of this
            // transaction.
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
            // SQLite admits one write transaction at a time. When this one has begun, all earlier
            // ones have ended.
            ProcessLock::File(_) => {
                let transaction = self.begin().await?;
                transaction.rollback().await.map_err(statement_error)
            }
            ProcessLock::Postgres(_) => self.pending.settle(&self.pools.control).await,
        }
    }

    /// Checks that the database responds, and that this process still holds its lock.
    pub(crate) async fn check(&self) -> Result<()> {
        match &self.lock {
            ProcessLock::File(lock) => lock.check()?,
            ProcessLock::Postgres(lock) => lock.check_or_reacquire().await?,
        }
        // A ping instead of a query, because this check runs every second. A ping costs one round
        // trip and runs no statement.
        self.pools.control.ping().await.map_err(statement_error)
    }

    async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            // An IMMEDIATE transaction acquires SQLite's write lock at BEGIN, where the busy
            // timeout applies. A DEFERRED transaction acquires the lock at its first write. If
            // another transaction has committed since its first read, this write fails without
            // waiting. In a measurement, 953 of 1,600 deferred transactions failed.
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let writer = self.pools.writer.clone();
        let transaction = match self.lock {
            ProcessLock::File(_) => writer.begin_with_options(options).await,
            // A task, because the driver does not notice that a BEGIN took effect if its caller is
            // cancelled before the reply. The pool would hand out a connection inside a
            // transaction.
            ProcessLock::Postgres(_) => {
                let beginning = tokio::spawn(begin_on_postgres(writer, options));
                beginning.await.map_err(Error::unavailable)?
            }
        };
        transaction.map_err(statement_error)
    }

    fn backend(&self) -> DbBackend {
        self.pools.writer.get_database_backend()
    }
}

pub(crate) fn is_sqlite_url(url: &str) -> bool {
    url.starts_with("sqlite:")
}

pub(crate) fn is_postgres_url(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

/// Adds the server's host and port to an error of connecting to it. The rest of the URL may contain
/// a password.
pub(crate) fn with_server(url: &str, error: Error) -> Error {
    let Error::Unavailable { .. } = error else {
        return error;
    };
    let address = url.split_once("://").map_or(url, |(_, rest)| rest);
    let address = address.split(['/', '?']).next().unwrap_or_default();
    let server = address
        .rsplit_once('@')
        .map_or(address, |(_, server)| server);
    Error::unavailable(format!("the PostgreSQL server at {server}: {error}"))
}

/// Returns the error for a URL of another kind. The URL may contain a password, so the message does
/// not repeat it.
pub(crate) fn unknown_scheme() -> Error {
    Error::Invalid(
        "the database URL must begin with `sqlite:`, `postgres:` or `postgresql:`".into(),
    )
}

/// Returns the path in a URL `sqlite:PATH` or `sqlite://PATH`. As in other URLs, `%20` stands for a
/// space, and `?` begins parameters, which are ignored.
pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    let path = percent_decode_str(path).decode_utf8();
    let path = path.map_err(|_| {
        Error::Invalid(format!(
            "the database URL must contain a path in UTF-8, got `{url}`"
        ))
    })?;
    // Each connection to `:memory:` would open a separate database.
    if path.is_empty() || path.contains(":memory:") {
        return Err(Error::Invalid(format!(
            "the database URL must name a file, as in `sqlite:greenroom.db`, got `{url}`"
        )));
    }
    Ok(PathBuf::from(path.as_ref()))
}

/// Queries the PostgreSQL server for the identity of a transaction.
async fn identify(transaction: &DatabaseTransaction) -> Result<ServerTransaction> {
    let sql = format!("SELECT {IDENTITY_COLUMNS}");
    let row = transaction
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .map_err(statement_error)?
        .ok_or_else(|| Error::unavailable("a SELECT without a table returned no row"))?;
    ServerTransaction::from_row(&row).map_err(DbError::into_error)
}

/// Begins a transaction on a connection that the server has not ended. It ends idle connections
/// when it restarts, and settling ends those of abandoned writes. A BEGIN that fails has begun
/// nothing, and the pool discards its connection.
async fn begin_on_postgres(
    writer: DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, DbErr> {
    for _ in 0..POSTGRES_WRITERS {
        match writer.begin_with_options(options).await {
            Err(DbErr::Query(_)) => {}
            begun => return begun,
        }
    }
    writer.begin_with_options(options).await
}

fn statement_error(error: DbErr) -> Error {
    DbError::from(error).into_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_connecting_names_the_server_and_no_password() {
        for (url, server) in [
            (
                "postgres://me:secret@db.example:5432/chat",
                "db.example:5432",
            ),
            ("postgresql://db.example?sslmode=require", "db.example"),
            ("postgres://me:se@cret@[::1]:5432/chat", "[::1]:5432"),
        ] {
            let text = with_server(url, Error::unavailable("refused")).to_string();
            assert!(text.contains(server) && !text.contains("cret"), "{text}");
        }
        let conflict = Error::Conflict("taken".into());
        assert_eq!(with_server("postgres://x/y", conflict.clone()), conflict);
    }

    #[test]
    fn a_sqlite_url_names_a_file() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite://a.db?mode=rwc", "a.db"),
            ("sqlite:///abs/a.db", "/abs/a.db"),
            ("sqlite:////abs/a.db", "//abs/a.db"),
            ("sqlite:a%20b.db", "a b.db"),
        ] {
            assert_eq!(sqlite_path(url).unwrap(), PathBuf::from(path), "{url}");
        }
        for url in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:a%ff.db"] {
            assert!(matches!(sqlite_path(url), Err(Error::Invalid(_))), "{url}");
        }
    }
}
