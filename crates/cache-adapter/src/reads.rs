//! Reads of cached values: from memory, by a load, or bypassing the cache.
//!
//! The most frequent reads call [`CachedPorts::hit`] or [`CachedPorts::hits`] when their future is
//! first polled. After a miss they continue with `load` or `load_rows` (see
//! [`hit_first`](crate::hit_first)). All other reads call [`CachedPorts::read`] or
//! [`CachedPorts::read_many`], which combine both steps.

use cache_core::{Age, Key, LoadError, Read, Region, Source};
use domain::{Error, Repositories, Result};

use crate::{
    keys::{distinct, is_distinct},
    observe::note,
    ports::CachedPorts,
    regions::Value,
};

impl CachedPorts {
    /// Returns the value if it is in memory and may be served, otherwise `None`. `Some(None)` is a
    /// cached absence. Always returns `None` in bypass mode.
    #[inline]
    pub(crate) fn hit<K: Key, V: Value>(
        &self,
        region: &Region<K, V>,
        key: &K,
    ) -> Option<Option<V>> {
        if self.is_bypassing() {
            None
        } else {
            region.look_up(key).map(observed)
        }
    }

    /// Looks up all keys in memory and maps each key and its value with `each`. Returns `None` if a
    /// value is not in memory, if the keys are not strictly ascending, or in bypass mode. The
    /// caller then continues with [`CachedPorts::load_rows`].
    ///
    /// Unsorted keys are left to `load_rows`: space for a sorted copy in this method made every hit
    /// slower.
    pub(crate) fn hits<K: Key + Ord, V: Value, T>(
        &self,
        region: &Region<K, V>,
        keys: &[K],
        each: impl Fn(&K, V) -> T,
    ) -> Option<Vec<T>> {
        if self.is_bypassing() || !is_distinct(keys) {
            None
        } else {
            look_up_all(region, keys, each)
        }
    }

    /// Returns the keys that have a value, with their values, in ascending order and without
    /// duplicates. Called after [`CachedPorts::hits`] returned `None`, except in bypass mode.
    pub(crate) async fn load_rows<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        keys: &[K],
        load: impl FnOnce(Repositories, Vec<K>) -> Fut + Send + 'static,
    ) -> Result<Vec<(K, V)>>
    where
        K: Key + Ord,
        V: Value,
        Fut: Future<Output = Result<Vec<(K, V)>>> + Send + 'static,
    {
        let sorted = distinct(keys);
        let found = if is_distinct(keys) {
            self.load_many(region, &sorted, load).await?
        } else {
            // `hits` returned before its first look-up, because the keys were not in order.
            self.read_many(region, &sorted, load).await?
        };
        Ok(sorted
            .into_iter()
            .zip(found)
            .filter_map(|(key, value)| Some((key, value?)))
            .collect())
    }

    /// Returns the value of `key` from memory. After a miss, loads it with [`CachedPorts::load`].
    pub(crate) async fn read<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        key: K,
        load: impl FnOnce(Repositories) -> Fut + Send + 'static,
    ) -> Result<Option<V>>
    where
        K: Key,
        V: Value,
        Fut: Future<Output = Result<Option<V>>> + Send + 'static,
    {
        // A hit is tried first: it does not need the clone of the ports that a load needs.
        match self.hit(region, &key) {
            Some(found) => Ok(found),
            None => self.load(region, key, load).await,
        }
    }

    /// Loads the value of `key` after [`CachedPorts::hit`] returned `None`. `load` reads the value
    /// from the store's own ports. In bypass mode the value is not stored.
    pub(crate) async fn load<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        key: K,
        load: impl FnOnce(Repositories) -> Fut + Send + 'static,
    ) -> Result<Option<V>>
    where
        K: Key,
        V: Value,
        Fut: Future<Output = Result<Option<V>>> + Send + 'static,
    {
        let bare = self.bare().clone();
        let load = move || load(bare);
        let read = if self.is_bypassing() {
            region.bypass(key, load).await
        } else {
            region.load_after_miss(key, load).await
        };
        read.map(observed).map_err(domain_error)
    }

    /// Returns the values of `keys`, in the same order. If one of them is not in memory, calls
    /// [`CachedPorts::load_many`]. Not for use in bypass mode.
    pub(crate) async fn read_many<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        keys: &[K],
        load: impl FnOnce(Repositories, Vec<K>) -> Fut + Send + 'static,
    ) -> Result<Vec<Option<V>>>
    where
        K: Key,
        V: Value,
        Fut: Future<Output = Result<Vec<(K, V)>>> + Send + 'static,
    {
        match look_up_all(region, keys, |_, value| Some(value)) {
            Some(found) => Ok(found),
            None => self.load_many(region, keys, load).await,
        }
    }

    /// Returns the values of `keys`, in the same order. One call of `load` reads all values that
    /// are not in memory from the store's own ports. Not for use in bypass mode.
    pub(crate) async fn load_many<K, V, Fut>(
        &self,
        region: &Region<K, V>,
        keys: &[K],
        load: impl FnOnce(Repositories, Vec<K>) -> Fut + Send + 'static,
    ) -> Result<Vec<Option<V>>>
    where
        K: Key,
        V: Value,
        Fut: Future<Output = Result<Vec<(K, V)>>> + Send + 'static,
    {
        let bare = self.bare().clone();
        let reads = region
            .get_or_load_many(keys, move |keys| load(bare, keys))
            .await
            .map_err(domain_error)?;
        Ok(reads.into_iter().map(observed).collect())
    }

    /// Runs `read`, a read of the store's own ports, and reports it to the observer as a bypass.
    pub(crate) async fn bypass<T>(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        note(Source::Bypass, Age::default());
        read.await
    }
}

/// Removes the values of `keys` if other processes write, because a reader is about to return
/// those of the store, which are not stored.
pub(crate) fn will_return<K: Key, V: Value>(
    region: &Region<K, V>,
    keys: impl IntoIterator<Item = K>,
) {
    for key in keys {
        region.will_return(&key);
    }
}

/// Looks up all keys in memory and maps each key and its value with `each`, in the order of `keys`.
/// If a value is missing, returns `None` and reports nothing to the observer.
fn look_up_all<K: Key, V: Value, T>(
    region: &Region<K, V>,
    keys: &[K],
    each: impl Fn(&K, V) -> T,
) -> Option<Vec<T>> {
    let mut oldest = Age::default();
    let found = region.look_up_many(keys, |key, value, age| {
        oldest = oldest.max(age);
        each(key, value)
    })?;
    for _ in keys {
        note(Source::Hit, oldest);
    }
    Some(found)
}

/// Reports the source and the age of a read to the observer, and returns the read's value.
#[inline]
pub(crate) fn observed<V>(read: Read<V>) -> Option<V> {
    note(read.source, read.age);
    read.value
}

/// Converts the error of a load. Returns the store's error if the load failed with one, otherwise
/// `Unavailable`.
pub(crate) fn domain_error(error: LoadError<Error>) -> Error {
    error
        .failed()
        .cloned()
        .unwrap_or_else(|| Error::unavailable(error))
}
