//! A region: one cache for one kind of data.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | [`Region`]: the handle that callers use |
//! | `policy`, `printing` | the key, the policy, and keys that are printed |
//! | `reads` | reads that load what is not in memory |
//! | `read`, `entry` | the result of a read, and what a load or a write returns |
//! | `state`, `stripe` | the state behind the handle, and the stripes of its in-progress map |
//! | `store`, `timed`, `size` | values and absences in `quick_cache`, their times, its shards |
//! | `found` | the value or absence in memory, if it may be served |
//! | `miss` | the decision for a read that misses: join, load or bypass |
//! | `request`, `blocking` | one read with its own limits, and reads that block their thread |
//! | `loader`, `load`, `limits`, `flight` | loaders, the tasks that run them, waiting readers |
//! | `bypass_reads`, `bypass` | reads that bypass the cache, and their queue |
//! | `bypass_batch`, `batch_queue` | batches that bypass the cache, and their queue |
//! | `install`, `heavy` | how the result of a load is stored, and what is too heavy |
//! | `manual`, `ticket`, `turns` | storing and removing a value by hand, and upserts in turn |
//! | `tags`, `removal`, `removed` | the tags of entries, and the end of a removal |
//! | `lease`, `listeners` | checks that values are unchanged, and notifications that they changed |
//! | `serving`, `elsewhere` | how long values are served beside other processes that write |
//! | `bulk`, `inspect` | cleanup, invalidation by printed key, switching off, lists of entries |
//! | `validate` | a consistency check for tests |

mod batch_queue;
pub(crate) mod blocking;
pub(crate) mod bulk;
mod bypass;
mod bypass_batch;
mod bypass_reads;
pub(crate) mod changes;
mod elsewhere;
pub(crate) mod entry;
pub(crate) mod flight;
pub(crate) mod found;
pub(crate) mod front;
mod heavy;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod lease;
pub(crate) mod limits;
pub(crate) mod listeners;
mod load;
pub(crate) mod loader;
mod manual;
pub(crate) mod miss;
pub(crate) mod policy;
pub(crate) mod printing;
pub(crate) mod read;
mod reads;
pub(crate) mod removal;
mod removed;
pub(crate) mod request;
pub(crate) mod serving;
pub(crate) mod size;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod stripe;
pub(crate) mod tags;
pub(crate) mod ticket;
pub(crate) mod timed;
pub(crate) mod turns;
#[cfg(feature = "internals")]
pub(crate) mod validate;

use std::{borrow::Borrow, fmt, hash::Hash};

use self::{
    listeners::Listener,
    policy::Key,
    read::{Age, Read, Source},
    state::RegionState,
};
use crate::{stats::Stats, sync::Arc};

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

impl<K, V> fmt::Debug for Region<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Region").field(&self.state.name).finish()
    }
}

/// Hits: they take no lock of this crate, and return without an await.
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns the value if it is in memory and fresh, and counts a hit. Otherwise counts nothing.
    ///
    /// If it returns `None`, call [`Region::load_after_miss`]. It also returns `None` for a cached
    /// absence, and if a refresh is due. The key may be any borrowed form of the region's keys,
    /// such as `&str` for `String`.
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
        let now = self.state.clock.now();
        if !self.state.serving.is_over(now)
            && let Some((value, loaded_at)) = self.state.store.fresh(key, now)
        {
            return Some((value, Age::between(loaded_at, now)));
        }
        self.rarely_fresh(key)
    }

    /// Handles the rare cases of [`Region::fresh`]: a time to idle, and a region that serves only
    /// young values.
    #[inline]
    fn rarely_fresh<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(V, Age)>
    where
        K: Borrow<Q>,
    {
        let state = &*self.state;
        if (state.idle.is_none() && state.serving.has_one_writer()) || !self.is_enabled() {
            return None;
        }
        let found = state.find(key)?;
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
        if let Some(read) = found.filter(|read| read.source == Source::Hit) {
            self.state.count_hit(key);
            read.value
        } else {
            self.state.count_miss(None);
            None
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
