//! A flight: one load in progress, and the readers that wait for it.

use std::{
    future::{Future, poll_fn},
    task::{Poll, Waker},
};

use super::loader::{LoadResult, Loader};
use crate::sync::{Arc, Mutex};

/// One load in progress. It lands once, and wakes every reader that waits for it.
pub(crate) struct Flight<K, V> {
    /// The create generation of the region when a registered load began.
    pub(crate) generation: u64,
    /// The loader of a queued bypassing load, until the load begins.
    pub(crate) loader: Mutex<Option<Loader<K, V>>>,
    /// A value that collects the entries appended during the load; see
    /// [`Fills`](super::state::Fills).
    pub(crate) filling: Option<V>,
    landing: Mutex<Landing<V>>,
}

struct Landing<V> {
    result: Option<LoadResult<V>>,
    wakers: Vec<Waker>,
}

impl<K, V: Clone> Flight<K, V> {
    /// Returns a flight to be registered in the in-progress map.
    pub(crate) fn registered(generation: u64, filling: Option<V>) -> Arc<Self> {
        Self::new(generation, None, filling)
    }

    /// Returns a flight to be queued for bypassing the cache.
    pub(crate) fn queued(loader: Loader<K, V>) -> Arc<Self> {
        Self::new(0, Some(loader), None)
    }

    /// Returns a flight that only the caller's readers can join.
    pub(crate) fn unregistered() -> Arc<Self> {
        Self::new(0, None, None)
    }

    fn new(generation: u64, loader: Option<Loader<K, V>>, filling: Option<V>) -> Arc<Self> {
        Arc::new(Self {
            generation,
            loader: Mutex::new(loader),
            filling,
            landing: Mutex::new(Landing {
                result: None,
                wakers: Vec::new(),
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
        for waker in wakers {
            waker.wake();
        }
    }

    /// Waits until the flight has landed and returns its result.
    pub(crate) fn wait(self: Arc<Self>) -> impl Future<Output = LoadResult<V>> + Send
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        let mut position: Option<usize> = None;
        poll_fn(move |context| {
            let mut landing = self.landing.lock();
            if let Some(result) = &landing.result {
                return Poll::Ready(result.clone());
            }
            if let Some(position) = position {
                landing.wakers[position].clone_from(context.waker());
            } else {
                position = Some(landing.wakers.len());
                landing.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}
