//! A flight: one load in progress, and the readers that wait for it.

use std::{
    future::{Future, poll_fn},
    task::{Context, Poll, Waker},
};

use slab::Slab;

use super::{
    limits::LoadLimits,
    loader::{LoadResult, Loader},
};
use crate::{
    clock::Nanos,
    nesting,
    sync::{Arc, Mutex},
};

/// One load in progress. It lands once, and wakes every reader that waits for it.
pub(crate) struct Flight<K, V> {
    /// The counts of the region when a registered load began.
    pub(crate) began: Began,
    /// The loader of a queued bypassing load, until the load begins.
    pub(crate) loader: Mutex<Option<Loader<K, V>>>,
    /// The marks of the reader that queued a bypassing load.
    pub(super) marks: Vec<u64>,
    /// The limits of a queued bypassing load.
    pub(super) limits: LoadLimits,
    /// A value that collects the entries appended during the load; see
    /// [`Fills`](super::state::Fills).
    pub(crate) filling: Option<V>,
    landing: Mutex<Landing<V>>,
}

/// The counts of a region when a load began, by which its result is judged when it ends.
#[derive(Clone, Copy, Default)]
pub(crate) struct Began {
    /// The create generation.
    pub(crate) generation: u64,
    /// The number of invalidations of tags.
    pub(crate) tags: u64,
    /// The time at which the load was registered. It reads the source later.
    pub(crate) at: Nanos,
    /// The load is a [`Ticket`](super::ticket::Ticket): no reader waits for it.
    pub(crate) is_ticket: bool,
}

struct Landing<V> {
    result: Option<LoadResult<V>>,
    wakers: Slab<Waker>,
}

impl<K, V: Clone> Flight<K, V> {
    /// Returns a flight to be registered in the in-progress map.
    pub(crate) fn registered(began: Began, filling: Option<V>) -> Arc<Self> {
        Self::new(began, None, filling)
    }

    /// Returns a flight to be queued for bypassing the cache.
    pub(super) fn queued(loader: Loader<K, V>, limits: LoadLimits) -> Arc<Self> {
        Self::with(Began::default(), Some(loader), None, limits)
    }

    /// Returns a flight that only the caller's readers can join.
    pub(crate) fn unregistered() -> Arc<Self> {
        Self::new(Began::default(), None, None)
    }

    fn new(began: Began, loader: Option<Loader<K, V>>, filling: Option<V>) -> Arc<Self> {
        Self::with(began, loader, filling, LoadLimits::USUAL)
    }

    fn with(
        began: Began,
        loader: Option<Loader<K, V>>,
        filling: Option<V>,
        limits: LoadLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            began,
            marks: if loader.is_some() {
                nesting::marks()
            } else {
                Vec::new()
            },
            loader: Mutex::new(loader),
            filling,
            landing: Mutex::new(Landing {
                result: None,
                wakers: Slab::new(),
            }),
        })
    }

    /// Ends the flight with its result and wakes its readers. A second result is ignored.
    pub(crate) fn land(&self, result: LoadResult<V>) {
        let wakers = {
            let mut landing = self.landing.lock();
            landing.result.get_or_insert(result);
            std::mem::take(&mut landing.wakers)
        };
        // After the lock: a waker may run the reader at once.
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// Returns `true` if the flight has ended.
    pub(crate) fn has_landed(&self) -> bool {
        self.landing.lock().result.is_some()
    }

    /// Waits until the flight has landed and returns its result.
    pub(crate) fn wait(self: Arc<Self>) -> impl Future<Output = LoadResult<V>> + Send
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        let mut waiter = Waiter {
            flight: self,
            slot: None,
        };
        poll_fn(move |context| waiter.poll(context))
    }
}

/// A reader that waits. Dropping it takes its waker out of the flight, so that a long load does not
/// keep the tasks of readers that went away.
struct Waiter<K, V> {
    flight: Arc<Flight<K, V>>,
    slot: Option<usize>,
}

impl<K, V: Clone> Waiter<K, V> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<LoadResult<V>> {
        let mut landing = self.flight.landing.lock();
        if let Some(result) = &landing.result {
            return Poll::Ready(result.clone());
        }
        match self.slot.and_then(|slot| landing.wakers.get_mut(slot)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.slot = Some(landing.wakers.insert(context.waker().clone())),
        }
        Poll::Pending
    }
}

impl<K, V> Drop for Waiter<K, V> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else {
            return;
        };
        // Nothing is there if the flight has landed.
        let waker = self.flight.landing.lock().wakers.try_remove(slot);
        // Dropped after the lock: dropping a waker may run code of the executor.
        drop(waker);
    }
}
