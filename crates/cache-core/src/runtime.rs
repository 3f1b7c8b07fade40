//! [`Runtime`], the clock and the function that spawns tasks for a cache.

use std::{fmt, thread};

use futures_util::future::BoxFuture;

use crate::{block_on::block_on, clock::Clock, sync::Arc};

/// A clock and a function that spawns tasks. Clones share both.
#[derive(Clone)]
pub struct Runtime {
    /// The clock that decides freshness and measures timeouts.
    pub clock: Clock,
    spawn: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
}

impl Runtime {
    /// Returns the current tokio runtime with real time.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn tokio() -> Self {
        Self::tokio_with(Clock::real())
    }

    /// Returns the current tokio runtime with the given clock.
    ///
    /// ```
    /// # use cache_core::{Clock, Runtime};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let (clock, hand) = Clock::manual();
    /// let runtime = Runtime::tokio_with(clock);
    /// hand.advance(std::time::Duration::from_secs(1));
    /// assert_eq!(runtime.clock.now(), 1_000_000_000);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn tokio_with(clock: Clock) -> Self {
        let handle = tokio::runtime::Handle::current();
        Self::new(clock, move |task| drop(handle.spawn(task)))
    }

    /// Returns a runtime that runs each task on a thread of its own, with real time. It suits
    /// callers without an executor, whose loads and writes run on their own threads: see
    /// [`Region::get_or_load_blocking`](crate::Region::get_or_load_blocking) and
    /// [`WriteGuard::run_blocking`](crate::WriteGuard::run_blocking).
    pub fn threads() -> Self {
        Self::new(Clock::real(), |task| {
            // If the system has no thread left, the task is dropped, as by any other executor.
            let thread = thread::Builder::new().name("cache".into());
            drop(thread.spawn(|| block_on(task)));
        })
    }

    /// Returns a runtime that spawns tasks with `spawn`, on any executor.
    ///
    /// If `spawn` drops a task unfinished, its load fails with
    /// [`LoadError::GivenUp`](crate::LoadError::GivenUp); a write then is of unknown outcome.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use cache_core::{Clock, Runtime};
    /// let tasks = Arc::new(Mutex::new(Vec::new()));
    /// let queue = tasks.clone();
    /// let runtime = Runtime::new(Clock::real(), move |task| queue.lock().unwrap().push(task));
    /// # drop(runtime);
    /// ```
    pub fn new(
        clock: Clock,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock,
            spawn: Arc::new(spawn),
        }
    }

    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        (self.spawn)(task);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
