//! The database: how it is opened, read and written.

use std::time::Duration;

use domain::{Error, Result};
use log::LevelFilter;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, QueryResult, SqlErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait, Value,
    sqlx::{self, Connection as _},
};
use sea_orm_migration::MigratorTrait;

use crate::{
    lock::{FileLock, PostgresLock},
    pending::{Backend, Pending},
    schema::Migrator,
};

/// Connections that read beside the one that writes, on SQLite; all of them on PostgreSQL get the sum.
const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// An open database.
pub(crate) struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    pub(crate) pending: Pending,
    lock: Lock,
}

/// What keeps a second process out.
enum Lock {
    File(#[expect(dead_code, reason = "held, never read")] FileLock),
    Postgres(PostgresLock),
}

/// A transaction, or any connection to read from.
pub(crate) struct Connection<'a, C>(pub(crate) &'a C);

pub(crate) type Tx<'a> = Connection<'a, DatabaseTransaction>;
pub(crate) type Work<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Db {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let db = if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await?
        } else {
            return Err(Error::Invalid(
                "a database address begins with sqlite: or postgres:".into(),
            ));
        };
        db.migrate().await?;
        Ok(db)
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
        let path = path.split('?').next().unwrap_or(path);
        if path.is_empty() || path.contains(":memory:") {
            return Err(Error::Invalid(
                "a SQLite address names a file, as sqlite:greenroom.db".into(),
            ));
        }
        let lock = FileLock::take(format!("{path}.lock").into())?;
        let address = format!("sqlite:{path}?mode=rwc");
        let connect = async |connections: u32| {
            let mut options = ConnectOptions::new(&address);
            common(&mut options)
                .max_connections(connections)
                .map_sqlx_sqlite_opts(|options| {
                    options
                        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
                        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
                        .busy_timeout(Duration::from_secs(10))
                        .foreign_keys(true)
                });
            options.map_sqlx_sqlite_pool_opts(|options| {
                // A connection inside a transaction, as after a failed COMMIT, would never commit what it runs next.
                options.after_release(|connection, _| {
                    Box::pin(async move {
                        connection.ping().await?;
                        Ok(!connection.is_in_transaction())
                    })
                })
            });
            Database::connect(options)
                .await
                .map_err(|error| Error::unavailable(format!("{path}: {error}")))
        };
        let writer = connect(1).await?;
        Ok(Self {
            reader: connect(READERS).await?,
            writer,
            pending: Pending::default(),
            lock: Lock::File(lock),
        })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let lock = PostgresLock::take(url).await?;
        let mut options = ConnectOptions::new(url);
        common(&mut options).max_connections(POSTGRES_CONNECTIONS);
        options.map_sqlx_postgres_pool_opts(|options| {
            options.after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        });
        let writer = Database::connect(options)
            .await
            .map_err(Error::unavailable)?;
        Ok(Self {
            reader: writer.clone(),
            writer,
            pending: Pending::default(),
            lock: Lock::Postgres(lock),
        })
    }

    async fn migrate(&self) -> Result<()> {
        let known: Vec<String> = Migrator::migrations()
            .iter()
            .map(|migration| migration.name().to_owned())
            .collect();
        let table = self
            .reader
            .query_all_raw(Statement::from_string(
                self.backend(),
                "SELECT version FROM seaql_migrations",
            ))
            .await;
        for row in table.unwrap_or_default() {
            let name: String = row.try_get("", "version").map_err(Error::unavailable)?;
            if !known.contains(&name) {
                return Err(Error::Invalid(format!(
                    "the database is of a newer version (migration {name} is not known here): use a newer greenroom"
                )));
            }
        }
        Migrator::up(&self.writer, None)
            .await
            .map_err(|error| Error::unavailable(format!("migration: {error}")))
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// To read in one statement, which is one snapshot.
    pub(crate) fn read(&self) -> Connection<'_, DatabaseConnection> {
        Connection(&self.reader)
    }

    /// Runs `work` in one transaction. `Ok` only after a checked COMMIT; the error says whether it may have been applied.
    pub(crate) async fn write<T: Send>(
        &self,
        work: impl for<'a> FnOnce(&'a Tx<'a>) -> Work<'a, T> + Send,
    ) -> Result<T> {
        self.check_lock().await?;
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        // The driver logs each statement but this one, and on SQLite COMMIT.
        tracing::trace!(target: "persistence::transaction", summary = "BEGIN");
        let mut entry = self.pending.enter();
        let begun = self
            .writer
            .begin_with_options(immediate)
            .await
            .map_err(error);
        let transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) => {
                entry.ended();
                return Err(error);
            }
        };
        let result = async {
            if self.backend() == DbBackend::Postgres {
                entry.register(backend_of(&transaction).await?);
            }
            work(&Connection(&transaction)).await
        }
        .await;
        match result {
            Ok(value) => {
                if self.backend() == DbBackend::Sqlite {
                    tracing::trace!(target: "persistence::transaction", summary = "COMMIT");
                }
                transaction.commit().await.map_err(Error::unknown)?;
                entry.ended();
                Ok(value)
            }
            // Something outside the database was changed before this failed.
            Err(error) if error.may_be_applied() => Err(error),
            Err(error) => {
                // A rollback that fails closes the connection, which rolls back.
                let _ = transaction.rollback().await;
                entry.ended();
                Err(error)
            }
        }
    }

    /// Returns when no write begun before the call, and not reported as ended, can still land.
    pub(crate) async fn settle(&self) -> Result<()> {
        match self.lock {
            // Whoever gets the write lock after them sees that they ended.
            Lock::File(_) => {
                let immediate = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..TransactionOptions::default()
                };
                let transaction = self
                    .writer
                    .begin_with_options(immediate)
                    .await
                    .map_err(error)?;
                transaction.rollback().await.map_err(error)
            }
            Lock::Postgres(_) => self.pending.settle(&self.reader).await,
        }
    }

    pub(crate) async fn check(&self) -> Result<()> {
        if let Lock::Postgres(lock) = &self.lock {
            lock.check_or_retake().await?;
        }
        // Asked each second: a round trip, and no statement.
        self.reader.ping().await.map_err(error)
    }

    async fn check_lock(&self) -> Result<()> {
        match &self.lock {
            Lock::File(_) => Ok(()),
            Lock::Postgres(lock) => lock.check().await,
        }
    }
}

