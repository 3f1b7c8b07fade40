//! The advisory locks that keep a second process from writing to a PostgreSQL database.
//!
//! * One connection outside of the pools holds the exclusive lock [`PROCESS_KEY`].
//! * Each connection for writes holds the shared lock [`WRITER_KEY`]. A new connection takes the
//!   shared lock first. Then the process checks that it still holds the exclusive lock.
//! * A process that has acquired the exclusive lock ends the connections of other processes that
//!   hold the shared lock. It reads and writes only after these connections have ended.
//!
//! So a process that lost the exclusive lock cannot write after another process has begun to write.
//! The new process does not end a connection that acquires the shared lock later. But the check of
//! that connection fails, because its process has lost the exclusive lock by then. So the writes
//! themselves need no check.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use domain::{Error, Result};
use sea_orm::sqlx::{
    self, Connection, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
    query, query_scalar,
};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

/// The key of the lock of a process: the ASCII bytes of `greenrom`. All programs that use the same
/// PostgreSQL database share one set of keys. Another program is unlikely to use this key.
const PROCESS_KEY: i64 = 0x6772_6565_6e72_6f6d;

/// The key of the lock of each connection for writes: the ASCII bytes of `greenrow`.
const WRITER_KEY: i64 = 0x6772_6565_6e72_6f77;

/// The longest wait for a reply to a ping of the lock's connection. Without a reply in time, the
/// connection counts as lost.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait for the end of another process's connections. The server ends an idle
/// connection at once, and a running statement at its next check for interrupts.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause between two checks of the other process's connections.
const TAKEOVER_INTERVAL: Duration = Duration::from_millis(20);

/// The error for a connection through a pooler.
const POOLED: &str = "the database URL leads to a connection pooler such as PgBouncer, which \
                      cannot hold this process's lock: use the address of the PostgreSQL server \
                      itself";

