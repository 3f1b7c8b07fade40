//! Connection pools for SQLite and PostgreSQL.

use std::{path::Path, sync::Arc, time::Duration};

use domain::{Error, Result};
use log::LevelFilter;
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection,
    sqlx::{
        Connection as _,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

use super::postgres_lock::PostgresLock;

/// The number of SQLite connections for reads. Writes use one separate connection.
///
/// In a measurement under a full read load, separate connections for reads allowed 3,160 writes a
/// second. One connection for reads and writes allowed 206.
const SQLITE_READERS: u32 = 4;

/// The number of PostgreSQL connections for reads. The number was not measured. All pools together
/// stay far below the 100 connections that a PostgreSQL server admits by default.
const POSTGRES_READERS: u32 = 8;

/// The number of PostgreSQL connections for writes. They are separate from the connections for
/// reads. Otherwise, writes that wait for a lock could occupy all connections.
///
/// A message occupies a connection for four round trips. So at 10 ms per round trip, 16 connections
/// store at most 400 messages a second.
pub(super) const POSTGRES_WRITERS: u32 = 16;

/// The number of PostgreSQL connections for health checks and for settling. Settling needs separate
/// connections, because it ends writes that may occupy all connections for writes.
const POSTGRES_CONTROLS: u32 = 2;

/// The longest wait for a free connection. After it, the caller gets an error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait for SQLite's write lock, which another tool such as `sqlite3` may hold. Equal
/// to [`ACQUIRE_TIMEOUT`], so that a blocked write fails after the same time in both cases.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The duration from which a statement is logged as a warning. A statement normally takes a few
/// milliseconds. One that takes a second indicates a locked or overloaded database.
const SLOW_STATEMENT: Duration = Duration::from_secs(1);

/// The connections of one database.
pub(super) struct Pools {
    pub(super) reader: DatabaseConnection,
    pub(super) writer: DatabaseConnection,
    /// Connections for health checks and for settling.
    pub(super) control: DatabaseConnection,
}

impl Pools {
    /// Opens the SQLite file at `path`.
    pub(super) async fn open_sqlite(path: &Path) -> Result<Self> {
        // SQLite admits one writer at a time. A pool of one connection queues writers in order.
        // With several connections, waiting writers would retry at random moments until the busy
        // timeout.
        let writer = connect_sqlite(path, 1).await?;
        let reader = connect_sqlite(path, SQLITE_READERS).await?;
        Ok(Self {
            control: reader.clone(),
            reader,
            writer,
        })
    }

    /// Connects to PostgreSQL. `lock` is the lock of this process on the database.
    pub(super) async fn open_postgres(url: &str, lock: &Arc<PostgresLock>) -> Result<Self> {
        Ok(Self {
            reader: connect_postgres(url, lock, POSTGRES_READERS, Access::Read).await?,
            writer: connect_postgres(url, lock, POSTGRES_WRITERS, Access::Write).await?,
            control: connect_postgres(url, lock, POSTGRES_CONTROLS, Access::Read).await?,
        })
    }
}

/// The kind of statements that a connection runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

async fn connect_postgres(
    url: &str,
    lock: &Arc<PostgresLock>,
    connections: u32,
    access: Access,
) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    let named = lock.clone();
    set_common_options(&mut options)
        .max_connections(connections)
        .map_sqlx_postgres_opts(move |options| named.options(options));
    let lock = lock.clone();
    options.map_sqlx_postgres_pool_opts(move |options| {
        let options = options.after_release(|connection, _| {
            // Closes a connection that is still in a transaction, as in `connect_sqlite`. Unlike
            // there, no ping is needed. This driver counts a queued rollback as the transaction's
            // end, and the driver's pool sends the rollback with its own ping after this hook.
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        });
        if access == Access::Read {
            return options;
        }
        let lock = lock.clone();
        options.after_connect(move |connection, _| {
            let lock = lock.clone();
            Box::pin(async move { lock.admit(connection).await })
        })
    });
    Database::connect(options).await.map_err(Error::unavailable)
}

