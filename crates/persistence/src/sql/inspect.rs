//! Access to a database beside the process that uses it: without its lock, and without changes.

use std::path::Path;

use domain::{Error, Result};
use sea_orm::{DatabaseConnection, TransactionTrait};

use super::{
    database::{is_postgres_url, is_sqlite_url, sqlite_path, unknown_scheme},
    pool::{connect_postgres_to_read, connect_sqlite_to_read},
    postgres_lock::require_direct_server,
    schema::refuse_newer_schema,
};

/// Fails if [`Database::open`](super::database::Database::open) could not use the database.
pub(crate) async fn require_usable(url: &str) -> Result<()> {
    if is_sqlite_url(url) {
        let path = sqlite_path(url)?;
        return match path.try_exists() {
            Ok(true) => require_readable(&connect_sqlite_to_read(&path).await?).await,
            Ok(false) => require_folder(&path),
            Err(error) => Err(Error::unavailable(format!("{}: {error}", path.display()))),
        };
    }
    if is_postgres_url(url) {
        require_direct_server(url).await?;
        return require_readable(&connect_postgres_to_read(url).await?).await;
    }
    Err(unknown_scheme())
}

/// Fails if the schema is newer than this version of Greenroom, or cannot be read.
async fn require_readable(connection: &DatabaseConnection) -> Result<()> {
    let unavailable = |error| Error::unavailable(error);
    let transaction = connection.begin().await.map_err(unavailable)?;
    refuse_newer_schema(&transaction).await?;
    transaction.rollback().await.map_err(unavailable)?;
    connection.close_by_ref().await.map_err(Error::unavailable)
}

/// Fails if the folder of a database that does not exist yet is missing.
fn require_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| folder != &Path::new(""));
    match folder {
        Some(folder) if !folder.is_dir() => Err(Error::unavailable(format!(
            "the folder {} does not exist: create it, or choose another database",
            folder.display()
        ))),
        _ => Ok(()),
    }
}
