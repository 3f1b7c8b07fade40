//! Checks of a database that another process may use. They take no lock and change nothing.

use std::path::Path;

use domain::{Error, Result};
use sea_orm::{DatabaseConnection, TransactionTrait};

use super::{
    database::{is_postgres_url, is_sqlite_url, sqlite_path, unknown_scheme, with_server},
    pool::{connect_postgres_to_read, connect_sqlite_to_read, has_wal},
    postgres_lock::require_direct_server,
    schema::refuse_newer_schema,
};
use crate::platform::is_writable;

/// Fails if the database cannot be read, if its schema is newer than this version of Greenroom, or
/// if it is an SQLite file that cannot be written. A missing SQLite file is usable if its folder
/// exists.
pub(crate) async fn require_usable(url: &str) -> Result<()> {
    if is_sqlite_url(url) {
        return require_usable_file(&sqlite_path(url)?).await;
    }
    if is_postgres_url(url) {
        let connection = async {
            require_direct_server(url).await?;
            connect_postgres_to_read(url).await
        };
        let connection = connection.await.map_err(|error| with_server(url, error))?;
        return require_readable(&connection).await;
    }
    Err(unknown_scheme())
}

async fn require_usable_file(path: &Path) -> Result<()> {
    // A link to nothing is not a new database, because the server would not create the target.
    if path.symlink_metadata().is_err() {
        return require_folder(path);
    }
    let (connection, is_closed) = connect_sqlite_to_read(path).await?;
    let mut checked = require_readable(&connection).await;
    if is_closed && has_wal(path)? {
        // Another process has opened the database meanwhile, so the first check is not reliable.
        let (connection, _) = connect_sqlite_to_read(path).await?;
        checked = require_readable(&connection).await;
    }
    checked?;
    if is_writable(path) {
        Ok(())
    } else {
        Err(Error::unavailable(format!(
            "{} cannot be written by this user: change its owner or its mode",
            path.display()
        )))
    }
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
