//! The stores that the tests run on.

use std::{path::PathBuf, time::Duration};

use domain::{Error, Repositories};
use tempfile::TempDir;

/// An open store, with the place from which it can be opened again.
pub(crate) struct Store {
    pub(crate) r: Repositories,
    pub(crate) place: Place,
}

/// The database and the folder of a store. Dropping it deletes the folder.
pub(crate) struct Place {
    pub(crate) kind: &'static str,
    pub(crate) database: String,
    folder: TempDir,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            kind: "sqlite",
            database: format!("sqlite:{}", folder.path().join("test.db").display()),
            folder,
        }
    }

    /// Returns a new PostgreSQL database. Without server binaries, returns `None` and reports
    /// `test` as not run.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let database = tests::postgres::database(test).await?;
        Some(Self {
            kind: "postgres",
            database,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    /// Returns a new SQLite database, and a new PostgreSQL database if the server is installed.
    pub(crate) async fn all(test: &str) -> Vec<Self> {
        [Some(Self::sqlite()), Self::postgres(test).await]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Tries to open the store, as another process would.
    pub(crate) async fn try_open(&self) -> domain::Result<Repositories> {
        persistence::open(&self.database, self.agents()).await
    }

    /// Returns the path of the agents' folder.
    pub(crate) fn agents(&self) -> PathBuf {
        self.folder.path().join("agents")
    }

    /// Opens the store as soon as its lock is free. The PostgreSQL server releases the lock of a
    /// closed connection only when it notices that the connection is closed.
    pub(crate) async fn open_when_free(&self) -> domain::Result<Repositories> {
        let opening = async {
            loop {
                match self.try_open().await {
                    Err(Error::Conflict(_)) => {}
                    other => return other,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), opening)
            .await
            .expect("a closed store releases its lock within 20 seconds")
    }

    pub(crate) async fn open(self) -> Store {
        Store {
            r: self.open_when_free().await.unwrap(),
            place: self,
        }
    }
}

impl Store {
    /// Closes the store. The lock is released a moment later.
    pub(crate) fn close(self) -> Place {
        self.place
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopen(self) -> Self {
        self.close().open().await
    }
}
