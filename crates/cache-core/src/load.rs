//! Loads: tasks of their own, under a permit and a timeout, that end for every key whatever happens to them.

use std::{error::Error, hash::Hash};

use futures_util::FutureExt;

use crate::{
    clock::Nanos,
    flight::{Flight, LoadError, Loader, Rows},
    region::{Key, Region},
    shared::Ended,
    sync::Arc,
};

/// A key, its flight, and whether the flight stands in the in-progress map.
pub(crate) type Part<K, V> = (K, Arc<Flight<K, V>>, bool);

/// One run of a loader for the keys that it was asked for.
pub(crate) struct Batch<K: Key, V: Clone + Send + Sync + 'static> {
    region: Region<K, V>,
    parts: Vec<Part<K, V>>,
    loader: Option<Loader<K, V>>,
    refresh: bool,
}

pub(crate) fn erase<K, V, F, Fut, E>(load: F) -> Loader<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    F: FnOnce(Vec<K>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    Box::new(move |keys| {
        async move {
            load(keys)
                .await
                .map_err(|error| LoadError::Failed(Arc::new(error)))
        }
        .boxed()
    })
}

impl<K: Key, V: Clone + Send + Sync + 'static> Batch<K, V> {
    pub(crate) fn new(region: Region<K, V>, parts: Vec<Part<K, V>>, loader: Loader<K, V>) -> Self {
        Self {
            region,
            parts,
            loader: Some(loader),
            refresh: false,
        }
    }

    pub(crate) fn refreshing(mut self) -> Self {
        self.refresh = true;
        self
    }

    /// Loads and ends the flights. A refresh needs no permit.
    pub(crate) async fn run(mut self, with_permit: bool) {
        let shared = self.region.0.shared.clone();
        let _permit = if with_permit {
            shared.load_permits.clone().acquire_owned().await.ok()
        } else {
            None
        };
        let Some(loader) = self.loader.take() else {
            return;
        };
        let at = shared.runtime.clock.now();
        let keys = self.parts.iter().map(|(key, _, _)| key.clone()).collect();
        let rows = run(&self.region, loader, keys).await;
        self.land(rows, at);
    }

    fn land(&mut self, rows: Rows<K, V>, at: Nanos) {
        let mut rows = rows.map(|rows| {
            rows.into_iter()
                .collect::<std::collections::HashMap<K, V>>()
        });
        for (key, flight, stands) in self.parts.drain(..) {
            let loaded = match &mut rows {
                Ok(rows) => Ok((rows.remove(&key), at)),
                Err(error) => Err(error.clone()),
            };
            self.region
                .0
                .end(&key, &flight, loaded, stands, self.refresh);
        }
    }
}

/// A task that is dropped unfinished fails its flights, so that nobody waits for ever.
impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Batch<K, V> {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            self.land(Err(LoadError::GivenUp), 0);
        }
    }
}

async fn run<K: Key, V: Clone + Send + Sync + 'static>(
    region: &Region<K, V>,
    loader: Loader<K, V>,
    keys: Vec<K>,
) -> Rows<K, V> {
    let inner = &*region.0;
    inner.counters.loads.one();
    let rows = match inner
        .shared
        .bounded(async { loader(keys).await }, inner.shared.load_timeout)
        .await
    {
        Ended::With(rows) => rows,
        Ended::TimedOut => Err(LoadError::TimedOut),
        Ended::Panicked => Err(LoadError::Panicked),
    };
    match &rows {
        Ok(rows) => {
            tracing::debug!(target: "cache", region = inner.name, rows = rows.len(), "load");
        }
        Err(error) => {
            inner.counters.load_failures.one();
            tracing::debug!(target: "cache", region = inner.name, %error, "load failed");
        }
    }
    rows
}

/// Runs the line of loads past the cache of one key, one at a time, until it is empty.
pub(crate) fn run_line<K: Key, V: Clone + Send + Sync + 'static>(
    region: Region<K, V>,
    key: K,
) -> impl Future<Output = ()> + Send {
    // Made here, so that a task that is dropped before its first poll fails who waits, too.
    let mut line = Line {
        region,
        key,
        current: None,
        ended: false,
    };
    async move {
        let shared = line.region.0.shared.clone();
        let _permit = shared.load_permits.clone().acquire_owned().await.ok();
        while let Some(flight) = line.next() {
            let Some(loader) = flight.loader.lock().take() else {
                break;
            };
            line.region.0.counters.past_loads.one();
            let at = shared.runtime.clock.now();
            let rows = run(&line.region, loader, vec![line.key.clone()]).await;
            flight.land(rows.map(|rows| (rows.into_iter().next().map(|(_, value)| value), at)));
        }
    }
}

struct Line<K: Key, V: Clone + Send + Sync + 'static> {
    region: Region<K, V>,
    key: K,
    current: Option<Arc<Flight<K, V>>>,
    ended: bool,
}

impl<K: Key + Hash, V: Clone + Send + Sync + 'static> Line<K, V> {
    /// The next flight, which nobody joins from here on.
    fn next(&mut self) -> Option<Arc<Flight<K, V>>> {
        let mut stripe = self.region.0.stripe(&self.key);
        let next = stripe
            .keys
            .get_mut(&self.key)
            .and_then(crate::progress::Progress::next_past);
        stripe.forget_idle(&self.key);
        self.ended = next.is_none();
        self.current.clone_from(&next);
        next
    }
}

/// A line that is dropped unfinished fails who waits in it.
impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Line<K, V> {
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
