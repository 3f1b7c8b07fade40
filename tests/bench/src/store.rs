//! Stores to measure on, in folders of their own.

use std::path::Path;

use domain::{Error, Repositories};

/// The address of a database in `folder`.
pub fn address(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("bench.db").display())
}

/// SQLite and agents' files in `folder`.
pub async fn sqlite(folder: &Path) -> Repositories {
    open(&address(folder), folder).await
}

/// Any database, and agents' files in `folder`. Waits for who closes it just now.
pub async fn open(database: &str, folder: &Path) -> Repositories {
    loop {
        match persistence::open(database, folder.join("agents")).await {
            Err(Error::Conflict(_)) => tokio::task::yield_now().await,
            opened => return opened.expect("the store opens"),
        }
    }
}
