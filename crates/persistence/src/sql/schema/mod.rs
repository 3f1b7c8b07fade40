//! The database schema and its migrations. New migrations run at each start; they cannot be
//! reverted.
//!
//! | migration | content |
//! |---|---|
//! | `first` | all tables |
//! | `growth` | counts of messages, marks of clears and deletions, and indexes of living rooms |
//! | `snapshots` | a table for the snapshots of personas |
//! | `clients` | removals of messages, keys of sent messages, and the sizes of images |
//! | `answers` | memories of owners' rooms, and the tokens that answers used |
//!
//! A migration names tables and columns by text instead of by the entities in `tables`. The
//! entities change with later migrations, and a migration must stay as it is.

mod answers;
mod clients;
mod first;
mod growth;
mod snapshots;

use domain::{Error, Result};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};
use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, SchemaManager};

use answers::Answers;
use clients::Clients;
use first::First;
use growth::Growth;
use snapshots::Snapshots;

/// The table in which the migrator records the migrations that have run.
const RECORDS: &str = "seaql_migrations";

/// Runs the migrations that the database does not have yet, in the transaction `tx`. Fails with
/// `Invalid` if a newer version of Greenroom has migrated the database.
///
/// The whole upgrade is one transaction. On SQLite, the migrator would otherwise commit each
/// statement separately. If the process ended between two statements, the database would contain
/// tables without a record of the migration, and the next start would fail.
pub(super) async fn migrate(tx: &DatabaseTransaction) -> Result<()> {
    refuse_newer_schema(tx).await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        // A migration of a large database may exceed the session's `statement_timeout`.
        let sql = "SET LOCAL statement_timeout = 0";
        tx.execute_unprepared(sql).await.map_err(failed)?;
    }
    Migrator::up(tx, None).await.map_err(failed)
}

/// Fails with `Invalid` if a newer version of Greenroom has migrated the database.
pub(super) async fn refuse_newer_schema(connection: &DatabaseTransaction) -> Result<()> {
    let is_new = !SchemaManager::new(connection)
        .has_table(RECORDS)
        .await
        .map_err(failed)?;
    if is_new {
        return Ok(());
    }
    let query = Statement::from_string(
        connection.get_database_backend(),
        format!("SELECT version FROM {RECORDS}"),
    );
    for row in connection.query_all_raw(query).await.map_err(failed)? {
        let name: String = row.try_get("", "version").map_err(failed)?;
        if !Migrator::migrations()
            .iter()
            .any(|migration| migration.name() == name)
        {
            return Err(Error::Invalid(format!(
                "the database was written by a newer version of greenroom \
                 (this version does not know migration {name}): use the newer version"
            )));
        }
    }
    Ok(())
}

fn failed(error: DbErr) -> Error {
    Error::unavailable(format!("cannot migrate the database: {error}"))
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(First),
            Box::new(Growth),
            Box::new(Snapshots),
            Box::new(Clients),
            Box::new(Answers),
        ]
    }
}
