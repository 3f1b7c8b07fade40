//! Tails: a region whose values are copies of the ends of logs, appended to by writes.

pub(crate) mod copy;
pub(crate) mod front;

use std::{borrow::Borrow, fmt, hash::Hash};

use self::copy::{SequencedEntry, Tail};
use crate::{
    protocol::log::Fold,
    region::{
        Region,
        limits::LoadLimits,
        loader::{self, LoadError, LoadFailure, Loader, LoaderError},
        miss::Next,
        policy::Key,
        read::{Read, Source},
    },
    sync::Arc,
};

/// A cache for the ends of logs. [`Manager::tail_region`] returns one. Cloning shares it.
///
/// A log is a sequence of entries to which the source gives gapless sequence numbers, from 1 and in
/// the order of their commits. An append opens no window, so that a hot log stays in memory under
/// constant writers. [`WriteGuard::append`] takes the entry from the write's result.
///
/// Every other change of a log, such as clearing it, also takes a sequence number. It runs under a
/// [`WriteGuard`] over its key in [`TailRegion::region`].
///
/// A reader that reads the source itself must call [`TailRegion::saw`] before it returns.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use cache_core::{Fold, LoadError, Manager, Policy, Runtime, TailRead, Unknown, Written};
///
/// struct Lines(Vec<String>);
///
/// impl Fold for Lines {
///     type Entry = String;
///
///     fn apply(&mut self, _seq: u64, line: &String) {
///         self.0.push(line.clone());
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), LoadError<Infallible>> {
/// let manager = Manager::new(Runtime::tokio(), Unknown::Never);
/// let policy = Policy::new(Duration::from_secs(60), 100);
/// let logs = manager.tail_region::<u64, Lines>("logs", policy, 1);
///
/// // A fill returns the highest sequence number of the log, and a copy that reaches it.
/// let fill = || async { Ok(Some((1, Lines(vec!["Hello".to_owned()])))) };
/// let last = |lines: &Lines| lines.0.last().cloned();
/// let TailRead::Found(read) = logs.get_or_fill(7, fill, last).await? else {
///     panic!("the log exists, and nothing was written meanwhile")
/// };
/// assert_eq!(read.value.as_deref(), Some("Hello"));
///
/// let insert = async { Written::<_, Infallible>::Committed(2) };
/// let guard = manager.guard().append(&logs, 7, |seq| [(*seq, "Bye".to_owned())]);
/// guard.run(insert).await.unwrap();
/// assert_eq!(logs.look_up(&7, last).unwrap().value.as_deref(), Some("Bye"));
/// # Ok(()) }
/// ```
///
/// [`Manager::tail_region`]: crate::Manager::tail_region
/// [`WriteGuard`]: crate::WriteGuard
/// [`WriteGuard::append`]: crate::WriteGuard::append
pub struct TailRegion<K, C: Fold>(pub(crate) Region<K, Arc<Tail<C>>>);

/// The result of a read of the end of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailRead<T> {
    /// The copy had the answer.
    Found(Read<T>),
    /// The source has no such log.
    Absent(Source),
    /// The copy cannot answer. Read the source, and call [`TailRegion::saw`] with the highest
    /// sequence number that was read before returning it.
    Elsewhere,
}

