//! What all regions of one manager share: runtime, permits, and the writes whose outcome nobody knows.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, select},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    runtime::Runtime,
    scope::{End, Scope},
    sync::{Arc, Mutex, Permits},
};

/// Returns when no write begun before the call, and not reported as ended, can still land; `Err` to try again later.
pub type SettleFn = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

pub(crate) struct Shared {
    pub(crate) runtime: Runtime,
    pub(crate) load_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) load_permits: Arc<Permits>,
    pub(crate) write_permits: Arc<Permits>,
    pub(crate) tracker: TaskTracker,
    pub(crate) faults: Faults,
    settle: Option<SettleFn>,
    unsettled: Mutex<Unsettled>,
    /// Writes under way, by the settling that they were begun before; the last is the one that begins next.
    writes: Mutex<Vec<TaskTracker>>,
}

#[derive(Default)]
struct Unsettled {
    writes: Vec<Vec<Box<dyn Scope>>>,
    settling: bool,
}

/// Rules of the protocol that a test can switch off, to show that it would notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// The code as it is.
    #[default]
    None,
    /// A write removes its values when it ends, not before it begins.
    LateInvalidation,
    /// A reader waits for a load that began before a write ended.
    JoinedOlderLoad,
    /// A load is stored although a write overtook it.
    BlindStore,
    /// A load begins to stand while a write is open.
    LoadInsideWindow,
    /// A write stores its row although another was open meanwhile.
    ContendedStore,
    /// The windows are the caller's: they close when it goes away, while the write runs on.
    CallerOwnsGuard,
    /// The windows of a write of unknown outcome close at once.
    UnknownCloses,
    /// A bulk invalidation leaves loads standing.
    BulkLeavesLoads,
    /// A bulk invalidation lets open writes store their rows.
    BulkLeavesWindows,
    /// Open creates are not counted.
    UncountedCreates,
    /// An absence of an older create-generation is served.
    OldAbsence,
    /// A committed entry does not raise the floor of its log.
    FloorNotRaisedByWrites,
    /// A reader of the source does not raise the floor of a log.
    FloorNotRaisedByReads,
    /// The floor is kept with the copy alone, and forgotten with it while a fill runs.
    FloorForgotten,
    /// A fill is stored and served below the floor.
    BlindFill,
    /// A lease outlives what changes in its region.
    ChangesUncounted,
    /// A reader that missed does not look again under the lock.
    OneLook,
    /// Readers inside a window share no load.
    UnsharedPast,
    /// Who waited for a load that failed loads anew.
    FailureRepeated,
    /// What is committed during a fill is not kept for it.
    FillMissesArrivals,
}

impl Fault {
    /// Those that break a claim, in the order of the protocol's rules.
    pub const ALL: [Self; 16] = [
        Self::LateInvalidation,
        Self::JoinedOlderLoad,
        Self::BlindStore,
        Self::LoadInsideWindow,
        Self::ContendedStore,
        Self::CallerOwnsGuard,
        Self::UnknownCloses,
        Self::BulkLeavesLoads,
        Self::BulkLeavesWindows,
        Self::UncountedCreates,
        Self::OldAbsence,
        Self::FloorNotRaisedByWrites,
        Self::FloorNotRaisedByReads,
        Self::FloorForgotten,
        Self::BlindFill,
        Self::ChangesUncounted,
    ];

    /// Those that break none and cost loads or fills.
    pub const COSTS: [Self; 4] = [
        Self::OneLook,
        Self::UnsharedPast,
        Self::FailureRepeated,
        Self::FillMissesArrivals,
    ];
}

/// Which fault is planted: none, unless the crate is built with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults(Option<Fault>);

