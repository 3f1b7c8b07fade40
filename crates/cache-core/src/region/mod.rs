//! A region: one cache for one kind of data.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | [`Region`]: the handle that callers use |
//! | `builder` | [`RegionBuilder`](builder::RegionBuilder): the settings beside the policy |
//! | `policy`, `printing` | the key, the policy, and keys that are printed |
//! | `read`, `entry` | the result of a read, and what a load or a write returns |
//! | `state`, `stripe` | the state behind the handle, and the stripes of its in-progress map |
//! | `store`, `size` | values, absences and their times, in `quick_cache`; its shards |
//! | `miss` | the decision for a read that misses: join, load or bypass |
//! | `request`, `blocking` | one read with its own limits, and reads that block their thread |
//! | `loader`, `load`, `flight` | loaders, the tasks that run them, and waiting readers |
//! | `bypass_reads`, `bypass`, `bypass_batch` | reads that bypass the cache, and their queues |
//! | `install`, `heavy` | how the result of a load is stored, and what is too heavy |
//! | `manual`, `ticket`, `turns` | storing and removing a value by hand, and upserts in turn |
//! | `tags`, `removal` | the tags of entries, and what happens to those that are removed |
//! | `lease`, `listeners` | checks that values are unchanged, and notifications that they changed |
//! | `bulk` | cleanup, invalidation by printed key, and switching off |
//! | `validate` | a consistency check for tests |

pub(crate) mod blocking;
pub(crate) mod builder;
pub(crate) mod bulk;
mod bypass;
mod bypass_batch;
mod bypass_reads;
pub(crate) mod entry;
pub(crate) mod flight;
mod heavy;
pub(crate) mod install;
pub(crate) mod lease;
pub(crate) mod listeners;
pub(crate) mod load;
pub(crate) mod loader;
mod manual;
pub(crate) mod miss;
pub(crate) mod policy;
pub(crate) mod printing;
pub(crate) mod read;
pub(crate) mod removal;
pub(crate) mod request;
pub(crate) mod size;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod stripe;
pub(crate) mod tags;
pub(crate) mod ticket;
pub(crate) mod turns;
#[cfg(feature = "internals")]
pub(crate) mod validate;

use std::{borrow::Borrow, hash::Hash};

use self::{
    entry::Entry,
    listeners::Listener,
    loader::{LoadError, LoaderError},
    policy::Key,
    read::{Age, Read, Source},
    state::RegionState,
};
use crate::{
    stats::Stats,
    sync::{Arc, Ordering},
};

/// A cache for one kind of data. [`Manager::region`] returns one. Cloning shares it.
///
/// `V` is cloned on every hit: use an `Arc`, or another type that is cheap to clone. The crate's
/// front page shows what a region does.
///
/// [`Manager::region`]: crate::Manager::region
pub struct Region<K, V> {
    pub(crate) state: Arc<RegionState<K, V>>,
}

impl<K, V> Clone for Region<K, V> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
        }
    }
}

