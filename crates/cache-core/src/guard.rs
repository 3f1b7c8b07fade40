//! The write guard: windows over the keys that a write makes stale, open from before it begins until its outcome is known.

use std::{fmt, panic::AssertUnwindSafe};

use crate::{
    log::Fold,
    region::{Key, Region},
    scope::{End, RegionScope, Scope, TailScope},
    shared::{Ended, Fault, Shared},
    sync::{Arc, oneshot},
    tail::TailRegion,
};

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<T, E> {
    /// It is in the store, and every read from the store sees it.
    Committed(T),
    /// It is not in the store and never will be.
    NotApplied(E),
    /// It may be in the store, may yet get there, or never will.
    Unknown(E),
}

/// Why a guarded write gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<E> {
    /// The write's own error.
    #[error("{0}")]
    Store(E),
    /// It took longer than the manager's write timeout; its outcome is unknown.
    #[error("the write timed out")]
    TimedOut,
    /// It panicked; its outcome is unknown.
    #[error("the write panicked")]
    Panicked,
    /// Its task was dropped, as at the end of the program; its outcome is unknown.
    #[error("the write was given up")]
    GivenUp,
}

/// The keys that a write makes stale, over any regions. Made by [`crate::Manager::guard`].
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use cache_core::{Manager, Policy, Runtime, Written};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let manager = Manager::builder(Runtime::tokio()).build();
/// let names = manager.region::<u64, &str>("names", Policy::new(Duration::from_secs(60), 100));
/// names.insert(7, "old");
/// let write = async { Written::<_, Infallible>::Committed("new") };
/// let region = names.clone();
/// let new = manager.guard().key(&names, 7).run(write, move |name, stores| stores.put(&region, 7, *name)).await;
/// assert_eq!((new, names.get(&7)), (Ok("new"), Some("new")));
/// # }
/// ```
pub struct WriteGuard {
    shared: Arc<Shared>,
    scopes: Vec<Box<dyn Scope>>,
}

/// Where a committed write says which of its keys' whole values it returned.
pub struct Stores<'a>(&'a mut Vec<Box<dyn Scope>>);