impl<K, C: Fold> fmt::Debug for TailRegion<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K, C: Fold> Clone for TailRegion<K, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Reads.
impl<K: Key, C: Fold> TailRegion<K, C> {
    /// Returns the result of `read` if a copy may be served and `read` returns `Some`. Counts a
    /// hit, or nothing.
    ///
    /// If it returns `None`, call [`TailRegion::fill_after_miss`]. `read` is called under the lock
    /// of the log: it must not use the cache. [`TailRegion`] has an example.
    pub fn look_up<Q: Hash + Eq + ?Sized, T>(
        &self,
        key: &Q,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Option<Read<T>>
    where
        K: Borrow<Q>,
    {
        let (tail, age) = self.0.fresh(key)?;
        let value = tail.read(read)?;
        self.0.state.count_hit(key);
        Some(Read {
            value: Some(value),
            source: Source::Hit,
            age,
        })
    }

    /// Returns the result of `read` on the copy, which `load` fills if there is none.
    ///
    /// `load` reads one snapshot of the source and returns the highest sequence number of the log
    /// with a copy that reaches it, or `None` if there is no such log. The rules of
    /// [`Region::get_or_load`] hold for it. [`TailRegion`] has an example.
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load`].
    pub async fn get_or_fill<T, F, Fut, E>(
        &self,
        key: K,
        load: F,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Result<TailRead<T>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<(u64, C)>, E>> + Send + 'static,
        E: LoaderError,
    {
        if !self.is_enabled() {
            return Ok(TailRead::Elsewhere);
        }
        let loader = fill_one(key.clone(), load);
        let next = self.0.state.read(&key, loader, LoadLimits::USUAL);
        self.finish(&key, next, read).await
    }

    /// Returns the result as [`TailRegion::get_or_fill`] does, for a caller whose
    /// [`TailRegion::look_up`] has just returned `None`. It does not look the copy up again before
    /// it takes the lock.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # struct Count(u64);
    /// # impl Fold for Count {
    /// #     type Entry = ();
    /// #     fn apply(&mut self, seq: u64, (): &()) { self.0 = seq; }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let logs = manager.tail_region::<u64, Count>("logs", policy, 1);
    /// let count = |count: &Count| Some(count.0);
    /// assert!(logs.look_up(&7, count).is_none());
    /// let fill = || async { Ok(Some((3, Count(3)))) };
    /// let TailRead::Found(read) = logs.fill_after_miss(7, fill, count).await? else {
    ///     panic!("the log exists, and nothing was written meanwhile")
    /// };
    /// assert_eq!(read.value, Some(3));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load`].
    pub async fn fill_after_miss<T, F, Fut, E>(
        &self,
        key: K,
        load: F,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Result<TailRead<T>, LoadError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<(u64, C)>, E>> + Send + 'static,
        E: LoaderError,
    {
        if !self.is_enabled() {
            return Ok(TailRead::Elsewhere);
        }
        let loader = fill_one(key.clone(), load);
        let next = self.0.state.read_after_miss(&key, loader);
        self.finish(&key, next, read).await
    }

    /// Returns the results of `read` on many copies, in the order of `keys`. Those that are missing
    /// share one load, which returns key, head and copy of each log that exists. In a region that
    /// is switched off, the load is for this call alone.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # struct Count(u64);
    /// # impl Fold for Count {
    /// #     type Entry = ();
    /// #     fn apply(&mut self, seq: u64, (): &()) { self.0 = seq; }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let logs = manager.tail_region::<u64, Count>("logs", policy, 1);
    /// let fill = |_| async { Ok(vec![(7, 3, Count(3))]) };
    /// let reads = logs.get_or_fill_many(&[8, 7], fill, |count| Some(count.0)).await?;
    /// assert_eq!(reads[0], TailRead::Absent(Source::Loaded));
    /// assert!(matches!(&reads[1], TailRead::Found(read) if read.value == Some(3)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load_many`].
    pub async fn get_or_fill_many<T, F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<Vec<TailRead<T>>, LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, u64, C)>, E>> + Send + 'static,
        E: LoaderError,
    {
        let load = |keys| async {
            let rows = load(keys).await?.into_iter();
            Ok::<_, E>(
                rows.map(|(key, head, copy)| (key, Arc::new(Tail::filled(head, copy))))
                    .collect(),
            )
        };
        let tails = self.0.get_or_load_many(keys, load).await?;
        Ok(keys
            .iter()
            .zip(tails)
            .map(|(key, tail)| self.answer(key, tail, &read))
            .collect())
    }

    /// Returns `false` and counts a bypass if the region is switched off.
    fn is_enabled(&self) -> bool {
        let is_enabled = self.0.is_enabled();
        if !is_enabled {
            self.0.state.counters.bypasses.one();
        }
        is_enabled
    }

