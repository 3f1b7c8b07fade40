//! The write guard: windows over the keys that a write makes stale, open from before it begins until its outcome is known.

use std::{any::Any, fmt, panic::AssertUnwindSafe};

use crate::{
    clock::Nanos,
    progress::Progress,
    region::{Key, Region},
    shared::{Ended, Fault, Shared},
    sync::{Arc, Ordering, oneshot},
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

/// The keys of one guard in one region.
pub(crate) trait Scope: Any + Send + Sync {
    fn open(&mut self);
    fn close(&mut self, committed: bool);
    fn mark_unknown(&mut self);
    fn as_any(&mut self) -> &mut dyn Any;
}

struct RegionScope<K, V> {
    region: Region<K, V>,
    keys: Vec<K>,
    puts: Vec<(K, V)>,
    at: Nanos,
    all: bool,
    creating: bool,
    unknown: bool,
}

/// Where a committed write says which of its keys' whole values it returned.
pub struct Stores<'a>(&'a mut Vec<Box<dyn Scope>>);

impl WriteGuard {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, scopes: Vec::new() }
    }

    /// The write makes this key stale.
    pub fn key<K: Key, V: Clone + Send + Sync + 'static>(mut self, region: &Region<K, V>, key: K) -> Self {
        let scope = self.scope(region);
        if !scope.keys.contains(&key) {
            scope.keys.push(key);
        }
        self
    }

    /// The write makes keys stale that cannot be listed: the whole region goes.
    pub fn region<K: Key, V: Clone + Send + Sync + 'static>(mut self, region: &Region<K, V>) -> Self {
        self.scope(region).all = true;
        self
    }

    /// The write may create a key that nobody knows yet: no absence in the region is served or stored meanwhile.
    pub fn creating<K: Key, V: Clone + Send + Sync + 'static>(mut self, region: &Region<K, V>) -> Self {
        self.scope(region).creating = true;
        self
    }

    fn scope<K: Key, V: Clone + Send + Sync + 'static>(&mut self, region: &Region<K, V>) -> &mut RegionScope<K, V> {
        let at = self.scopes.iter_mut().position(|scope| is_of(scope, region)).unwrap_or_else(|| {
            self.scopes.push(Box::new(RegionScope {
                region: region.clone(),
                keys: Vec::new(),
                puts: Vec::new(),
                at: 0,
                all: false,
                creating: false,
                unknown: false,
            }));
            self.scopes.len() - 1
        });
        self.scopes[at].as_any().downcast_mut().expect("found by its type, or made of it")
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
        shared.spawn_write(async move {
            let _permit = permit;
            let shared = self.shared.clone();
            let mut windows = Windows::open(self);
            let result = match shared.bounded(write, shared.write_timeout).await {
                Ended::With(Written::Committed(value)) => {
                    // A panic here must not be taken for an unknown outcome.
                    let named = std::panic::catch_unwind(AssertUnwindSafe(|| store(&value, &mut Stores(&mut windows.scopes))));
                    windows.close(named.is_ok());
                    Ok(value)
                }
                Ended::With(Written::NotApplied(error)) => {
                    windows.close(false);
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
}

impl fmt::Debug for WriteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteGuard").field("regions", &self.scopes.len()).finish_non_exhaustive()
    }
}

impl Stores<'_> {
    /// The write returned the whole value of `key`, read in its own transaction after its last change.
    pub fn put<K: Key, V: Clone + Send + Sync + 'static>(&mut self, region: &Region<K, V>, key: K, value: V) {
        let scope = self.0.iter_mut().find_map(|scope| is_of(scope, region).then_some(scope));
        if let Some(scope) = scope.and_then(|scope| scope.as_any().downcast_mut::<RegionScope<K, V>>()) {
            scope.puts.push((key, value));
        }
    }
}

fn is_of<K: Key, V: Clone + Send + Sync + 'static>(scope: &mut Box<dyn Scope>, region: &Region<K, V>) -> bool {
    scope.as_any().downcast_ref::<RegionScope<K, V>>().is_some_and(|scope| Arc::ptr_eq(&scope.region.0, &region.0))
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
        Self { shared: guard.shared, scopes: guard.scopes }
    }

    fn close(&mut self, committed: bool) {
        for mut scope in self.scopes.drain(..) {
            scope.close(committed);
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        if !self.scopes.is_empty() {
            self.shared.leave_open(std::mem::take(&mut self.scopes));
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionScope<K, V> {
    /// What this counts as in the statistic of windows.
    fn windows(&self) -> usize {
        self.keys.len() + usize::from(self.all)
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Scope for RegionScope<K, V> {
    fn open(&mut self) {
        let inner = &*self.region.0;
        let late = inner.shared.faults.is(Fault::LateInvalidation);
        self.at = inner.shared.runtime.clock.now();
        if self.creating {
            inner.open_create();
        }
        if self.all {
            for stripe in &inner.stripes {
                let mut stripe = stripe.lock();
                stripe.region_open += 1;
                stripe.keys.values_mut().for_each(|progress| inner.overtake(progress, Progress::bulk));
                stripe.keys.retain(|_, progress| !progress.is_idle());
            }
            inner.remove_where(|_| true);
        }
        let mut removed = 0;
        for key in &self.keys {
            let mut stripe = inner.stripe(key);
            let region_open = stripe.region_open > 0;
            let progress = stripe.keys.entry(key.clone()).or_default();
            inner.overtake(progress, |progress| progress.open(region_open));
            let gone = if late { (None, false) } else { inner.store.remove(key) };
            drop(stripe);
            removed += usize::from(gone.0.is_some() || gone.1);
        }
        inner.counters.open_windows.add(self.windows());
        inner.counters.invalidations.add(removed);
        tracing::debug!(target: "cache", region = inner.name, windows = self.windows(), removed, "invalidation");
    }

    fn close(&mut self, committed: bool) {
        let inner = &*self.region.0;
        let late = inner.shared.faults.is(Fault::LateInvalidation);
        for key in self.keys.drain(..) {
            let value = self.puts.iter().position(|(of, _)| *of == key).map(|at| self.puts.swap_remove(at).1);
            let mut stripe = inner.stripe(&key);
            let region_open = stripe.region_open > 0;
            let alone = stripe.keys.get_mut(&key).is_some_and(|progress| progress.close(region_open));
            stripe.forget_idle(&key);
            let gone = late.then(|| inner.store.remove(&key));
            let stored = match value {
                Some(value) if committed && alone && inner.enabled.load(Ordering::Relaxed) => {
                    Some(inner.put(key, value, self.at, inner.policy.ttl))
                }
                Some(_) | None => None,
            };
            drop(stripe);
            drop(gone);
            if let Some(stored) = stored {
                inner.count_evicted(stored);
            }
            inner.counters.open_windows.less(1);
            inner.counters.unknown_windows.less(usize::from(self.unknown));
        }
        if self.all {
            for stripe in &inner.stripes {
                stripe.lock().region_open -= 1;
            }
            inner.counters.open_windows.less(1);
            inner.counters.unknown_windows.less(usize::from(self.unknown));
        }
        if self.creating {
            inner.close_create();
        }
    }

    fn mark_unknown(&mut self) {
        self.unknown = true;
        self.region.0.counters.unknown_windows.add(self.windows());
        tracing::debug!(target: "cache", region = self.region.0.name, windows = self.windows(), "unknown windows");
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