impl WriteGuard {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            scopes: Vec::new(),
        }
    }

    /// The write makes this key stale.
    pub fn key<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
        key: K,
    ) -> Self {
        let scope = self.scope(region);
        if !scope.keys.contains(&key) {
            scope.keys.push(key);
        }
        self
    }

    /// The write makes keys stale that cannot be listed: the whole region goes.
    pub fn region<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
    ) -> Self {
        self.scope(region).all = true;
        self
    }

    /// The write may create a key that nobody knows yet: no absence in the region is served or stored meanwhile.
    pub fn creating<K: Key, V: Clone + Send + Sync + 'static>(
        mut self,
        region: &Region<K, V>,
    ) -> Self {
        self.scope(region).creating = true;
        self
    }

    /// The write appends to this log, and makes nothing stale: no window opens unless its outcome is unknown.
    pub fn append<K: Key, C: Fold>(mut self, region: &TailRegion<K, C>, key: K) -> Self {
        // Before the windows of other regions close, the entry is applied.
        self.scopes
            .insert(0, Box::new(TailScope::new(region.clone(), key)));
        self
    }

    fn scope<K: Key, V: Clone + Send + Sync + 'static>(
        &mut self,
        region: &Region<K, V>,
    ) -> &mut RegionScope<K, V> {
        let at = self
            .scopes
            .iter_mut()
            .position(|scope| is_of(scope, region))
            .unwrap_or_else(|| {
                self.scopes.push(Box::new(RegionScope::new(region.clone())));
                self.scopes.len() - 1
            });
        self.scopes[at]
            .as_any()
            .downcast_mut()
            .expect("found by its type, or made of it")
    }

    /// Opens the windows, runs the write in a task of its own, closes the windows when its outcome is known, and only
    /// then answers. If the caller goes away the write goes on; if its outcome is unknown its windows stay open until
    /// it is settled. `store` names the keys whose whole value the write returned: they are stored if no other write
    /// to them ran meanwhile.
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
        let shared = self.shared.clone();
        let permit = shared.write_permits.clone().acquire_owned().await;
        if shared.faults.is(Fault::CallerOwnsGuard) {
            return self.run_in_the_caller(write, store).await;
        }
        shared.spawn_write(async move {
            let _permit = permit;
            let shared = self.shared.clone();
            let mut windows = Windows::open(self);
            let result = match shared.bounded(write, shared.write_timeout).await {
                Ended::With(Written::Committed(value)) => {
                    // A panic here must not be taken for an unknown outcome.
                    let named = std::panic::catch_unwind(AssertUnwindSafe(|| {
                        store(&value, &mut Stores(&mut windows.scopes));
                    }));
                    windows.close(if named.is_ok() {
                        End::Committed
                    } else {
                        End::Untold
                    });
                    Ok(value)
                }
                Ended::With(Written::NotApplied(error)) => {
                    windows.close(End::NotApplied);
                    Err(WriteError::Store(error))
                }
                Ended::With(Written::Unknown(error)) => Err(WriteError::Store(error)),
                Ended::TimedOut => Err(WriteError::TimedOut),
                Ended::Panicked => Err(WriteError::Panicked),
            };
            drop(windows);
            // The caller may have gone away.
            drop(sender.send(result));
        });
        answer.await.unwrap_or(Err(WriteError::GivenUp))
    }

    /// A planted fault: the write runs on by itself, and the windows are the caller's.
    async fn run_in_the_caller<T: Send + 'static, E: Send + 'static>(
        self,
        write: impl Future<Output = Written<T, E>> + Send + 'static,
        store: impl FnOnce(&T, &mut Stores<'_>) + Send + 'static,
    ) -> Result<T, WriteError<E>> {
        let (sender, written) = oneshot::channel();
        let mut windows = Windows::open(self);
        windows
            .shared
            .spawn_write(async move { drop(sender.send(write.await)) });
        match written.await {
            Ok(Written::Committed(value)) => {
                store(&value, &mut Stores(&mut windows.scopes));
                windows.close(End::Committed);
                Ok(value)
            }
            Ok(Written::NotApplied(error) | Written::Unknown(error)) => {
                Err(WriteError::Store(error))
            }
            Err(_) => Err(WriteError::GivenUp),
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
    /// The write returned the whole value of `key`, read in its own transaction after its last change.
    pub fn put<K: Key, V: Clone + Send + Sync + 'static>(
        &mut self,
        region: &Region<K, V>,
        key: K,
        value: V,
    ) {
        let scope = self
            .0
            .iter_mut()
            .find_map(|scope| is_of(scope, region).then_some(scope));
        if let Some(scope) =
            scope.and_then(|scope| scope.as_any().downcast_mut::<RegionScope<K, V>>())
        {
            scope.put(key, value);
        }
    }

    /// The write committed `entry` at `place` of the log that it named by [`WriteGuard::append`].
    pub fn append<K: Key, C: Fold>(
        &mut self,
        region: &TailRegion<K, C>,
        place: u64,
        entry: C::Entry,
    ) {
        let scopes = self
            .0
            .iter_mut()
            .filter_map(|scope| scope.as_any().downcast_mut::<TailScope<K, C>>());
        if let Some(scope) = scopes.into_iter().find(|scope| scope.is_of(region)) {
            scope.append(place, entry);
        }
    }
}

fn is_of<K: Key, V: Clone + Send + Sync + 'static>(
    scope: &mut Box<dyn Scope>,
    region: &Region<K, V>,
) -> bool {
    scope
        .as_any()
        .downcast_ref::<RegionScope<K, V>>()
        .is_some_and(|scope| scope.is_of(region))
}

/// Open windows. Dropped without a known outcome they stay open until they are settled.
struct Windows {
    shared: Arc<Shared>,
    scopes: Vec<Box<dyn Scope>>,
}

impl Windows {
    fn open(mut guard: WriteGuard) -> Self {
        for scope in &mut guard.scopes {
            scope.open();
        }
        Self {
            shared: guard.shared,
            scopes: guard.scopes,
        }
    }

    fn close(&mut self, end: End) {
        for mut scope in self.scopes.drain(..) {
            scope.close(end);
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if self.shared.faults.is(Fault::UnknownCloses)
            || self.shared.faults.is(Fault::CallerOwnsGuard)
        {
            self.close(End::NotApplied);
        }
        if !self.scopes.is_empty() {
            self.shared.leave_open(std::mem::take(&mut self.scopes));
        }
    }
}
