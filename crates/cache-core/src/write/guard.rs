//! The write guard: names what a write makes stale, runs the write, and closes its windows.

use std::{fmt, panic::AssertUnwindSafe};

use super::{
    scope::{LogScope, RegionScope},
    settle::Settler,
    window::{Outcome, Scope},
};
use crate::{
    context::Ended,
    protocol::log::Fold,
    region::{Region, policy::Key},
    sync::{Arc, oneshot},
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

/// The reason why a guarded write returned no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<E> {
    /// The error of the write itself.
    #[error("{0}")]
    Store(E),
    /// The write took longer than the write timeout of the manager. Its outcome is unknown.
    #[error("the write timed out")]
    TimedOut,
    /// The write panicked. Its outcome is unknown.
    #[error("the write panicked")]
    Panicked,
    /// The write's task was dropped, for example because the runtime shut down. Its outcome is
    /// unknown.
    #[error("the write was given up")]
    GivenUp,
}

/// The keys that a write makes stale, in any number of regions. [`Manager::guard`] returns one.
///
/// A guard must name every key that the write changes. A key that is named twice counts once.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use cache_core::{Manager, Policy, Runtime, Written};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let manager = Manager::builder(Runtime::tokio()).build();
/// let policy = Policy::new(Duration::from_secs(60), 100);
/// let names = manager.region::<u64, &str>("names", policy);
/// names.insert(7, "old");
///
/// let write = async { Written::<_, Infallible>::Committed("new") };
/// let region = names.clone();
/// let written = manager
///     .guard()
///     .key(&names, 7)
///     .run(write, move |row, stores| stores.put(&region, 7, *row))
///     .await;
///
/// assert_eq!(written, Ok("new"));
/// assert_eq!(names.get(&7), Some("new"));
/// # }
/// ```
///
/// [`Manager::guard`]: crate::Manager::guard
#[must_use = "a guard does nothing until it runs a write"]
pub struct WriteGuard {
    settler: Arc<Settler>,
    scopes: Vec<Box<dyn Scope>>,
}

/// Receives the rows and entries that a committed write returned.
pub struct Stores<'a>(&'a mut Vec<Box<dyn Scope>>);

impl WriteGuard {
    pub(crate) fn new(settler: Arc<Settler>) -> Self {
        Self {
            settler,
            scopes: Vec::new(),
        }
    }

    /// Adds a key that the write makes stale. [`WriteGuard`] has an example.
    pub fn key<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        key: K,
    ) -> Self {
        self.scope(region).add_key(key);
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
    /// # let manager = Manager::builder(Runtime::tokio()).build();
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// let rename_all = async { Written::<_, Infallible>::Committed(()) };
    /// manager.guard().region(&names).run(rename_all, |_, _| {}).await.unwrap();
    /// assert_eq!(names.get(&7), None);
    /// # }
    /// ```
    pub fn region<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
    ) -> Self {
        self.scope(region).add_whole_region();
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
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError> {
    /// # let manager = Manager::builder(Runtime::tokio()).build();
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let missing = || async { Ok::<_, Infallible>(None) };
    /// assert_eq!(names.get_or_load(7, missing).await?.value, None);
    ///
    /// let create = async { Written::<_, Infallible>::Committed(7) };
    /// manager.guard().creating(&names).run(create, |_, _| {}).await.unwrap();
    ///
    /// let load = || async { Ok::<_, Infallible>(Some("Ada")) };
    /// assert_eq!(names.get_or_load(7, load).await?.value, Some("Ada"));
    /// # Ok(()) }
    /// ```
    pub fn creating<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
    ) -> Self {
        self.scope(region).add_create();
        self
    }

    /// Adds a log to which the write appends. The write passes the entry to [`Stores::append`],
    /// which has an example.
    ///
    /// An append makes nothing stale, so no window opens unless the outcome is unknown. After the
    /// commit, logs are appended to in reverse order: the log that was added last comes first.
    /// Windows close after all appends. So a listener on the log that was added first, or on a key,
    /// finds all other appends applied when it is notified.
    pub fn append<K: Key, C: Fold>(mut self, region: &TailRegion<K, C>, key: K) -> Self {
        let log = region.0.state.clone();
        self.scopes.insert(0, Box::new(LogScope::new(log, key)));
        self
    }

    fn scope<K: Key, V: Clone + Send + Sync + 'static>(
        &mut self,
        region: &Region<K, V>,
    ) -> &mut RegionScope<K, V> {
        let position = self
            .scopes
            .iter_mut()
            .position(|scope| region_scope(scope, region).is_some());
        let index = position.unwrap_or_else(|| {
            let scope = RegionScope::new(region.state.clone());
            self.scopes.push(Box::new(scope));
            self.scopes.len() - 1
        });
        region_scope(&mut self.scopes[index], region).expect("the scope is of this region")
    }

    /// Runs a write and returns its result, once every window is closed.
    ///
    /// The write waits for a permit, opens its windows and runs in a dedicated task. If the caller
    /// is dropped before the permit is granted, nothing happens; later, the write goes on and its
    /// windows close when its outcome is known. If the outcome is unknown, they stay open until the
    /// write is settled.
    ///
    /// `store` is called when the write is committed. It names the rows and entries that the write
    /// returned; a row is stored if no other write of its key overlapped this one.
    ///
    /// The write must not run another guarded write: with all permits taken, it would wait for
    /// itself. [`WriteGuard`] has an example.
    ///
    /// # Errors
    ///
    /// Returns [`WriteError::Store`] with the error of the write, or the reason why the outcome of
    /// the write is unknown.
    pub async fn run<T, E>(
        self,
        write: impl Future<Output = Written<T, E>> + Send + 'static,
        store: impl FnOnce(&T, &mut Stores<'_>) + Send + 'static,
    ) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let settler = self.settler.clone();
        let rules = settler.context.rules.clone();
        let permit = settler.context.write_permits.clone().acquire_owned().await;
        let task = |write| async move {
            let _permit = permit;
            let result = self.run_in_task(write, store).await;
            // Fails if the caller was dropped, which is allowed.
            drop(sender.send(result));
        };
        rules
            .detached(write, task, |task| settler.spawn_write(task))
            .await;
        answer.await.unwrap_or(Err(WriteError::GivenUp))
    }

    async fn run_in_task<T, E>(
        self,
        write: impl Future<Output = Written<T, E>> + Send,
        store: impl FnOnce(&T, &mut Stores<'_>),
    ) -> Result<T, WriteError<E>> {
        let context = self.settler.context.clone();
        let mut windows = OpenWindows::open(self);
        match context.bounded(write, context.limits.write_timeout).await {
            Ended::With(Written::Committed(value)) => {
                // A panic of `store` is caught, because the write is committed already.
                let named = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    store(&value, &mut Stores(&mut windows.scopes));
                }));
                windows.close(match named {
                    Ok(()) => Outcome::Committed,
                    Err(_) => Outcome::Unspecified,
                });
                Ok(value)
            }
            Ended::With(Written::NotApplied(error)) => {
                windows.close(Outcome::NotApplied);
                Err(WriteError::Store(error))
            }
            Ended::With(Written::Unknown(error)) => Err(WriteError::Store(error)),
            Ended::TimedOut => Err(WriteError::TimedOut),
            Ended::Panicked => Err(WriteError::Panicked),
        }
    }
}

