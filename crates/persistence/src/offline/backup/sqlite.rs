//! Copies of SQLite databases.
//!
//! `VACUUM INTO` would need less code. But its snapshot begins at an unknown moment during the
//! statement, so the agents' folder would have to stay locked during the whole copy.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use domain::{Error, Result};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, TransactionTrait,
};

use crate::{
    offline::files::failed,
    platform::{copy_access, private_file},
    sql::pool::connect_sqlite_to_copy,
};

/// A read transaction on a database to which the copy is attached.
pub(super) struct Snapshot {
    path: PathBuf,
    target: PathBuf,
    connection: DatabaseConnection,
    transaction: DatabaseTransaction,
}

impl Snapshot {
    /// Begins a snapshot of the database at `path`, and creates the file `target` for the copy.
    /// Fails with `Missing` if there is no file at `path`.
    pub(super) async fn begin(path: &Path, target: PathBuf) -> Result<Self> {
        if !path.is_file() {
            return Err(Error::missing("database", path.display()));
        }
        // Creates an empty file that only its owner may read. SQLite accepts it as a new database.
        private_file()
            .create_new(true)
            .open(&target)
            .map_err(failed(&target))?;
        let connection = connect_sqlite_to_copy(path).await?;
        let transaction = begin(&connection, &target).await.map_err(at(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            target,
            connection,
            transaction,
        })
    }

    /// Copies everything, and returns the size of the copy.
    pub(super) async fn write(self) -> Result<u64> {
        let copied = copy_tables(&self.transaction).await;
        copied.map_err(at(&self.target))?;
        self.transaction.commit().await.map_err(at(&self.target))?;
        self.connection.close().await.map_err(at(&self.target))?;
        let finish = || {
            // SQLite has not flushed the copy, because `synchronous` is off.
            let file = File::options().write(true).open(&self.target)?;
            copy_access(&file, &fs::metadata(&self.path)?)?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        };
        finish().map_err(failed(&self.target))
    }
}

/// Attaches the copy, and begins a transaction. Its first read begins the snapshot.
async fn begin(
    connection: &DatabaseConnection,
    target: &Path,
) -> Result<DatabaseTransaction, DbErr> {
    let name = target.to_string_lossy().into_owned();
    let backend = connection.get_database_backend();
    let attach = Statement::from_sql_and_values(backend, "ATTACH $1 AS copy", [name.into()]);
    connection.execute_raw(attach).await?;
    // An interrupted copy is never restored, so it needs neither a journal nor flushes.
    connection
        .execute_unprepared("PRAGMA copy.journal_mode = OFF; PRAGMA copy.synchronous = OFF")
        .await?;
    let transaction = connection.begin().await?;
    let read = Statement::from_string(backend, "SELECT COUNT(*) FROM main.sqlite_master");
    transaction.query_one_raw(read).await?;
    Ok(transaction)
}

/// Copies all tables with their rows, and then the indexes.
async fn copy_tables(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let objects = "SELECT type, name, sql FROM main.sqlite_master \
                   WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                   ORDER BY type = 'table' DESC, rowid";
    let backend = transaction.get_database_backend();
    let rows = transaction.query_all_raw(Statement::from_string(backend, objects));
    for row in rows.await? {
        let (kind, name): (String, String) = (row.try_get("", "type")?, row.try_get("", "name")?);
        let sql: String = row.try_get("", "sql")?;
        let (head, sql) = sql
            .split_once(&format!(" {} ", kind.to_uppercase()))
            .ok_or_else(|| {
                DbErr::Custom(format!("the definition of {name} is not readable: {sql}"))
            })?;
        let create = format!("{head} {kind} copy.{sql}");
        transaction.execute_unprepared(&create).await?;
        if kind == "table" {
            let insert = format!("INSERT INTO copy.\"{name}\" SELECT * FROM main.\"{name}\"");
            transaction.execute_unprepared(&insert).await?;
        }
    }
    // Copies the highest ids ever assigned, so that the ids of deleted rows are not reused.
    transaction
        .execute_unprepared(
            "DELETE FROM copy.sqlite_sequence; \
             INSERT INTO copy.sqlite_sequence SELECT * FROM main.sqlite_sequence",
        )
        .await?;
    Ok(())
}

fn at(path: &Path) -> impl Fn(DbErr) -> Error + '_ {
    move |error| Error::unavailable(format!("{}: {error}", path.display()))
}