/// Hits: they take no lock of this crate, and return without an await.
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns the value if it is in memory and fresh, and counts a hit. Otherwise counts nothing.
    ///
    /// If it returns `None`, call [`Region::load_after_miss`]. It also returns `None` for a cached
    /// absence, and if a refresh is due. The key may be any borrowed form of the region's keys, such
    /// as `&str` for `String`.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// assert_eq!(names.look_up(&7), None);
    /// names.insert(7, "Ada");
    /// assert_eq!(names.look_up(&7).unwrap().value, Some("Ada"));
    /// ```
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the value stays in registers, as in `fresh`"
    )]
    pub fn look_up<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Read<V>>
    where
        K: Borrow<Q>,
    {
        let (value, age) = self.fresh(key)?;
        self.state.count_hit(key);
        Some(Read {
            value: Some(value),
            source: Source::Hit,
            age,
        })
    }

    /// Looks up many keys. If all values are in memory and fresh, returns the results of `each` in
    /// the order of `keys`, and counts hits. Otherwise returns `None` and counts nothing; `each`
    /// may have been called for some keys.
    ///
    /// If it returns `None`, call [`Region::get_or_load_many`].
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// names.insert(8, "Grace");
    /// assert_eq!(names.look_up_many(&[8, 7], |_, name, _| name), Some(vec!["Grace", "Ada"]));
    /// assert_eq!(names.look_up_many(&[7, 9], |_, name, _| name), None);
    /// ```
    pub fn look_up_many<T>(
        &self,
        keys: &[K],
        mut each: impl FnMut(&K, V, Age) -> T,
    ) -> Option<Vec<T>> {
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            let (value, age) = self.fresh(key)?;
            results.push(each(key, value, age));
        }
        for key in keys {
            self.state.count_hit(key);
        }
        Some(results)
    }

    /// Returns the value if it is fresh and no refresh is due. Counts nothing.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the value stays in registers")]
    pub(crate) fn fresh<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(V, Age)>
    where
        K: Borrow<Q>,
    {
        // The clock is read before the look-up: the shard's lock is a barrier that later
        // instructions cannot pass, so that reading it first overlaps with hashing the key. A value
        // that was fresh at some time within the read is fresh.
        //
        // Relaxed: switching off also empties the region, which the look-up sees by its lock.
        let now = self.state.clock.now() | self.state.switched_off.load(Ordering::Relaxed);
        match self.state.store.fresh(key, now) {
            Some((value, loaded_at)) => Some((value, Age::between(loaded_at, now))),
            None => self.recently_used(key),
        }
    }

    /// Returns the value as [`Region::fresh`] does, in a region with a time to idle.
    #[inline]
    fn recently_used<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(V, Age)>
    where
        K: Borrow<Q>,
    {
        if self.state.idle.is_none() || !self.is_enabled() {
            return None;
        }
        let found = self.state.find(key)?;
        let may_return = found.read.source == Source::Hit && !found.refresh_due;
        may_return.then_some((found.read.value?, found.read.age))
    }

    /// Returns the value if it is in memory and not expired. Counts a hit or a miss. The absence of
    /// a value counts as a hit if it is in memory.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert("ada".to_owned(), "Ada Lovelace");
    /// assert_eq!((names.get("ada"), names.get("grace")), (Some("Ada Lovelace"), None));
    /// ```
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let found = self.state.find(key).map(|found| found.read);
        match found.filter(|read| read.source == Source::Hit) {
            Some(read) => {
                self.state.count_hit(key);
                read.value
            }
            None => {
                self.state.count_miss(None);
                None
            }
        }
    }

    /// Returns `true` if the value is in memory and not expired. Counts nothing.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// assert!(names.contains_key(&7) && !names.contains_key(&8));
    /// ```
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        let now = self.state.clock.now();
        let is_live = |ends_at| now < ends_at;
        self.is_enabled() && self.state.ends_at(key).is_some_and(is_live)
    }

    /// Returns the number of entries in memory, including absences and those that have expired and
    /// were not removed yet.
    pub fn len(&self) -> usize {
        self.state.store.len()
    }

    /// Returns `true` if there is no entry in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the values in memory that have not expired, with their keys, in no order. An entry
    /// that is stored or removed meanwhile may be missing. Counts nothing.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// assert_eq!((names.iter().collect::<Vec<_>>(), names.len()), (vec![(7, "Ada")], 1));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (K, V)> + use<'_, K, V> {
        self.state.live_entries()
    }
}

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
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError<Infallible>> {
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
        self.request(key).load(load).await
    }

    /// Returns the value as [`Region::get_or_load`] does, for a caller whose [`Region::look_up`]
    /// has just returned `None`. It does not look the value up again before it takes the lock.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError<Infallible>> {
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
    /// `load` is passed the missing keys, without duplicates, and returns the rows that exist. It is
    /// also passed the keys of values that are due for a refresh, and may be called for the keys of
    /// other readers of the region. The rules of [`Region::get_or_load`] hold for each key.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError<Infallible>> {
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
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError<Infallible>> {
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
            return self.bypass_many(keys, load).await;
        }
        let next = self.state.read_many(keys, loader::many(load));
        let mut reads = Vec::with_capacity(keys.len());
        for (key, next) in keys.iter().zip(next) {
            reads.push(self.request(key.clone()).finish(next).await?);
        }
        Ok(reads)
    }
}

/// Listeners, statistics and the name.
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns a listener that is notified after each write of `key`. [`Listener`] has an example.
    pub fn listen(&self, key: K) -> Listener {
        self.state.listeners.listen(key)
    }

    /// Returns how many listeners a key has.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let listener = names.listen(7);
    /// assert_eq!(names.listeners(&7), 1);
    /// drop(listener);
    /// assert_eq!(names.listeners(&7), 0);
    /// ```
    pub fn listeners<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.state.listeners.listeners(key)
    }

    /// Returns `true` unless the region is switched off by
    /// [`Manager::set_enabled`](crate::Manager::set_enabled).
    pub fn is_enabled(&self) -> bool {
        self.state.is_enabled()
    }

    /// Returns the statistics of the region.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Returns the name of the region.
    pub fn name(&self) -> &'static str {
        self.state.name
    }
}