impl fmt::Debug for WriteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteGuard")
            .field("regions", &self.scopes.len())
            .finish_non_exhaustive()
    }
}

impl Stores<'_> {
    /// Passes the complete value of `key` to the cache, as the write's transaction read it after
    /// its last change.
    ///
    /// Ignored for a key that the guard does not hold. [`WriteGuard`] has an example.
    pub fn put<K: Key, V: Clone + Send + Sync + 'static>(
        &mut self,
        region: &Region<K, V>,
        key: K,
        value: V,
    ) {
        if let Some(scope) = self
            .0
            .iter_mut()
            .find_map(|scope| region_scope(scope, region))
        {
            scope.put(key, value);
        }
    }

    /// Passes the entry that the write committed, with its sequence number, to the log that was
    /// added by [`WriteGuard::append`].
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # struct Lines(Vec<String>);
    /// # impl Fold for Lines {
    /// #     type Entry = String;
    /// #     fn apply(&mut self, _: u64, line: &String) { self.0.push(line.clone()); }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError> {
    /// # let manager = Manager::builder(Runtime::tokio()).build();
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let logs = manager.tail_region::<u64, Lines>("logs", policy, 1);
    /// let fill = || async { Ok::<_, Infallible>(Some((0, Lines(Vec::new())))) };
    /// logs.get_or_fill(7, fill, |_| Some(())).await?;
    ///
    /// let insert = async { Written::<_, Infallible>::Committed((1, "Hello".to_owned())) };
    /// let region = logs.clone();
    /// manager
    ///     .guard()
    ///     .append(&logs, 7)
    ///     .run(insert, move |(seq, line), stores| stores.append(&region, *seq, line.clone()))
    ///     .await
    ///     .unwrap();
    ///
    /// assert_eq!(logs.look_up(&7, |lines| Some(lines.0.len())).unwrap().value, Some(1));
    /// # Ok(()) }
    /// ```
    pub fn append<K: Key, C: Fold>(
        &mut self,
        region: &TailRegion<K, C>,
        seq: u64,
        entry: C::Entry,
    ) {
        let scope = self
            .0
            .iter_mut()
            .filter_map(|scope| scope.as_any().downcast_mut::<LogScope<K, C>>())
            .find(|scope| scope.is_of(&region.0.state));
        if let Some(scope) = scope {
            scope.append(seq, entry);
        }
    }
}

fn region_scope<'a, K: Key, V: Clone + Send + Sync + 'static>(
    scope: &'a mut Box<dyn Scope>,
    region: &Region<K, V>,
) -> Option<&'a mut RegionScope<K, V>> {
    scope
        .as_mut()
        .as_any()
        .downcast_mut::<RegionScope<K, V>>()
        .filter(|scope| scope.is_of(&region.state))
}

/// The open windows of one write. If it is dropped without a known outcome, the windows stay open
/// until the write is settled.
struct OpenWindows {
    settler: Arc<Settler>,
    scopes: Vec<Box<dyn Scope>>,
}

impl OpenWindows {
    fn open(guard: WriteGuard) -> Self {
        let WriteGuard {
            settler,
            mut scopes,
        } = guard;
        // One scope after the other, each locking one stripe at a time: no write waits for a lock
        // while it holds another.
        for scope in &mut scopes {
            scope.open();
        }
        Self { settler, scopes }
    }

    fn close(&mut self, outcome: Outcome) {
        for mut scope in self.scopes.drain(..) {
            scope.close(outcome);
        }
    }
}

impl Drop for OpenWindows {
    fn drop(&mut self) {
        let scopes = std::mem::take(&mut self.scopes);
        let scopes = self.settler.context.rules.open_while_unknown(scopes);
        if !scopes.is_empty() {
            self.settler.leave_open(scopes);
        }
    }
}
