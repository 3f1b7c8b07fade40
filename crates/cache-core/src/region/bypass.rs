//! The bypass queue of one key: one load runs, and one more is queued.

use super::{
    flight::Flight, install::Row, load, loader::LoadFailure, policy::Key, state::RegionState,
};
use crate::{protocol::progress::Progress, sync::Arc};

/// Runs the queued loads of one key, one at a time, until none is left.
pub(crate) fn run<K: Key, V: Clone + Send + Sync + 'static>(
    region: Arc<RegionState<K, V>>,
    key: K,
) -> impl Future<Output = ()> + Send {
    // Created before the first poll: dropping the task unpolled must fail the readers, too.
    let mut queue = BypassQueue {
        region,
        key,
        current: None,
        ended: false,
    };
    async move { queue.run().await }
}

/// The task that runs the queue. If it is dropped, it fails the readers that wait in the queue.
struct BypassQueue<K: Key, V: Clone + Send + Sync + 'static> {
    region: Arc<RegionState<K, V>>,
    key: K,
    current: Option<Arc<Flight<K, V>>>,
    ended: bool,
}

impl<K: Key, V: Clone + Send + Sync + 'static> BypassQueue<K, V> {
    async fn run(&mut self) {
        while let Some(flight) = self.next() {
            let Some(loader) = flight.loader.lock().take() else {
                break;
            };
            self.region.counters.past_loads.one();
            let keys = vec![self.key.clone()];
            let marks = flight.marks.clone();
            // Besides this function and `current`. No reader joins any more.
            let is_awaited = || Arc::strong_count(&flight) > 2;
            let limits = flight.limits;
            let result = load::run(&self.region, loader, keys, limits, marks, is_awaited).await;
            let value = result.map(|(at, rows)| {
                let entry = rows.into_iter().next().map(|(_, entry)| entry);
                Row::of(entry, at).loaded
            });
            flight.land(self.region.unstored(&self.key, value));
        }
    }

    /// Takes the next flight, which no reader joins from now on: its load may read the source
    /// before a reader that comes later has begun.
    fn next(&mut self) -> Option<Arc<Flight<K, V>>> {
        // Before the lock, because it may drop a value of the user.
        self.current = None;
        let mut stripe = self.region.stripe(&self.key);
        let next = stripe
            .keys
            .get_mut(&self.key)
            .and_then(Progress::next_bypass);
        self.ended = next.is_none();
        self.current.clone_from(&next);
        // Last, because it calls code of the key: if that panics, the flight is known.
        stripe.forget_idle(&self.key);
        next
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Drop for BypassQueue<K, V> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut flights: Vec<_> = self.current.take().into_iter().collect();
        while let Some(flight) = self.next() {
            flights.push(flight);
        }
        for flight in flights {
            flight.land(Err(LoadFailure::GivenUp));
        }
    }
}
