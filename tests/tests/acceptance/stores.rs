//! The stores that the tests run on.

use std::time::Duration;

use domain::{Error, Repositories};
use tempfile::TempDir;

/// An open store and what it needs to be opened again.
pub(crate) struct Store {
    pub(crate) r: Repositories,
    pub(crate) place: Place,
}

/// Where a store lies. Its files go when it is dropped.
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

    /// `None` where there is no server; then `test` is reported as not run.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let database = tests::postgres::database(test).await?;
        Some(Self {
            kind: "postgres",
            database,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    /// SQLite, and PostgreSQL where there is a server.
    pub(crate) async fn all(test: &str) -> Vec<Self> {
        [Some(Self::sqlite()), Self::postgres(test).await]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Another process's attempt to open it.
    pub(crate) async fn try_open(&self) -> domain::Result<Repositories> {
        persistence::open(&self.database, self.folder.path().join("agents")).await
    }

    /// The same, once nobody else has it open: a server lets go of a lock when it notices that a connection is closed.
    pub(crate) async fn open_when_free(&self) -> domain::Result<Repositories> {
        let free = async {
            loop {
                match self.try_open().await {
                    Err(Error::Conflict(_)) => {}
                    other => return other,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), free)
            .await
            .expect("a closed store lets go of its lock")
    }

    pub(crate) async fn open(self) -> Store {
        Store {
            r: self.open_when_free().await.unwrap(),
            place: self,
        }
    }
}

impl Store {
    /// Closes it. The database is free a moment later.
    pub(crate) fn close(self) -> Place {
        self.place
    }

    /// Closes it and opens it again.
    pub(crate) async fn reopen(self) -> Self {
        self.close().open().await
    }
}
