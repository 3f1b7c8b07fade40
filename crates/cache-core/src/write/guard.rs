//! The write guard: names what a write makes stale. [`run`](super::run) runs the write.

use std::fmt;

use super::{
    log_scope::LogScope,
    scope::{RegionScope, Taken},
    settle::Settler,
    window::Scope,
};
use crate::{
    protocol::log::Fold,
    region::{Region, entry::Entry, policy::Key},
    sync::Arc,
    tail::TailRegion,
};

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<T, E> {
    /// The write is in the store, and every read from the store sees it.
    Committed(T),
    /// The write is not in the store and never will be.
    NotApplied(E),
    /// The write may be in the store already, may be applied later, or may never be applied.
    Unknown(E),
}

/// The keys that a write makes stale, in any number of regions. [`Manager::guard`] returns one. `T`
/// is the result of the write.
///
/// A guard must name every key that the write changes. A key that is named twice counts once.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use cache_core::{Manager, Policy, Runtime, Unknown, Written};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let manager = Manager::new(Runtime::tokio(), Unknown::Never);
/// let policy = Policy::new(Duration::from_secs(60), 100);
/// let names = manager.region::<u64, &str>("names", policy);
/// names.insert(7, "old");
///
/// let write = async { Written::<_, Infallible>::Committed("new") };
/// let guard = manager.guard().key_storing(&names, 7, |row| Some(*row));
/// let written = guard.run(write).await;
///
/// assert_eq!(written, Ok("new"));
/// assert_eq!(names.get(&7), Some("new"));
/// # }
/// ```
///
/// [`Manager::guard`]: crate::Manager::guard
#[must_use = "a guard does nothing until it runs a write"]
pub struct WriteGuard<T> {
    pub(super) settler: Arc<Settler>,
    pub(super) scopes: Vec<Box<dyn Scope>>,
    /// The functions that pass the values which a committed write returned to the scopes.
    pub(super) namings: Vec<Naming<T>>,
}

/// A function that passes a part of a write's result to its scope.
pub(super) type Naming<T> = Box<dyn FnOnce(&T, &mut [Box<dyn Scope>]) + Send>;

