//! What a read does when it finds nothing: it joins a load, starts one, or loads past the cache.

use std::{collections::HashMap, error::Error};

use futures_util::FutureExt;

use crate::{
    flight::{Flight, LoadError, Loader},
    load::{self, Batch, Part},
    progress::{Ask, AskPast},
    region::{Key, Read, Region, Source},
    shared::Fault,
    sync::Arc,
};

pub(crate) enum Step<K, V> {
    Found(Read<V>),
    Wait(Arc<Flight<K, V>>, Source),
}

/// What the in-progress map has for a reader.
enum Entered<K, V> {
    Found(Read<V>),
    Join(Arc<Flight<K, V>>),
    /// This load stands from now on; the reader is to run it.
    Start(Arc<Flight<K, V>>),
    Past,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    pub(crate) fn step(&self, key: &K, loader: Loader<K, V>) -> Step<K, V> {
        let inner = &*self.0;
        if let Some((read, refresh)) = inner.find(key) {
            inner.hit(key);
            if refresh {
                self.refresh(key, loader);
            }
            return Step::Found(read);
        }
        let (flight, source) = match self.enter(key) {
            Entered::Found(read) => {
                inner.hit(key);
                return Step::Found(read);
            }
            Entered::Join(flight) if inner.shared.faults.is(Fault::FailureRepeated) => {
                (self.join_or_repeat(key, flight, loader), Source::Joined)
            }
            Entered::Join(flight) => (flight, Source::Joined),
            Entered::Start(flight) => {
                inner.shared.spawn(
                    Batch::new(
                        self.clone(),
                        vec![(key.clone(), flight.clone(), true)],
                        loader,
                    )
                    .run(true),
                );
                (flight, Source::Loaded)
            }
            Entered::Past => (self.past(key, loader), Source::DuringWrite),
        };
        inner.miss(key);
        Step::Wait(flight, source)
    }

