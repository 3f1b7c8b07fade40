//! The reads of a region that bypass the cache.

use super::{
    Region,
    loader::{self, LoadError, LoadFailure, Loader, LoaderError},
    policy::Key,
    read::{Read, Source},
};

/// Reads that bypass the cache.
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns the value from the source. Stores nothing, and counts neither hit nor miss.
    ///
    /// The load is a task under a permit and the load timeout. Of the loads that bypass the cache
    /// for one key, one runs at a time; callers that begin before the next one does share it.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let load = || async { Ok(Some("Ada")) };
    /// assert_eq!(names.bypass(7, load).await?.value, Some("Ada"));
    /// assert_eq!(names.get(&7), None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason why the load failed.
    pub async fn bypass<F, Fut, E>(&self, key: K, load: F) -> Result<Read<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: LoaderError,
    {
        let loader = loader::one(key.clone(), load);
        self.request(key).bypass(loader).await
    }

    /// Returns many values from the source, as [`Region::bypass`] does for one. The batch is one
    /// load. Of the batches of a region, one runs at a time; callers that begin before the next one
    /// does share it, and `load` is then passed the keys of them all.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let load = |_| async { Ok(vec![(7, "Ada")]) };
    /// let reads = names.bypass_many(&[7, 8], load).await?;
    /// assert_eq!((reads[0].value, reads[1].value), (Some("Ada"), None));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason why the load failed.
    pub async fn bypass_many<F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Read<V>>, LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
        E: LoaderError,
    {
        self.bypass_all(keys, loader::many(load)).await
    }

    pub(super) async fn bypass_all<E: LoaderError>(
        &self,
        keys: &[K],
        loader: Loader<K, V>,
    ) -> Result<Vec<Read<V>>, LoadError<E>> {
        self.state.counters.bypasses.add(keys.len());
        if keys.iter().any(|key| self.state.is_within_load(key)) {
            return Err(LoadError::Nested);
        }
        let flights = self.state.bypass_many(keys, loader);
        let mut reads = Vec::with_capacity(keys.len());
        for flight in flights {
            let row = flight.wait().await.map_err(LoadFailure::typed)?;
            reads.push(self.state.read_of(row, Source::Bypass));
        }
        Ok(reads)
    }
}
