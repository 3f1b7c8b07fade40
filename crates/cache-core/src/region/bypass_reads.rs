//! The reads of a region that bypass the cache.

use std::error::Error;

use super::{
    Region,
    loader::{self, LoadError},
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
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let load = || async { Ok::<_, Infallible>(Some("Ada")) };
    /// assert_eq!(names.bypass(7, load).await?.value, Some("Ada"));
    /// assert_eq!(names.get(&7), None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason why the load failed.
    pub async fn bypass<F, Fut, E>(&self, key: K, load: F) -> Result<Read<V>, LoadError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        self.state.counters.bypasses.one();
        if self.state.is_within_load(&key) {
            return Err(LoadError::Nested);
        }
        let flight = self.state.bypass(&key, loader::one(key.clone(), load));
        let loaded = flight.wait().await?;
        Ok(self.state.read_of(loaded, Source::Bypass))
    }

    /// Returns many values from the source, as [`Region::bypass`] does for one. The batch is one
    /// load.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let load = |_| async { Ok::<_, Infallible>(vec![(7, "Ada")]) };
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
    ) -> Result<Vec<Read<V>>, LoadError>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        self.state.counters.bypasses.one();
        let flights = self.state.bypass_many(keys, loader::many(load));
        let mut reads = Vec::with_capacity(keys.len());
        for flight in flights {
            let loaded = flight.wait().await?;
            reads.push(self.state.read_of(loaded, Source::Bypass));
        }
        Ok(reads)
    }
}