    pub(crate) fn step_many<F, Fut, E>(&self, keys: &[K], load: F) -> Vec<Step<K, V>>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let inner = &*self.0;
        let mut parts: Vec<Part<K, V>> = Vec::new();
        let mut begun = HashMap::new();
        let mut steps = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some((read, _)) = inner.find(key) {
                inner.hit(key);
                steps.push(Step::Found(read));
                continue;
            }
            // A key named twice waits for the load of this batch, which nobody has polled yet.
            if let Some((flight, source)) = begun.get(key) {
                inner.miss(key);
                steps.push(Step::Wait(Arc::clone(flight), *source));
                continue;
            }
            let (flight, source, stands) = match self.enter(key) {
                Entered::Found(read) => {
                    inner.hit(key);
                    steps.push(Step::Found(read));
                    continue;
                }
                Entered::Join(flight) => {
                    inner.miss(key);
                    steps.push(Step::Wait(flight, Source::Joined));
                    continue;
                }
                Entered::Start(flight) => (flight, Source::Loaded, true),
                Entered::Past => (
                    Flight::new(inner.creates().generation(), None, None),
                    Source::DuringWrite,
                    false,
                ),
            };
            inner.miss(key);
            parts.push((key.clone(), flight.clone(), stands));
            begun.insert(key, (flight.clone(), source));
            steps.push(Step::Wait(flight, source));
        }
        if !parts.is_empty() {
            inner
                .shared
                .spawn(Batch::new(self.clone(), parts, load::erase(load)).run(true));
        }
        steps
    }

    /// Under the stripe's lock: what a reader that found nothing is to do.
    fn enter(&self, key: &K) -> Entered<K, V> {
        let inner = &*self.0;
        let mut stripe = inner.stripe(key);
        // Somebody may have stored it since.
        if let Some((read, _)) = inner.find(key)
            && !inner.shared.faults.is(Fault::OneLook)
        {
            return Entered::Found(read);
        }
        let creates = inner.creates();
        let region_open = stripe.region_open > 0;
        let progress = stripe.keys.entry(key.clone()).or_default();
        let is_open =
            (region_open || creates.is_open()) && !inner.shared.faults.is(Fault::LoadInsideWindow);
        match progress.ask(is_open, |flight| creates.joins(flight.generation)) {
            Ask::Join(flight) => {
                inner.counters.joins.one();
                Entered::Join(flight)
            }
            Ask::Start => {
                let flight = inner.flight(key, creates.generation());
                progress.start(flight.clone());
                Entered::Start(flight)
            }
            Ask::Past if inner.shared.faults.is(Fault::LoadInsideWindow) => {
                let flight = inner.flight(key, creates.generation());
                progress.start(flight.clone());
                Entered::Start(flight)
            }
            Ask::Past => {
                stripe.forget_idle(key);
                Entered::Past
            }
        }
    }

    /// A load past the cache: the one in line that nobody has polled yet, or a new one.
    fn past(&self, key: &K, loader: Loader<K, V>) -> Arc<Flight<K, V>> {
        let inner = &*self.0;
        let generation = inner.creates().generation();
        if inner.shared.faults.is(Fault::UnsharedPast) {
            let flight = Flight::new(generation, None, None);
            inner.shared.spawn(
                Batch::new(
                    self.clone(),
                    vec![(key.clone(), flight.clone(), false)],
                    loader,
                )
                .run(true),
            );
            return flight;
        }
        let mut stripe = inner.stripe(key);
        let progress = stripe.keys.entry(key.clone()).or_default();
        let line = match progress.ask_past() {
            AskPast::Join(flight) => return flight,
            line @ (AskPast::Wait | AskPast::Run) => line,
        };
        let flight = Flight::new(generation, Some(loader), None);
        progress.wait_past(flight.clone());
        drop(stripe);
        if matches!(line, AskPast::Run) {
            inner
                .shared
                .spawn(load::run_line(self.clone(), key.clone()));
        }
        flight
    }

    /// A planted fault: a load of the reader's own, if the one that it joins fails.
    fn join_or_repeat(
        &self,
        key: &K,
        joined: Arc<Flight<K, V>>,
        loader: Loader<K, V>,
    ) -> Arc<Flight<K, V>> {
        let own = Flight::new(joined.generation, None, None);
        let (flight, batch) = (
            own.clone(),
            Batch::new(
                self.clone(),
                vec![(key.clone(), own.clone(), false)],
                loader,
            ),
        );
        self.0.shared.spawn(async move {
            match joined.wait().await {
                Err(_) => batch.run(true).await,
                whole => flight.land(whole),
            }
        });
        own
    }

    /// Starts a load in the background, unless a write is open or a load stands. The value stays readable.
    fn refresh(&self, key: &K, loader: Loader<K, V>) {
        let inner = &*self.0;
        let mut stripe = inner.stripe(key);
        let creates = inner.creates();
        let region_open = stripe.region_open > 0;
        let progress = stripe.keys.entry(key.clone()).or_default();
        if creates.is_open() || progress.is_open(region_open) || progress.load().is_some() {
            stripe.forget_idle(key);
            return;
        }
        let flight = inner.flight(key, creates.generation());
        progress.start(flight.clone());
        drop(stripe);
        inner.shared.spawn(
            Batch::new(self.clone(), vec![(key.clone(), flight, true)], loader)
                .refreshing()
                .run(false),
        );
    }
}

/// A loader of one key.
pub(crate) fn one<K, V, F, Fut, E>(key: K, load: F) -> Loader<K, V>
where
    K: Send + 'static,
    V: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    Box::new(move |_| {
        async move {
            let value = load()
                .await
                .map_err(|error| LoadError::Failed(Arc::new(error)))?;
            Ok(value.map(|value| (key, value)).into_iter().collect())
        }
        .boxed()
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{
        Clock, Manager, Policy, Runtime,
        sync::{AtomicUsize, Ordering},
    };

    /// A reader that found the value just before.
    #[test]
    fn no_refresh_starts_while_the_region_is_written() {
        let spawned = Arc::new(AtomicUsize::new(0));
        let counted = spawned.clone();
        let count = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        let manager = Manager::builder(Runtime::new(Clock::manual().0, count)).build();
        let numbers: Region<u64, u64> = manager.region(
            "numbers",
            Policy::new(std::time::Duration::from_mins(1), 10),
        );
        let refresh = || {
            numbers.refresh(&7, one(7, || async { Ok::<_, Infallible>(Some(7)) }));
            spawned.load(Ordering::SeqCst)
        };
        numbers.0.stripe(&7).region_open += 1;
        assert_eq!(refresh(), 0);
        numbers.0.stripe(&7).region_open -= 1;
        assert_eq!(refresh(), 1);
    }
}
