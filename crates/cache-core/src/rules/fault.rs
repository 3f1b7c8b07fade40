//! Planted faults. Each disables one rule of the protocol, to show that a test detects it.
//!
//! The functions of [`Rules`] have the names and signatures of `kept.rs`, which describes the
//! rules.

use std::{any::Any, fmt};

use futures_util::{
    FutureExt,
    future::{BoxFuture, pending, ready, select},
};

use super::planted::Fault;
use crate::{
    clock::Nanos,
    protocol::{
        log::{Fold, Log},
        progress::{Ask, Progress},
    },
    region::{
        flight::Flight,
        loader::{Loaded, Loader},
    },
    runtime::Runtime,
    sync::{Arc, oneshot, plain},
    write::window::{Outcome, Scope},
};

/// The rules of the protocol, all but one.
#[derive(Clone)]
pub(crate) struct Rules {
    fault: Fault,
    /// Spawns the tasks that only a fault needs.
    runtime: Runtime,
    /// Loads that readers can still join under [`Fault::JoinedOlderLoad`], although their results
    /// must not be stored. They are kept here so that no later load has the same address. The
    /// schedule explorer does not replace this lock, because no rule depends on it.
    joinable: Arc<plain::Mutex<Vec<Arc<dyn Any + Send + Sync>>>>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rules(without {:?})", self.fault)
    }
}

impl Rules {
    pub(crate) fn without(fault: Fault, runtime: Runtime) -> Self {
        Self {
            fault,
            runtime,
            joinable: Arc::new(plain::Mutex::new(Vec::new())),
        }
    }

    fn lack(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

/// Windows and invalidations.
impl Rules {
    pub(crate) fn before_write<T>(&self, remove: impl FnOnce() -> T) -> Option<T> {
        (!self.lack(Fault::LateInvalidation)).then(remove)
    }

    pub(crate) fn after_write(&self, remove: impl FnOnce()) {
        if self.lack(Fault::LateInvalidation) {
            remove();
        }
    }

    pub(crate) fn unregistered<K, V>(
        &self,
        progress: &mut Progress<Arc<Flight<K, V>>>,
        load: Option<Arc<Flight<K, V>>>,
    ) where
        K: Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        if let Some(load) = load.filter(|_| self.lack(Fault::JoinedOlderLoad)) {
            self.joinable.lock().push(load.clone());
            progress.register(load);
        }
    }

    pub(crate) fn unregistered_by_bulk<K, V>(
        &self,
        progress: &mut Progress<Arc<Flight<K, V>>>,
        load: Option<Arc<Flight<K, V>>>,
    ) where
        K: Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.unregistered_unless(Fault::BulkLeavesLoads, progress, load);
    }

    /// A removal takes a load out, unless a fault leaves it registered.
    fn unregistered_unless<K, V>(
        &self,
        fault: Fault,
        progress: &mut Progress<Arc<Flight<K, V>>>,
        load: Option<Arc<Flight<K, V>>>,
    ) where
        K: Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        match load {
            Some(load) if self.lack(fault) => progress.register(load),
            load => self.unregistered(progress, load),
        }
    }

    /// A removal reaches the open writes of a key, unless a fault leaves them alone.
    fn reaches_unless<L: Clone>(&self, fault: Fault, progress: &Progress<L>) -> bool {
        !(self.lack(fault) && progress.is_open(false))
    }

    pub(crate) fn bulk_reaches<L: Clone>(&self, progress: &Progress<L>) -> bool {
        self.reaches_unless(Fault::BulkLeavesWindows, progress)
    }

    pub(crate) fn only_alone(&self, alone: bool) -> bool {
        alone || self.lack(Fault::ContendedStore)
    }

    pub(crate) fn detached<O, T>(
        &self,
        write: impl Future<Output = O> + Send + 'static,
        task: impl FnOnce(BoxFuture<'static, O>) -> T,
        spawn: impl FnOnce(T),
    ) -> BoxFuture<'static, ()>
    where
        O: Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        if !self.lack(Fault::CallerOwnsGuard) {
            spawn(task(write.boxed()));
            return ready(()).boxed();
        }
        // The write is spawned, and the task that holds its windows runs in the caller.
        let (sender, written) = oneshot::channel();
        let (given_up, write_given_up) = oneshot::channel::<()>();
        let runtime = self.runtime.clone();
        let write = async move {
            runtime.spawn(async move { drop(sender.send(write.await)) }.boxed());
            if let Ok(outcome) = written.await {
                return outcome;
            }
            drop(given_up);
            pending().await
        };
        let task = task(write.boxed()).boxed();
        select(task, write_given_up).map(drop).boxed()
    }

    pub(crate) fn open_while_unknown(
        &self,
        mut scopes: Vec<Box<dyn Scope>>,
    ) -> Vec<Box<dyn Scope>> {
        if self.lack(Fault::UnknownCloses) || self.lack(Fault::CallerOwnsGuard) {
            for mut scope in scopes.drain(..) {
                scope.close(Outcome::NotApplied);
            }
        }
        scopes
    }
}

/// Loads.
impl Rules {
    pub(crate) fn only_registered<K: Send + Sync + 'static, V: Send + Sync + 'static>(
        &self,
        flight: &Arc<Flight<K, V>>,
        current: bool,
    ) -> bool {
        let mut joinable = self.joinable.lock();
        let before = joinable.len();
        joinable.retain(|load| !std::ptr::addr_eq(Arc::as_ptr(load), Arc::as_ptr(flight)));
        self.lack(Fault::BlindStore) || current && joinable.len() == before
    }

