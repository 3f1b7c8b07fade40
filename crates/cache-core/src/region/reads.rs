//! Reads that load what is not in memory.

use std::time::Duration;

use super::{
    Region,
    entry::Entry,
    loader::{self, LoadError, LoaderError},
    policy::Key,
    read::{Age, Read},
};

/// Loads: the value from memory, or else from the source.
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns the value from memory, or from one load that all its readers share.
    ///
    /// `load` must read the primary source: it must see every write that was committed before it
    /// began. It returns `None` if there is no such value. It may read other keys of the cache; a
    /// read of `key` itself fails with [`LoadError::Nested`].
    ///
    /// The load is a task: it goes on if the caller is dropped. While a write of the key is open,
    /// the load bypasses the cache and its result is not stored. [`Region::request`] sets limits,
    /// a TTL and tags for one load.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let load = || async { Ok(Some("Ada")) };
    /// let read = names.get_or_load(7, load).await?;
    /// assert_eq!((read.value, read.source), (Some("Ada"), Source::Loaded));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason why the load failed, unless the region is fail-safe and an expired value
    /// may still be served.
    pub async fn get_or_load<F, Fut, E>(&self, key: K, load: F) -> Result<Read<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: LoaderError,
    {
        let loader = loader::one(key.clone(), load);
        self.request(key).load_by(loader).await
    }

    /// Returns the value as [`Region::get_or_load`] does, for a caller whose [`Region::look_up`]
    /// has just returned `None`. It does not look the value up again before it takes the lock.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let load = || async { Ok(Some("Ada Lovelace")) };
    /// let read = match names.look_up("ada") {
    ///     Some(read) => read,
    ///     None => names.load_after_miss("ada".to_owned(), load).await?,
    /// };
    /// assert_eq!(read.value, Some("Ada Lovelace"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load`].
    pub async fn load_after_miss<F, Fut, E>(&self, key: K, load: F) -> Result<Read<V>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: LoaderError,
    {
        if !self.is_enabled() {
            return self.bypass(key, load).await;
        }
        let loader = loader::one(key.clone(), load);
        let next = self.state.read_after_miss(&key, loader);
        self.request(key).finish(next).await
    }

    /// Returns many values in the order of `keys`. Those that are missing share one load.
    ///
    /// `load` is passed the missing keys, without duplicates, and returns the rows that exist. It
    /// is also passed the keys of values that are due for a refresh, and may be called for the keys
    /// of other readers of the region. The rules of [`Region::get_or_load`] hold for each key.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// let load = |keys| async move {
    ///     assert_eq!(keys, [8, 9]);
    ///     Ok(vec![(8, "Grace")])
    /// };
    /// let reads = names.get_or_load_many(&[7, 8, 9], load).await?;
    /// let values: Vec<_> = reads.into_iter().map(|read| read.value).collect();
    /// assert_eq!(values, [Some("Ada"), Some("Grace"), None]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the first error, in the order of `keys`, for which no expired value may be served.
    pub async fn get_or_load_many<F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Read<V>>, LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
        E: LoaderError,
    {
        self.load_many(keys, load).await
    }

    /// Returns many values as [`Region::get_or_load_many`] does, for a loader that gives each its
    /// own TTL and tags.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let load = |_| async { Ok(vec![(7, Entry::new("Ada").tag("engineers"))]) };
    /// let reads = names.get_or_load_entries(&[7], load).await?;
    /// assert_eq!(reads[0].value, Some("Ada"));
    /// assert_eq!(manager.invalidate_tag("engineers"), 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load_many`].
    pub async fn get_or_load_entries<F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Read<V>>, LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, Entry<V>)>, E>> + Send + 'static,
        E: LoaderError,
    {
        self.load_many(keys, load).await
    }

    async fn load_many<F, Fut, E, T>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Read<V>>, LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, T)>, E>> + Send + 'static,
        E: LoaderError,
        T: Into<Entry<V>>,
    {
        if !self.is_enabled() {
            return self.bypass_all(keys, loader::many(load)).await;
        }
        let began = self.state.clock.now();
        let next = self.state.read_many(keys, loader::many(load));
        let mut reads = Vec::with_capacity(keys.len());
        for (key, next) in keys.iter().zip(next) {
            // The batch waits once for the soft timeout, not once for each key.
            let waited = Duration::from(Age::between(began, self.state.clock.now()));
            let request = self.request(key.clone()).after(waited);
            reads.push(request.finish(next).await?);
        }
        Ok(reads)
    }
}
