//! Fronts of the ends of logs.

use std::{borrow::Borrow, fmt, hash::Hash};

use super::{TailRegion, copy::Tail};
use crate::{
    protocol::log::Fold,
    region::{front::Front, policy::Key, read::Read},
    sync::Arc,
};

/// A way to read small facts of logs that many threads read all the time.
///
/// [`TailRegion::front`] returns one. It is to a [`TailRegion`] what a [`Front`] is to a region:
/// each thread keeps what `make` made of the copies that it read last.
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
/// let last = logs.front(|count: &Count| Some(count.0));
/// let fill = || async { Ok(Some((3, Count(3)))) };
/// logs.get_or_fill(7, fill, |_| Some(())).await?;
/// assert_eq!(last.glance(&7, |seq| Some(*seq)).unwrap().value, Some(3));
///
/// let insert = async { Written::<_, Infallible>::Committed(4) };
/// let guard = manager.guard().append(&logs, 7, |seq| [(*seq, ())]);
/// guard.run(insert).await.unwrap();
/// assert_eq!(last.glance(&7, |seq| Some(*seq)).unwrap().value, Some(4));
/// # Ok(()) }
/// ```
pub struct TailFront<K: Send, C: Fold, F: Send>(Front<K, Arc<Tail<C>>, F>);

impl<K: Send, C: Fold, F: Send> fmt::Debug for TailFront<K, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: Key, C: Fold> TailRegion<K, C> {
    /// Returns a front for a fact that `make` makes of a copy.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # struct Count(u64);
    /// # impl Fold for Count {
    /// #     type Entry = ();
    /// #     fn apply(&mut self, seq: u64, (): &()) { self.0 = seq; }
    /// # }
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let logs = manager.tail_region::<u64, Count>("logs", policy, 1);
    /// let last = logs.front(|count: &Count| Some(count.0));
    /// assert!(last.glance(&7, |seq| Some(*seq)).is_none(), "no copy is in memory");
    /// ```
    ///
    /// `make` is called under the lock of the log: it must not use the cache.
    pub fn front<F: Send>(
        &self,
        make: impl Fn(&C) -> Option<F> + Send + Sync + 'static,
    ) -> TailFront<K, C, F> {
        TailFront(self.0.front(move |tail: Arc<Tail<C>>| tail.read(&make)))
    }
}

impl<K: Key, C: Fold, F: Send> TailFront<K, C, F> {
    /// Returns the result of `read` on the fact of a log, and counts a hit. Returns `None` and
    /// counts nothing if no copy may be served, and when [`Front::glance`] does.
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
    /// let last = logs.front(|count: &Count| Some(count.0));
    /// logs.get_or_fill(7, || async { Ok(Some((3, Count(3)))) }, |_| Some(())).await?;
    /// let is_end = |seq| last.glance(&7, |last| (seq == *last).then_some(())).is_some();
    /// assert!(is_end(3) && !is_end(2));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn glance<Q, T>(&self, key: &Q, read: impl FnOnce(&F) -> Option<T>) -> Option<Read<T>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.0.glance(key, read)
    }
}
