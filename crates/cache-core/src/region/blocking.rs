//! Reads that block their thread, for callers without an executor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Region,
    entry::Entry,
    flight::Flight,
    install::Row,
    loader::{LoadError, LoadFailure, LoaderError},
    miss::{Decision, Next},
    policy::Key,
    read::{Read, Source},
    state::RegionState,
};
use crate::{block_on::block_on, context::Ended, nesting, sync::Arc};

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns the value as [`Region::get_or_load`] does, and blocks the thread meanwhile. The load
    /// runs on this thread, so that no executor is needed, no timeout ends it, and no value is
    /// refreshed ahead. The load timeout bounds the wait for a permit. Readers of both kinds share
    /// the load; [`Request::timeout`] bounds the wait of those that are asynchronous. While a write
    /// of the key is open, and while the region is switched off, each caller loads for itself.
    ///
    /// [`Request::timeout`]: crate::Request::timeout
    ///
    /// Do not call it in asynchronous code, whose thread has other tasks to run.
    ///
    /// ```
    /// use std::{fs, io, time::Duration};
    /// use cache_core::{LoadError, Manager, Policy, Runtime, Unknown};
    /// # fn main() -> Result<(), LoadError<io::Error>> {
    /// let manager = Manager::new(Runtime::threads(), Unknown::Never);
    /// let policy = Policy::new(Duration::from_secs(60), 100);
    /// let files = manager.region::<String, String>("files", policy);
    /// let read = || fs::read_to_string("Cargo.toml").map(Some);
    /// let file = files.get_or_load_blocking("Cargo.toml".to_owned(), read)?;
    /// assert!(file.value.is_some_and(|text| text.contains("[package]")));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Region::get_or_load`].
    pub fn get_or_load_blocking<E: LoaderError>(
        &self,
        key: K,
        load: impl FnOnce() -> Result<Option<V>, E>,
    ) -> Result<Read<V>, LoadError<E>> {
        let load = || load().map(|value| value.map(Entry::new));
        let state = &self.state;
        if !self.is_enabled() {
            state.counters.bypasses.one();
            if state.is_within_load(&key) {
                return Err(LoadError::Nested);
            }
            let result = state.run_here(&key, load);
            let loaded = state.unstored(&key, result.map(|row| row.loaded));
            let loaded = loaded.map_err(LoadFailure::typed)?;
            return Ok(state.read_of(loaded, Source::Bypass));
        }
        let next = match state.find(&key) {
            Some(found) => Next::Return(found.read),
            // Before the loader runs: it would read its own key again without end.
            _ if state.is_within_load(&key) => return Err(LoadError::Nested),
            _ => state.load_here(&key, load),
        };
        match next {
            Next::Return(read) => {
                state.count_found(&key, &read);
                Ok(read)
            }
            Next::Wait(flight, source) => {
                let result = block_on(flight.wait());
                state
                    .answer(&key, result, source)
                    .map_err(LoadFailure::typed)
            }
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Joins a load, or runs one on this thread.
    fn load_here<E: LoaderError>(
        self: &Arc<Self>,
        key: &K,
        load: impl FnOnce() -> Result<Option<Entry<V>>, E>,
    ) -> Next<K, V> {
        let (flight, source) = match self.decide(key) {
            Decision::Found(found) => return Next::Return(found.read),
            Decision::Join(flight) => (flight, Source::Joined),
            Decision::Start(part) => {
                let flight = part.flight.clone();
                let result = self.run_here(key, load);
                part.end(self, result);
                (flight, Source::Loaded)
            }
            Decision::Bypass => {
                let flight = Flight::unregistered();
                let result = self.run_here(key, load);
                flight.land(self.unstored(key, result.map(|row| row.loaded)));
                (flight, Source::DuringWrite)
            }
        };
        self.count_miss(Some(key));
        Next::Wait(flight, source)
    }

    /// Runs a loader on this thread, under a permit. Its panic is a failure.
    fn run_here<E: LoaderError>(
        &self,
        key: &K,
        load: impl FnOnce() -> Result<Option<Entry<V>>, E>,
    ) -> Result<Row<V>, LoadFailure> {
        let run = || {
            let context = &self.context;
            let timeout = self.policy.load_timeout;
            let timeout = timeout.unwrap_or(context.limits.load_timeout);
            let _admission = match block_on(context.bounded(self.gate().admit(), timeout)) {
                Ended::With(admission) => admission.map_err(|_| LoadFailure::Overloaded)?,
                Ended::TimedOut | Ended::Panicked => return Err(LoadFailure::TimedOut),
            };
            self.counters.loads.one();
            // Before the loader runs: its value may be as old as this.
            let at = self.clock.now();
            let mut marks = self.marks(std::slice::from_ref(key));
            marks.push(self.gate().mark());
            let entry = nesting::within_here(&marks, load).map_err(LoadFailure::failed)?;
            Ok(Row::of(entry, at))
        };
        let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(LoadFailure::Panicked));
        self.count_load(
            result
                .as_ref()
                .map(|row| usize::from(row.loaded.value.is_some())),
        );
        result
    }
}
