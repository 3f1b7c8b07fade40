//! New, empty stores.

use domain::Repositories;
use tempfile::TempDir;
use tests::postgres;

use crate::{error::BenchError, store};

/// A kind of database.
#[derive(Clone, Copy)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A new, empty store.
pub(super) struct NewStore {
    pub(super) ports: Repositories,
    pub(super) database: String,
    pub(super) folder: TempDir,
}

impl NewStore {
    pub(super) async fn open(backend: Backend) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir().map_err(BenchError::SetUp)?;
        let database = match backend {
            Backend::Sqlite => store::sqlite_address(folder.path()),
            Backend::Postgres => {
                let database = postgres::database("the benchmark of the store").await;
                database.ok_or(BenchError::NoPostgres)?
            }
        };
        Ok(Self {
            ports: store::open(&database, folder.path()).await,
            database,
            folder,
        })
    }
}
