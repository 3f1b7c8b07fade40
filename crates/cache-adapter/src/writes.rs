//! Writes. Each write runs under a guard for the keys that it makes stale.

use cache_core::{WriteError, Written};
use domain::{Error, Repositories, Result};

use crate::{
    guard::{Committed, Returned},
    ports::CachedPorts,
    stale::Write,
};

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
        self.write_returning(write, run, |_| Returned::default())
            .await
    }

    /// Runs a write of the store's own ports. After the commit, stores the values that `returned`
    /// takes from the result in the cache.
    ///
    /// If the outcome of the write is unknown, the guard stays open. Reads of its keys then bypass
    /// the cache until the store has settled the write.
    pub(crate) async fn write_returning<T, Fut>(
        &self,
        write: Write,
        run: impl FnOnce(Repositories) -> Fut,
        returned: impl FnOnce(&T) -> Returned + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let run = run(self.bare().clone());
        let written = async move {
            match run.await {
                Ok(value) => Written::Committed(Committed {
                    returned: returned(&value),
                    value,
                }),
                Err(error) if error.may_be_applied() => Written::Unknown(error),
                Err(error) => Written::NotApplied(error),
            }
        };
        match self.store.guard(&write).run(written).await {
            Ok(committed) => Ok(committed.value),
            Err(WriteError::NotApplied(error) | WriteError::Unknown(error)) => Err(error),
            Err(error) if error.is_unknown() => Err(Error::unknown(error)),
            Err(error) => Err(Error::unavailable(error)),
        }
    }
}