/// The server process of a transaction, and when both began.
async fn backend_of(transaction: &DatabaseTransaction) -> Result<Backend> {
    let sql = "SELECT pid, backend_start::text AS started, xact_start::text AS begun FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = transaction
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await
        .map_err(error)?;
    let row = row.ok_or_else(|| Error::unavailable("a connection does not see itself"))?;
    let (pid, started) = (
        row.try_get("", "pid").map_err(error)?,
        row.try_get("", "started").map_err(error)?,
    );
    Ok(Backend {
        pid,
        started,
        begun: row.try_get("", "begun").map_err(error)?,
    })
}

pub(crate) fn common(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .sqlx_logging_level(LevelFilter::Trace)
        .sqlx_slow_statements_logging_settings(LevelFilter::Warn, Duration::from_secs(1))
}

impl<C: ConnectionTrait> Connection<'_, C> {
    pub(crate) async fn all(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>> {
        self.0
            .query_all_raw(self.statement(sql, values))
            .await
            .map_err(error)
    }

    pub(crate) async fn one(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<QueryResult>> {
        // Read to its end, so that an error behind the first row is seen.
        Ok(self.all(sql, values).await?.into_iter().next())
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }

    /// How many rows were changed.
    pub(crate) async fn run(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64> {
        Ok(self
            .0
            .execute_raw(self.statement(sql, values))
            .await
            .map_err(error)?
            .rows_affected())
    }

    fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.0.get_database_backend(), sql, values)
    }
}

/// `$from, $from+1, …`, for a list of `count`.
pub(crate) fn places(from: usize, count: usize) -> String {
    (from..from + count)
        .map(|place| format!("${place}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A failed statement, before any COMMIT: it was not applied.
pub(crate) fn error(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(what)) => {
            Error::Conflict(format!("it is taken: {what}"))
        }
        Some(SqlErr::ForeignKeyConstraintViolation(what)) => {
            Error::missing("what a row refers to", what)
        }
        Some(_) | None => Error::unavailable(error),
    }
}
