//! What the cache takes from outside: a clock and a way to spawn tasks.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::{clock::Clock, sync::Arc};

/// A clock and a way to spawn tasks.
#[derive(Clone)]
pub struct Runtime {
    /// Decides freshness, and waits.
    pub clock: Clock,
    spawn: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
}

impl Runtime {
    /// The tokio runtime that this is called in, with real time.
    pub fn tokio() -> Self {
        Self::tokio_with(Clock::real())
    }

    /// The tokio runtime that this is called in, with a clock of the caller's.
    pub fn tokio_with(clock: Clock) -> Self {
        let handle = tokio::runtime::Handle::current();
        Self::new(clock, move |task| drop(handle.spawn(task)))
    }

    /// Any executor. A task that `spawn` drops unfinished fails its load, or leaves its write to be settled.
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
