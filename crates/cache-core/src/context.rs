//! The parts that all regions and guards of one manager share: runtime, limits, permits and rules.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    rules::Rules,
    runtime::Runtime,
    sync::{Arc, Permits},
};

/// The timeouts and permits of a manager.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) load_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// How many loads may run at a time.
    pub(crate) loads: usize,
    /// How many writes may run at a time.
    pub(crate) writes: usize,
}

pub(crate) struct Context {
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    pub(crate) load_permits: Arc<Permits>,
    pub(crate) write_permits: Arc<Permits>,
    /// Every task of the manager, so that a shutdown can wait for them.
    pub(crate) tracker: TaskTracker,
    pub(crate) rules: Rules,
}

/// The way in which a piece of work with a timeout ended.
pub(crate) enum Ended<T> {
    With(T),
    TimedOut,
    Panicked,
}

impl Context {
    pub(crate) fn new(runtime: Runtime, limits: Limits, rules: Rules) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            load_permits: Arc::new(Permits::new(limits.loads)),
            write_permits: Arc::new(Permits::new(limits.writes)),
            limits,
            tracker: TaskTracker::new(),
            rules,
        })
    }

    /// Spawns a task in the caller's span. A shutdown waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime
            .spawn(self.tracker.track_future(task.in_current_span()).boxed());
    }

    /// Runs `work` until it ends, panics or times out.
    pub(crate) async fn bounded<T>(
        &self,
        work: impl Future<Output = T> + Send,
        timeout: Duration,
    ) -> Ended<T> {
        let work = pin!(AssertUnwindSafe(work).catch_unwind());
        match select(work, self.runtime.clock.sleep(timeout)).await {
            Either::Left((Ok(value), _)) => Ended::With(value),
            Either::Left((Err(_), _)) => Ended::Panicked,
            Either::Right(((), _)) => Ended::TimedOut,
        }
    }
}
