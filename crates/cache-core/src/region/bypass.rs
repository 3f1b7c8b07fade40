//! Reads that bypass the cache, and the bypass queue of one key: one load runs, and one more is
//! queued.

use std::error::Error;

use super::{
    Region,
    flight::Flight,
    load::{self, Permit},
    loader::{self, LoadError, Loaded},
    policy::Key,
    read::{Read, Source},
    state::RegionState,
};
use crate::{protocol::progress::Progress, sync::Arc};

/// Reads that bypass the cache.
impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns the value from the source. Stores nothing, and counts neither hit nor miss.
    ///
    /// The load is a task under a permit and the load timeout. Of the loads that bypass the cache
    /// for one key, one runs at a time; callers that begin before the next one does share it.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let load = || async { Ok::<_, Infallible>(Some("Ada")) };
    /// assert_eq!(names.bypass(7, load).await?.value, Some("Ada"));
    /// assert_eq!(names.get(&7), None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason why the load failed.
    pub async fn bypass<F, Fut, E>(&self, key: K, load: F) -> Result<Read<V>, LoadError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        self.state.counters.bypasses.one();
        if self.state.is_within_load(&key) {
            return Err(LoadError::Nested);
        }
        let flight = self.state.bypass(&key, loader::one(key.clone(), load));
        let loaded = flight.wait().await?;
        Ok(self.state.read_of(loaded, Source::Bypass))
    }

    /// Returns many values from the source, as [`Region::bypass`] does for one. The batch is one
    /// load.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::{convert::Infallible, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), LoadError> {
    /// # let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// let load = |_| async { Ok::<_, Infallible>(vec![(7, "Ada")]) };
    /// let reads = names.bypass_many(&[7, 8], load).await?;
    /// assert_eq!((reads[0].value, reads[1].value), (Some("Ada"), None));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the reason why the load failed.
    pub async fn bypass_many<F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Read<V>>, LoadError>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        self.state.counters.bypasses.one();
        let flights = self.state.bypass_many(keys, loader::many(load));
        let mut reads = Vec::with_capacity(keys.len());
        for flight in flights {
            let loaded = flight.wait().await?;
            reads.push(self.state.read_of(loaded, Source::Bypass));
        }
        Ok(reads)
    }
}

/// Runs the queued loads of one key, one at a time, until there is none.
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
            let result = load::run(
                &self.region,
                loader,
                keys,
                Permit::Needed,
                marks,
                is_awaited,
            );
            let result = result.await;
            flight.land(result.map(|(at, rows)| Loaded {
                value: rows.into_iter().next().map(|(_, value)| value),
                at,
            }));
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
            flight.land(Err(LoadError::GivenUp));
        }
    }
}
