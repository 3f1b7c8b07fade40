//! Writes. Each write runs under a guard for the keys that it makes stale.

use cache_core::{Stores, WriteError, Written};
use domain::{Error, Repositories, Result};

use crate::{cached_store::CachedStore, ports::CachedPorts, stale::Write};

impl CachedPorts {
    /// Runs a write of the store's own ports. Its result is not stored in the cache.
    ///
    /// If the caller is dropped, the write continues in a dedicated task.
    pub(crate) async fn write<T, Fut>(
        &self,
        write: Write,
        run: impl FnOnce(Repositories) -> Fut,
    ) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        self.write_and_store(write, run, |_, _, _| {}).await
    }

    /// Runs a write of the store's own ports. After the commit, calls `store` to put rows that the
    /// write returned into the cache.
    ///
    /// If the outcome of the write is unknown, the guard stays open. Reads of its keys then bypass
    /// the cache until the store has settled the write.
    pub(crate) async fn write_and_store<T, Fut>(
        &self,
        write: Write,
        run: impl FnOnce(Repositories) -> Fut,
        store: impl FnOnce(&T, &CachedStore, &mut Stores<'_>) + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let run = run(self.bare().clone());
        let written = async move {
            match run.await {
                Ok(value) => Written::Committed(value),
                Err(error) if error.may_be_applied() => Written::Unknown(error),
                Err(error) => Written::NotApplied(error),
            }
        };
        let cached = self.store.clone();
        self.store
            .guard(&write)
            .run(written, move |value, stores| store(value, &cached, stores))
            .await
            .map_err(|error| match error {
                WriteError::Store(error) => error,
                WriteError::TimedOut | WriteError::Panicked | WriteError::GivenUp => {
                    Error::unknown(error)
                }
            })
    }
}