impl Faults {
    fn new(fault: Fault) -> Self {
        Self(cfg!(feature = "faults").then_some(fault))
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    #[inline]
    pub(crate) fn is(self, fault: Fault) -> bool {
        cfg!(feature = "faults") && self.0 == Some(fault)
    }
}

pub(crate) enum Ended<T> {
    With(T),
    TimedOut,
    Panicked,
}

impl Shared {
    pub(crate) fn new(
        runtime: Runtime,
        (load_timeout, write_timeout): (Duration, Duration),
        (loads, writes): (usize, usize),
        settle: Option<SettleFn>,
        fault: Fault,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            load_timeout,
            write_timeout,
            load_permits: Arc::new(Permits::new(loads)),
            write_permits: Arc::new(Permits::new(writes)),
            tracker: TaskTracker::new(),
            faults: Faults::new(fault),
            settle,
            unsettled: Mutex::default(),
            writes: Mutex::new(vec![TaskTracker::new()]),
        })
    }

    /// Runs a task of its own, in the caller's span, that a shutdown waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime
            .spawn(self.tracker.track_future(task.in_current_span()).boxed());
    }

    /// The same for a write, which [`Shared::settle`] waits for.
    pub(crate) fn spawn_write(&self, task: impl Future<Output = ()> + Send + 'static) {
        let tracked = self
            .writes
            .lock()
            .last()
            .expect("there is always one that begins next")
            .track_future(task);
        self.spawn(tracked);
    }

    /// Returns when no write begun before the call can still land.
    pub(crate) async fn settle(&self) -> Result<(), String> {
        let begun = {
            let mut writes = self.writes.lock();
            let begun = writes.clone();
            writes.push(TaskTracker::new());
            begun
        };
        for writes in &begun {
            writes.close();
            writes.wait().await;
        }
        self.writes
            .lock()
            .retain(|writes| !(writes.is_closed() && writes.is_empty()));
        // Now they have ended, or their outcome is unknown.
        match &self.settle {
            Some(settle) => settle().await,
            None => Ok(()),
        }
    }

    /// Runs `work` to its end, its panic or the timeout, whichever comes first.
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

    /// Keeps the windows of a write of unknown outcome open until it is settled.
    pub(crate) fn leave_open(self: &Arc<Self>, mut scopes: Vec<Box<dyn Scope>>) {
        for scope in &mut scopes {
            scope.mark_unknown();
        }
        tracing::warn!(target: "cache", "the outcome of a write is unknown: its keys are read past the cache until it is settled");
        let begin = {
            let mut unsettled = self.unsettled.lock();
            unsettled.writes.push(scopes);
            !std::mem::replace(&mut unsettled.settling, true)
        };
        if begin {
            self.spawn(settle(self.clone()));
        }
    }
}

/// Settles until nothing is unknown, with growing pauses while the store does not answer.
fn settle(shared: Arc<Shared>) -> impl Future<Output = ()> + Send {
    // Made here, so that a task that is dropped before its first poll lets another settle, too.
    let mut guard = Settling {
        shared,
        finished: false,
    };
    async move { guard.run().await }
}

/// Lets another task settle if this one is dropped.
struct Settling {
    shared: Arc<Shared>,
    finished: bool,
}

impl Settling {
    async fn run(&mut self) {
        let shared = &self.shared;
        let mut pause = Duration::from_millis(50);
        loop {
            // Only those that were unknown before the call are settled by it.
            let known = shared.unsettled.lock().writes.len();
            let Some(settle) = &shared.settle else {
                return;
            };
            let settled = match shared
                .bounded(async { settle().await }, shared.write_timeout)
                .await
            {
                Ended::With(settled) => settled,
                Ended::TimedOut => Err("settling timed out".into()),
                Ended::Panicked => Err("settling panicked".into()),
            };
            match settled {
                Ok(()) => {
                    let settled: Vec<_> = shared.unsettled.lock().writes.drain(..known).collect();
                    for mut scope in settled.into_iter().flatten() {
                        scope.close(End::Untold);
                    }
                    tracing::info!(target: "cache", writes = known, "writes of unknown outcome are settled");
                    let mut unsettled = shared.unsettled.lock();
                    if unsettled.writes.is_empty() {
                        unsettled.settling = false;
                        self.finished = true;
                        return;
                    }
                }
                Err(reason) => {
                    tracing::warn!(target: "cache", reason, "settling failed, trying again");
                    shared.runtime.clock.sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if !self.finished {
            self.shared.unsettled.lock().settling = false;
        }
    }
}
