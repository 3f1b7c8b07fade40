//! Copies of SQLite databases.

use std::{fs, path::Path};

use domain::{Error, Result};
use sea_orm::{ConnectionTrait, Statement};

use super::{beside, copy::copy_file, failed, flush_parent};
use crate::{platform::private_file, sql::pool::connect_sqlite_to_read};

/// Writes a consistent copy of the database at `path` to the new file `target`, and returns its
/// size. Other processes may read and write the database meanwhile.
pub(super) async fn copy(path: &Path, target: &Path) -> Result<u64> {
    if !path.is_file() {
        return Err(Error::missing("database", path.display()));
    }
    // Only its owner may read the copy. SQLite fills an empty file.
    let file = private_file()
        .create_new(true)
        .open(target)
        .map_err(failed(target))?;
    let connection = connect_sqlite_to_read(path).await?;
    let sql = "VACUUM INTO $1";
    let name = target.to_string_lossy().into_owned();
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), sql, [name.into()]);
    connection
        .execute_raw(statement)
        .await
        .map_err(|error| Error::unavailable(format!("{}: {error}", target.display())))?;
    connection.close().await.map_err(Error::unavailable)?;
    // SQLite does not flush the copy.
    file.sync_all().map_err(failed(target))?;
    Ok(file.metadata().map_err(failed(target))?.len())
}

/// Copies a database from a backup to `path`. The file gets its name when it is complete.
pub(super) fn restore(source: &Path, path: &Path) -> Result<()> {
    let staged = beside(path, "restoring");
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed(&staged)(error));
        }
        _ => {}
    }
    let put = || {
        copy_file(source, &staged)?;
        fs::rename(&staged, path)
    };
    put().map_err(failed(path))?;
    flush_parent(path)
}
