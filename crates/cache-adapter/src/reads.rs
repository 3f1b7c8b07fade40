//! Reads of values: from memory, through a load, or bypassing the cache.
//!
//! The reads that a poll makes try [`CachedPorts::hit`] or [`CachedPorts::hits`] at their first
//! poll, and go on to `load` or `load_rows` (see [`hit_first`](crate::hit_first)). All others use
//! [`CachedPorts::read`] and [`CachedPorts::read_many`], which do both.

use cache_core::{Age, Key, LoadError, Read, Region, Source};
use domain::{Error, Repositories, Result};

use crate::{
    keys::{distinct, is_distinct},
    observe::note,
    ports::CachedPorts,
    regions::Value,
};

impl CachedPorts {
    /// Returns the value if it is in memory and may be served. The inner `None` is an absence.
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

    /// Returns what `each` makes of the values of all keys; `None` if one of them is not in
    /// memory, or if the keys do not rise. Go on with [`CachedPorts::load_rows`] then.
    ///
    /// Keys out of order are not sorted here: to have room for sorted ones made each hit slower.
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

    /// Returns the keys of `region` that exist, with their values, by rising key, each once, after
    /// [`CachedPorts::hits`] returned `None`.
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
            // `hits` did not look these up.
            self.read_many(region, &sorted, load).await?
        };
        Ok(sorted
            .into_iter()
            .zip(found)
            .filter_map(|(key, value)| Some((key, value?)))
            .collect())
    }

    /// Returns one value of `region`, from memory or else by [`CachedPorts::load`].
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
        // First without cloning the ports for the load, which a hit does not need.
        match self.hit(region, &key) {
            Some(found) => Ok(found),
            None => self.load(region, key, load).await,
        }
    }

    /// Returns one value of `region` after [`CachedPorts::hit`] returned `None`: `load` reads it
    /// from the bare ports.
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

    /// Returns many values of `region` in the order of `keys`, from memory or else by
    /// [`CachedPorts::load_many`].
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

    /// Returns many values of `region` in the order of `keys`. One call of `load` reads all that
    /// are not in memory from the bare ports.
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

    /// Runs a read of the bare ports that bypasses the cache.
    pub(crate) async fn bypass<T>(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        note(Source::Bypass, Age::default());
        read.await
    }
}

/// Returns what `each` makes of the values of all keys in memory, in the order of `keys`. If one
/// is missing it returns `None` and reports nothing to the observer.
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

/// Reports the read to the observer and returns its value.
#[inline]
pub(crate) fn observed<V>(read: Read<V>) -> Option<V> {
    note(read.source, read.age);
    read.value
}

/// Returns the store's own error, or `Unavailable` if the load ended without one.
pub(crate) fn domain_error(error: LoadError) -> Error {
    error
        .source_as::<Error>()
        .cloned()
        .unwrap_or_else(|| Error::unavailable(error))
}