/// Settings of each PostgreSQL session.
///
/// * A statement waits at most 10 s for a lock and runs at most 30 s.
/// * The server ends a transaction that is idle for 60 s. Its process may hang, and its locks would
///   block other transactions.
/// * The server ends a session after 60 s without a response from the client's machine. With the
///   default settings, it ends the session after two hours, and keeps its locks until then.
/// * A statement sees all rows that other transactions committed before it. The code relies on this
///   isolation level, and the server's default may be another level.
const SETTINGS: [(&str, &str); 7] = [
    ("lock_timeout", "10s"),
    ("statement_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("default_transaction_isolation", "read committed"),
];

/// The exclusive lock of this process.
///
/// The lock lasts exactly as long as the connection. So a reply to a ping proves that this process
/// still holds the lock. A ping costs one round trip and runs no statement.
pub(super) struct PostgresLock {
    url: String,
    /// The name of this process's sessions on the server, which no other process has.
    name: String,
    /// The connection that holds the lock; `None` once it is known to be lost.
    connection: Mutex<Option<PgConnection>>,
    /// `true` if a connection for writes was refused because the lock is lost. Writes then fail at
    /// once. Otherwise each of them would wait for a connection until its timeout.
    ///
    /// Relaxed accesses: the flag only saves waiting. The locks on the server exclude writers.
    is_refusing: AtomicBool,
}

impl PostgresLock {
    /// Acquires the lock, and ends the connections for writes of a process that lost it. Fails with
    /// `Conflict` if another process holds the lock.
    pub(super) async fn acquire(url: &str) -> Result<Self> {
        warn_if_unverified(&url.parse().map_err(Error::unavailable)?);
        let name = unique_name();
        let connection = take_over(url, &name).await?;
        Ok(Self {
            url: url.to_owned(),
            name,
            connection: Mutex::new(Some(connection)),
            is_refusing: AtomicBool::new(false),
        })
    }

    /// Adds this process's session name and [`SETTINGS`] to the options in the URL.
    pub(super) fn options(&self, options: PgConnectOptions) -> PgConnectOptions {
        with_settings(options, &self.name)
    }

    /// Prepares a new connection for writes. Fails if this process has lost its lock.
    pub(super) async fn admit(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        // Acquires the shared lock before the check. In the other order, another process could
        // acquire the exclusive lock after the check, and would not end this connection.
        query("SELECT pg_advisory_lock_shared($1)")
            .bind(WRITER_KEY)
            .execute(connection)
            .await?;
        self.check().await.map_err(|error| {
            self.is_refusing.store(true, Ordering::Relaxed);
            sqlx::Error::Configuration(error.to_string().into())
        })
    }

    /// Fails if a connection for writes was refused, and the lock was not acquired since then.
    pub(super) fn require_writable(&self) -> Result<()> {
        if self.is_refusing.load(Ordering::Relaxed) {
            return Err(lost());
        }
        Ok(())
    }

    /// Checks that this process still holds the lock.
    pub(super) async fn check(&self) -> Result<()> {
        let mut slot = self.connection.lock().await;
        // A cancelled check leaves its reply in the connection's buffer. That is harmless: the next
        // ping reads the old reply before its own.
        let checked = timeout(PING_TIMEOUT, slot.as_mut().ok_or_else(lost)?.ping()).await;
        if !matches!(checked, Ok(Ok(()))) {
            *slot = None;
            return Err(lost());
        }
        self.is_refusing.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Checks the lock as [`PostgresLock::check`] does. If an earlier check has found the lock
    /// lost, acquires the lock again, but still returns an error. The error makes callers drop
    /// their cached data, because another process may have written in the meantime.
    pub(super) async fn check_or_reacquire(&self) -> Result<()> {
        if self.connection.lock().await.is_some() {
            return self.check().await;
        }
        let connection = take_over(&self.url, &self.name).await?;
        *self.connection.lock().await = Some(connection);
        self.is_refusing.store(false, Ordering::Relaxed);
        Err(Error::unavailable(
            "this process lost its lock on the database, and has acquired it again",
        ))
    }
}

/// Logs a warning if the connection crosses a network and does not verify the server's certificate.
fn warn_if_unverified(options: &PgConnectOptions) {
    if !is_verified(options) {
        tracing::warn!(
            host = options.get_host(),
            "the connection to PostgreSQL does not verify the server's identity, so others on the \
             network may read or change the data: add `sslmode=verify-full` to the database URL, \
             and `sslrootcert=FILE` if the server's certificate is from a private authority"
        );
    }
}

/// Returns `true` if the connection verifies the server's certificate and name, or does not leave
/// this machine.
fn is_verified(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse()
            .is_ok_and(|ip: IpAddr| ip.is_loopback());
    is_local || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)
}

fn lost() -> Error {
    Error::unavailable("this process lost its lock on the database")
}

/// Returns a name for the sessions of one open database.
fn unique_name() -> String {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only the number's uniqueness matters.
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let started = chrono::Utc::now().timestamp_micros();
    format!("greenroom {}.{started}.{number}", std::process::id())
}

fn with_settings(options: PgConnectOptions, name: &str) -> PgConnectOptions {
    options.application_name(name).options(SETTINGS)
}

/// Connects and acquires the exclusive lock. Then ends the connections for writes of other
/// processes, and waits until they have ended. `name` is the name of this process's own sessions.
///
/// Fails with `Conflict` if another process holds the exclusive lock.
async fn take_over(url: &str, name: &str) -> Result<PgConnection> {
    let options: PgConnectOptions = url.parse().map_err(Error::unavailable)?;
    let mut connection = PgConnection::connect_with(&with_settings(options, name))
        .await
        .map_err(connect_error)?;
    require_direct(&mut connection).await?;
    let is_locked: bool = query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(PROCESS_KEY)
        .fetch_one(&mut connection)
        .await
        .map_err(Error::unavailable)?;
    if !is_locked {
        return Err(Error::Conflict(format!(
            "another process uses this database (it holds advisory lock {PROCESS_KEY}): \
             stop that process or choose another database"
        )));
    }
    let ended = async {
        while end_other_writers(&mut connection, name).await? > 0 {
            sleep(TAKEOVER_INTERVAL).await;
        }
        Ok(())
    };
    match timeout(TAKEOVER_TIMEOUT, ended).await {
        Ok(ended) => ended.map_err(|error: sqlx::Error| Error::unavailable(error))?,
        Err(_) => {
            return Err(Error::unavailable(
                "the connections of another process that used this database cannot be ended: \
                 find them in pg_stat_activity and end them",
            ));
        }
    }
    Ok(connection)
}

/// Fails with `Invalid` if a pooler is between this process and the PostgreSQL server.
pub(super) async fn require_direct_server(url: &str) -> Result<()> {
    let options: PgConnectOptions = url.parse().map_err(Error::unavailable)?;
    let options = with_settings(options, "greenroom check");
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(connect_error)?;
    require_direct(&mut connection).await?;
    connection.close().await.map_err(Error::unavailable)
}

/// Fails with `Invalid` if the session does not have the first of [`SETTINGS`]. Then the connection
/// leads to a pooler. A pooler shares its sessions between its clients, so a lock would belong to
/// all of them.
async fn require_direct(connection: &mut PgConnection) -> Result<()> {
    let (setting, value) = SETTINGS[0];
    let current: String = query_scalar("SELECT current_setting($1)")
        .bind(setting)
        .fetch_one(connection)
        .await
        .map_err(Error::unavailable)?;
    if current == value {
        Ok(())
    } else {
        Err(Error::Invalid(POOLED.into()))
    }
}

/// Converts an error of the first connection. If PgBouncer does not know a parameter of the startup
/// packet, it refuses the connection with this text. A PostgreSQL server knows the parameters.
fn connect_error(error: sqlx::Error) -> Error {
    if error.to_string().contains("unsupported startup parameter") {
        return Error::Invalid(POOLED.into());
    }
    Error::unavailable(error)
}

/// Ends the connections for writes of other processes. Returns the number of connections found.
async fn end_other_writers(connection: &mut PgConnection, name: &str) -> sqlx::Result<usize> {
    // `pg_locks` shows a key of 64 bits as two numbers.
    let sql = "SELECT pg_terminate_backend(activity.pid) \
               FROM pg_locks locks JOIN pg_stat_activity activity ON activity.pid = locks.pid \
               WHERE locks.locktype = 'advisory' AND locks.objsubid = 1 \
               AND locks.classid::bigint = $1 AND locks.objid::bigint = $2 \
               AND locks.database = (SELECT oid FROM pg_database \
               WHERE datname = current_database()) AND activity.application_name <> $3";
    let found = query(sql)
        .bind(WRITER_KEY >> 32)
        .bind(WRITER_KEY & 0xffff_ffff)
        .bind(name)
        .fetch_all(connection)
        .await?;
    Ok(found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_over_a_network_must_verify_the_server() {
        for (url, expected) in [
            ("postgres://127.0.0.1/a", true),
            ("postgres://[::1]/a", true),
            ("postgres://localhost/a?sslmode=disable", true),
            ("postgres:///a?host=/run/postgresql", true),
            ("postgres://db.example/a?sslmode=verify-full", true),
            ("postgres://db.example/a?sslmode=verify-ca", false),
            ("postgres://db.example/a", false),
            ("postgres://192.0.2.1/a?sslmode=require", false),
        ] {
            let options: PgConnectOptions = url.parse().unwrap();
            assert_eq!(is_verified(&options), expected, "{url}");
        }
    }
}