async fn connect_sqlite(path: &Path, connections: u32) -> Result<DatabaseConnection> {
    // The URL only selects the driver. The path is set below, because the driver would
    // percent-decode a path in the URL.
    let mut options = ConnectOptions::new("sqlite:");
    let file = path.to_path_buf();
    set_common_options(&mut options)
        .max_connections(connections)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                // Readers don't block the writer, and the writer doesn't block readers.
                .journal_mode(SqliteJournalMode::Wal)
                // An acknowledged write survives a power failure.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(BUSY_TIMEOUT)
                .foreign_keys(true)
        });
    options.map_sqlx_sqlite_pool_opts(|options| {
        options.after_release(|connection, _| {
            // A connection whose COMMIT failed, on a full disk for example, is still inside its
            // transaction. Later statements would join that transaction and never be committed. So
            // such a connection is closed instead of returned to the pool. The ping comes first,
            // because it waits for a rollback that is still queued on the connection.
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
    });
    Database::connect(options)
        .await
        .map_err(|error| Error::unavailable(format!("{}: {error}", path.display())))
}

/// Opens the SQLite file at `path` for reading, while another process may use it. Returns the
/// connection, and `true` if it ignores the changes of other processes.
///
/// A closed database has no `-wal` file. SQLite would create this file and a `-shm` file, unless
/// the connection is opened as immutable. An immutable connection ignores the changes of other
/// processes. Its reads are not reliable if a process opens the database meanwhile.
pub(crate) async fn connect_sqlite_to_read(path: &Path) -> Result<(DatabaseConnection, bool)> {
    let is_closed = !has_wal(path)?;
    let connection = connect_sqlite_beside(path, move |options| {
        options.read_only(true).immutable(is_closed)
    });
    Ok((connection.await?, is_closed))
}

/// Returns `true` if an SQLite database has a `-wal` file. The file exists while a process uses the
/// database, and after that process was killed.
pub(crate) fn has_wal(path: &Path) -> Result<bool> {
    let unavailable = |error| Error::unavailable(format!("{}: {error}", path.display()));
    // SQLite creates the file beside the target of a link.
    let mut name = path.canonicalize().map_err(unavailable)?.into_os_string();
    name.push("-wal");
    Ok(Path::new(&name).exists())
}

/// Opens the SQLite file at `path`, while another process may use it, to copy it into another
/// database. Foreign keys are off, so that tables can be copied in any order.
pub(crate) async fn connect_sqlite_to_copy(path: &Path) -> Result<DatabaseConnection> {
    connect_sqlite_beside(path, |options| options.foreign_keys(false)).await
}

async fn connect_sqlite_beside(
    path: &Path,
    adjust: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new("sqlite:");
    let file = path.to_path_buf();
    set_common_options(&mut options)
        .max_connections(1)
        .map_sqlx_sqlite_opts(move |options| {
            adjust(options.filename(&file).busy_timeout(BUSY_TIMEOUT))
        });
    Database::connect(options)
        .await
        .map_err(|error| Error::unavailable(format!("{}: {error}", path.display())))
}

/// Connects to PostgreSQL, while another process may use the database. Transactions are read-only
/// by default.
pub(crate) async fn connect_postgres_to_read(url: &str) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    set_common_options(&mut options)
        .max_connections(1)
        .map_sqlx_postgres_opts(|options| {
            options.options([("default_transaction_read_only", "on")])
        });
    Database::connect(options).await.map_err(Error::unavailable)
}

fn set_common_options(options: &mut ConnectOptions) -> &mut ConnectOptions {
    options
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The driver's pool pings each connection when it is released. Without a second ping at
        // each acquisition, PostgreSQL reaches 1.6 times the throughput.
        .test_before_acquire(false)
        .sqlx_logging_level(LevelFilter::Trace)
        .sqlx_slow_statements_logging_settings(LevelFilter::Warn, SLOW_STATEMENT)
}