    pub(crate) fn none_in_window<L>(&self, ask: Ask<L>) -> Ask<L> {
        match ask {
            Ask::Bypass if self.lack(Fault::LoadInsideWindow) => Ask::Start,
            ask => ask,
        }
    }

    pub(crate) fn second_look<T>(&self, found: Option<T>) -> Option<T> {
        found.filter(|_| !self.lack(Fault::OneLook))
    }

    pub(crate) fn share_queued<K, V>(&self, flight: &Flight<K, V>, loader: Loader<K, V>)
    where
        K: Clone + Send + 'static,
        V: Send + 'static,
    {
        if !self.lack(Fault::UnsharedPast) {
            return;
        }
        // Each reader's loader runs, one after the other.
        let mut queued = flight.loader.lock();
        let before = queued.take();
        *queued = Some(Box::new(move |keys: Vec<K>| {
            async move {
                if let Some(before) = before {
                    before(keys.clone()).await?;
                }
                loader(keys).await
            }
            .boxed()
        }));
    }

    pub(crate) fn stays_removed<T, U>(
        &self,
        gone: Option<T>,
        restore: impl FnOnce(T) -> U,
    ) -> Option<T> {
        if self.lack(Fault::RemovalUndone) {
            drop(gone.map(restore));
            return None;
        }
        gone
    }

    pub(crate) fn share_failure<K, V>(
        &self,
        key: &K,
        flight: Arc<Flight<K, V>>,
        loader: Loader<K, V>,
    ) -> Arc<Flight<K, V>>
    where
        K: Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        if !self.lack(Fault::FailureRepeated) {
            return flight;
        }
        let own = Flight::unregistered();
        let (landing, key) = (own.clone(), key.clone());
        let at = self.runtime.clock.now();
        let repeat = async move {
            let result = match flight.wait().await {
                Err(_) => loader(vec![key]).await.map(|rows| Loaded {
                    value: rows.into_iter().next().map(|(_, entry)| entry.value),
                    at,
                }),
                shared => shared,
            };
            landing.land(result);
        };
        self.runtime.spawn(repeat.boxed());
        own
    }
}

/// Absences, tags and leases.
impl Rules {
    pub(crate) fn counted<T>(&self, count: impl FnOnce() -> T) -> Option<T> {
        (!self.lack(Fault::UncountedCreates)).then(count)
    }

    pub(crate) fn only_of_generation(&self, same: bool) -> bool {
        same || self.lack(Fault::OldAbsence)
    }

    pub(crate) fn only_since_tags(&self, same: bool) -> bool {
        same || self.lack(Fault::JoinedOverTag)
    }

    pub(crate) fn only_with_valid_tags(&self, valid: bool) -> bool {
        valid || self.lack(Fault::BlindTag)
    }

    pub(crate) fn per_change(&self) -> u64 {
        let is_counted = !self.lack(Fault::ChangesUncounted) && !self.lack(Fault::CountedLate);
        u64::from(is_counted)
    }

    pub(crate) fn per_change_late(&self) -> u64 {
        u64::from(self.lack(Fault::CountedLate))
    }
}

/// Writes of other processes.
impl Rules {
    pub(crate) fn served_until(&self, until: Nanos) -> Nanos {
        if self.lack(Fault::ServedUnreported) {
            return Nanos::MAX;
        }
        until
    }

    pub(crate) fn only_current(&self, current: bool) -> bool {
        current || self.lack(Fault::JoinedUnreported)
    }

    pub(crate) fn unstored_removes(&self) -> bool {
        !self.lack(Fault::UnstoredLeavesValue)
    }

    pub(crate) fn elsewhere_reaches<L: Clone>(&self, progress: &Progress<L>) -> bool {
        self.reaches_unless(Fault::ElsewhereLeavesWindows, progress)
    }

    pub(crate) fn unregistered_elsewhere<K, V>(
        &self,
        progress: &mut Progress<Arc<Flight<K, V>>>,
        load: Option<Arc<Flight<K, V>>>,
    ) where
        K: Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        self.unregistered_unless(Fault::ElsewhereLeavesLoads, progress, load);
    }
}

/// Tails. A floor of 0 raises nothing.
impl Rules {
    pub(crate) fn floor_of_write(&self, seq: u64) -> u64 {
        self.floor_without(Fault::FloorNotRaisedByWrites, seq)
    }

    pub(crate) fn floor_of_read(&self, seq: u64) -> u64 {
        self.floor_without(Fault::FloorNotRaisedByReads, seq)
    }

    pub(crate) fn floor_during_fill(&self, seq: u64) -> u64 {
        self.floor_without(Fault::FloorForgotten, seq)
    }

    fn floor_without(&self, fault: Fault, seq: u64) -> u64 {
        if self.lack(fault) { 0 } else { seq }
    }

    pub(crate) fn before_fill<C: Fold>(&self, log: &mut Log<C, C::Entry>) {
        if self.lack(Fault::BlindFill) {
            *log = Log::unfilled(0);
        }
    }

    pub(crate) fn collect_during_fill<T>(&self, filling: T) -> Option<T> {
        (!self.lack(Fault::FillMissesArrivals)).then_some(filling)
    }
}