    async fn finish<T, E: LoaderError>(
        &self,
        key: &K,
        next: Next<K, Arc<Tail<C>>>,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Result<TailRead<T>, LoadError<E>> {
        let state = &*self.0.state;
        match next {
            Next::Return(tail) => {
                let result = self.answer(key, tail, read);
                match &result {
                    TailRead::Found(_) | TailRead::Absent(_) => state.count_hit(key),
                    TailRead::Elsewhere => state.count_miss(Some(key)),
                }
                Ok(result)
            }
            Next::Wait(..) if state.is_within_load(key) => Err(LoadError::Nested),
            Next::Wait(flight, source) => {
                let tail = state.answer(key, flight.wait().await, source);
                let tail = tail.map_err(LoadFailure::typed)?;
                Ok(self.answer(key, tail, read))
            }
        }
    }

    fn answer<T>(
        &self,
        key: &K,
        tail: Read<Arc<Tail<C>>>,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> TailRead<T> {
        let Read { value, source, age } = tail;
        let Some(tail) = value else {
            return TailRead::Absent(source);
        };
        // A copy that was loaded but not installed may be newer than the installed one.
        if source != Source::Hit {
            self.saw(key, tail.head());
        }
        tail.read(read).map_or(TailRead::Elsewhere, |value| {
            TailRead::Found(Read {
                value: Some(value),
                source,
                age,
            })
        })
    }

    /// States that a reader of the source is about to return the entry at `seq` of the log. No
    /// older copy is served from now on.
    pub fn saw(&self, key: &K, seq: u64) {
        self.0.state.saw(key, seq);
    }

    /// Reports that another process appended the entry at `seq` to the log. Notifies the listeners
    /// of the log. Report other changes of a log by [`Region::changed_elsewhere`] of
    /// [`TailRegion::region`].
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # struct Count(u64);
    /// # impl Fold for Count {
    /// #     type Entry = ();
    /// #     fn apply(&mut self, seq: u64, (): &()) { self.0 = seq; }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), LoadError<Infallible>> {
    /// let bound = Duration::from_secs(1);
    /// let builder = Manager::builder(Runtime::tokio(), Unknown::Never);
    /// let manager = builder.others_write(bound).build();
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let logs = manager.tail_region::<u64, Count>("logs", policy, 1);
    /// let fill = || async { Ok(Some((3, Count(3)))) };
    /// logs.get_or_fill(7, fill, |count| Some(count.0)).await?;
    /// if logs.has_copy(&7) {
    ///     logs.appended_elsewhere(&7, 4, ());
    /// }
    /// assert_eq!(logs.look_up(&7, |count| Some(count.0)).unwrap().value, Some(4));
    /// # Ok(()) }
    /// ```
    pub fn appended_elsewhere(&self, key: &K, seq: u64, entry: C::Entry) {
        let entry = SequencedEntry { seq, entry };
        self.0.state.append(key, &[entry]);
    }

    /// Returns `true` if a copy of the log is in memory or is being filled. Otherwise an entry that
    /// another process appended need not be read: a fill that begins later reads it from the
    /// source. Ask this after the source has returned the change.
    /// [`TailRegion::appended_elsewhere`] has an example.
    pub fn has_copy(&self, key: &K) -> bool {
        self.0.state.has_copy(key)
    }

    /// Returns the underlying region, for guards, listeners, statistics and invalidation.
    pub fn region(&self) -> &Region<K, impl Clone + Send + Sync + 'static + use<K, C>> {
        &self.0
    }
}

/// Erases the type of a loader that fills one copy.
fn fill_one<K, C, F, Fut, E>(key: K, load: F) -> Loader<K, Arc<Tail<C>>>
where
    K: Send + 'static,
    C: Fold,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<(u64, C)>, E>> + Send + 'static,
    E: LoaderError,
{
    loader::one(key, || async {
        let loaded = load().await?;
        Ok::<_, E>(loaded.map(|(head, copy)| Arc::new(Tail::filled(head, copy))))
    })
}
