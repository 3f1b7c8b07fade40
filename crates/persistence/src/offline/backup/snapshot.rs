//! A snapshot of a database. It is written to a backup while other processes change the database.

use std::path::Path;

use domain::Result;

use super::{
    paths::{POSTGRES, SQLITE},
    postgres, sqlite,
};
use crate::sql::database::{is_postgres_url, is_sqlite_url, sqlite_path, unknown_scheme};

/// A transaction that sees the database as it was when the snapshot began.
pub(super) enum Snapshot {
    Sqlite(sqlite::Snapshot),
    Postgres(postgres::Snapshot),
}

impl Snapshot {
    /// Begins a snapshot. [`Snapshot::write`] will write it into the folder `target`.
    pub(super) async fn begin(url: &str, target: &Path) -> Result<Self> {
        if is_sqlite_url(url) {
            let path = sqlite_path(url)?;
            let snapshot = sqlite::Snapshot::begin(&path, target.join(SQLITE)).await?;
            return Ok(Self::Sqlite(snapshot));
        }
        if is_postgres_url(url) {
            let snapshot = postgres::Snapshot::begin(url, target.join(POSTGRES)).await?;
            return Ok(Self::Postgres(snapshot));
        }
        Err(unknown_scheme())
    }

    /// Writes the snapshot, and returns the size of the file.
    pub(super) async fn write(self) -> Result<u64> {
        match self {
            Self::Sqlite(snapshot) => snapshot.write().await,
            Self::Postgres(snapshot) => snapshot.write().await,
        }
    }
}