impl<T: Send + 'static> WriteGuard<T> {
    pub(crate) fn new(settler: Arc<Settler>) -> Self {
        Self {
            settler,
            scopes: Vec::new(),
            namings: Vec::new(),
        }
    }

    /// Adds a key that the write makes stale.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// let rename = async { Written::<_, Infallible>::Committed(()) };
    /// manager.guard().key(&names, 7).run(rename).await.unwrap();
    /// assert_eq!(names.get(&7), None);
    /// # }
    /// ```
    pub fn key<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        key: K,
    ) -> Self {
        self.scope(region).1.add_key(key);
        self
    }

    /// Adds a key that the write makes stale, and whose complete new value the write returns.
    /// `value` takes it from the write's result. If `value` returns `None`, nothing is stored.
    ///
    /// The value must be as the write's transaction read it after its last change. It is stored if
    /// no other write of the key overlapped this one. [`WriteGuard`] has an example.
    pub fn key_storing<K: Key, V: Clone + Send + Sync + 'static>(
        self,
        region: &Region<K, V>,
        key: K,
        value: impl FnOnce(&T) -> Option<V> + Send + 'static,
    ) -> Self {
        self.key_storing_entry(region, key, |result| value(result).map(Entry::new))
    }

    /// Adds a key as [`WriteGuard::key_storing`] does, and gives the value its own TTL and tags. An
    /// entry with a tag that this write makes stale is not stored.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let rename = async { Written::<_, Infallible>::Committed("Ada") };
    /// let entry = |name: &&'static str| Some(Entry::new(*name).tag("engineers"));
    /// manager.guard().key_storing_entry(&names, 7, entry).run(rename).await.unwrap();
    /// assert_eq!(names.remove_tagged("engineers"), 1);
    /// # }
    /// ```
    pub fn key_storing_entry<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        key: K,
        entry: impl FnOnce(&T) -> Option<Entry<V>> + Send + 'static,
    ) -> Self {
        let (index, scope) = self.scope(region);
        scope.add_key(key.clone());
        self.namings.push(Box::new(move |result, scopes| {
            if let (Some(entry), Some(scope)) = (entry(result), scope_at(scopes, index)) {
                RegionScope::put(scope, key, entry);
            }
        }));
        self
    }

    /// Adds every entry of a region that carries a tag. The cost grows with their number only.
    ///
    /// Until the write has ended, no entry with the tag is stored, and misses of the whole region
    /// bypass the cache, because any value may turn out to carry the tag. Values stay.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert_entry(7, Entry::new("Ada").tag("engineers"));
    /// names.insert(8, "Grace");
    /// let rename = async { Written::<_, Infallible>::Committed(()) };
    /// manager.guard().tag(&names, "engineers").run(rename).await.unwrap();
    /// assert_eq!((names.get(&7), names.get(&8)), (None, Some("Grace")));
    /// # }
    /// ```
    pub fn tag<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        tag: impl Into<Arc<str>>,
    ) -> Self {
        self.scope(region).1.add_tag(tag.into());
        self
    }

    /// Adds a key, and puts its value into `taken` when the window opens, if it is in memory then.
    pub(super) fn key_taking<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        key: K,
        taken: Taken<V>,
    ) -> Self {
        self.scope(region).1.add_key_taking(key, taken);
        self
    }

    /// Adds a whole region, for a write that makes keys stale which cannot be listed.
    ///
    /// Every value of the region is removed before the write begins, and none is stored until the
    /// write has ended. The cost grows with the number of entries.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// let rename_all = async { Written::<_, Infallible>::Committed(()) };
    /// manager.guard().region(&names).run(rename_all).await.unwrap();
    /// assert_eq!(names.get(&7), None);
    /// # }
    /// ```
    pub fn region<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
    ) -> Self {
        self.scope(region).1.add_whole_region();
        self
    }

    /// Adds every key of a region that `covers`, for a write that makes keys stale which cannot be
    /// listed, but recognized. Other keys of the region stay in memory.
    ///
    /// `covers` must return the same for the same key, must not wait, and must not call the cache.
    /// The cost grows with the number of entries of the region.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// names.insert(8, "Grace");
    /// let rename_odd = async { Written::<_, Infallible>::Committed(()) };
    /// let guard = manager.guard().keys_where(&names, |key| key % 2 == 1);
    /// guard.run(rename_odd).await.unwrap();
    /// assert_eq!((names.get(&7), names.get(&8)), (None, Some("Grace")));
    /// # }
    /// ```
    pub fn keys_where<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        covers: impl Fn(&K) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.scope(region).1.add_keys_where(Arc::new(covers));
        self
    }

    /// States that the write may create a key that no caller can name yet, such as one from a
    /// database sequence.
    ///
    /// Until the write has ended, no absence of the region is stored or served, and misses bypass
    /// the cache. Values stay.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let missing = || async { Ok(None) };
    /// assert_eq!(names.get_or_load(7, missing).await?.value, None);
    ///
    /// let create = async { Written::<_, Infallible>::Committed(7) };
    /// manager.guard().creating(&names).run(create).await.unwrap();
    ///
    /// let load = || async { Ok(Some("Ada")) };
    /// assert_eq!(names.get_or_load(7, load).await?.value, Some("Ada"));
    /// # Ok(()) }
    /// ```
    pub fn creating<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
    ) -> Self {
        self.scope(region).1.add_create();
        self
    }

    /// Adds a log to which the write appends. `entries` takes the appended entries from the write's
    /// result, each with its sequence number.
    ///
    /// An append makes nothing stale, so no window opens unless the outcome is unknown. After the
    /// commit, logs are appended to in reverse order: the log that was added last comes first.
    /// Windows close after all appends. So a listener on the log that was added first, or on a key,
    /// finds all other appends applied when it is notified.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # struct Lines(Vec<String>);
    /// # impl Fold for Lines {
    /// #     type Entry = String;
    /// #     fn apply(&mut self, _: u64, line: &String) { self.0.push(line.clone()); }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let logs = manager.tail_region::<u64, Lines>("logs", policy, 1);
    /// let fill = || async { Ok(Some((0, Lines(Vec::new())))) };
    /// logs.get_or_fill(7, fill, |_| Some(())).await?;
    ///
    /// let insert = async { Written::<_, Infallible>::Committed((1, "Hello".to_owned())) };
    /// let guard = manager.guard().append(&logs, 7, |row: &(u64, String)| [row.clone()]);
    /// guard.run(insert).await.unwrap();
    ///
    /// assert_eq!(logs.look_up(&7, |lines| Some(lines.0.len())).unwrap().value, Some(1));
    /// # Ok(()) }
    /// ```
    pub fn append<K: Key, C: Fold, I: IntoIterator<Item = (u64, C::Entry)>>(
        mut self,
        region: &TailRegion<K, C>,
        key: K,
        entries: impl FnOnce(&T) -> I + Send + 'static,
    ) -> Self {
        let log = region.0.state.clone();
        let index = self.scopes.len();
        self.scopes.push(Box::new(LogScope::new(log, key)));
        self.namings.push(Box::new(move |result, scopes| {
            let entries = entries(result).into_iter();
            if let Some(scope) = scope_at::<LogScope<K, C>>(scopes, index) {
                scope.name(entries);
            }
        }));
        self
    }

    /// Returns the scope of a region, and its index.
    fn scope<K: Key, V: Clone + Send + Sync + 'static>(
        &mut self,
        region: &Region<K, V>,
    ) -> (usize, &mut RegionScope<K, V>) {
        let is_of_region = |scope: &mut Box<dyn Scope>| {
            scope
                .as_any()
                .downcast_mut::<RegionScope<K, V>>()
                .is_some_and(|scope| scope.is_of(&region.state))
        };
        let index = self.scopes.iter_mut().position(is_of_region);
        let index = index.unwrap_or_else(|| {
            let scope = RegionScope::new(region.state.clone());
            self.scopes.push(Box::new(scope));
            self.scopes.len() - 1
        });
        let scope = scope_at(&mut self.scopes, index).expect("the scope is of this region");
        (index, scope)
    }
}

impl<T> fmt::Debug for WriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteGuard")
            .field("regions", &self.scopes.len())
            .finish_non_exhaustive()
    }
}

/// Returns a scope whose type is known.
fn scope_at<S: 'static>(scopes: &mut [Box<dyn Scope>], index: usize) -> Option<&mut S> {
    scopes.get_mut(index)?.as_any().downcast_mut()
}
