//! Settling: waits until no write of unknown outcome can still land, and then closes its windows.

use std::{
    error::Error,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::window::{self, Outcome, Scope};
use crate::{
    context::{Context, Ended},
    sync::{Arc, Mutex},
};

/// The first pause after a failed attempt to settle. Short, because most failures are a lost
/// connection that the next attempt replaces. Attempts go on until one succeeds.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between attempts: short enough that readers soon stop bypassing the cache.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A function that asks the store to settle writes of unknown outcome.
///
/// It returns `Ok` when each write that began before the call has been applied or can no longer be
/// applied. After an `Err` the cache tries again.
pub type SettleFn = Arc<dyn Fn() -> BoxFuture<'static, Result<(), SettleError>> + Send + Sync>;

/// The way to find out that a write of unknown outcome can no longer be applied.
///
/// After a timeout, a panic, or a connection that was lost at COMMIT, a write may still reach the
/// store. Until it cannot, reads of its keys bypass the cache.
#[derive(Clone)]
#[non_exhaustive]
pub enum Unknown {
    /// The store is asked, again and again, until it says so.
    Settle(SettleFn),
    /// The write cannot be applied later than this after its outcome became unknown, for example
    /// because the store ends statements after a timeout.
    After(Duration),
    /// There is no way to find out. The keys of such a write are never cached again. If the write
    /// may have created a key, no key of the region is.
    ///
    /// For stores whose writes are never of unknown outcome, and for tests.
    Never,
}

impl Unknown {
    /// Returns [`Unknown::Settle`] for a function.
    ///
    /// ```
    /// use cache_core::{Manager, Runtime, SettleError, Unknown};
    /// # async fn rollback_everything() -> Result<(), std::fmt::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let settle = || async { rollback_everything().await.map_err(SettleError::failed) };
    /// let manager = Manager::new(Runtime::tokio(), Unknown::settled_by(settle));
    /// assert!(manager.settle().await.is_ok());
    /// # }
    /// ```
    pub fn settled_by<F, Fut>(settle: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), SettleError>> + Send + 'static,
    {
        Self::Settle(Arc::new(move || settle().boxed()))
    }
}

impl fmt::Debug for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settle(_) => f.write_str("Settle"),
            Self::After(duration) => f.debug_tuple("After").field(duration).finish(),
            Self::Never => f.write_str("Never"),
        }
    }
}

/// The reason why writes of unknown outcome could not be settled.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The store failed. Its error is the source.
    #[error(transparent)]
    Failed(Arc<dyn Error + Send + Sync>),
    /// The store took longer than the write timeout of the manager.
    #[error("settling timed out")]
    TimedOut,
    /// The settle function panicked, or code of a key or a cached value did when a window closed.
    #[error("settling panicked")]
    Panicked,
    /// The manager was built with [`Unknown::Never`], so the outcome of the writes stays unknown.
    #[error("the cache was given no way to settle writes of unknown outcome")]
    Unsettled,
}

impl SettleError {
    /// Returns an error of the store, for a [`SettleFn`] to return.
    ///
    /// ```
    /// let error = cache_core::SettleError::failed("no connection");
    /// assert_eq!(error.to_string(), "no connection");
    /// ```
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(Arc::from(error.into()))
    }
}

/// The writes of one manager that are running, and those of unknown outcome.
pub(crate) struct Settler {
    pub(crate) context: Arc<Context>,
    unknown: Unknown,
    unsettled: Mutex<Unsettled>,
    /// Running writes, in groups that each call of [`Settler::settle`] separates. New writes join
    /// the last group, so that a call waits for the earlier writes alone.
    running: Mutex<Vec<TaskTracker>>,
}

#[derive(Default)]
struct Unsettled {
    /// The windows of each write of unknown outcome.
    writes: Vec<UnsettledWrite>,
    /// The number of writes that have become unknown so far.
    count: u64,
    /// `true` while a background task settles.
    settling: bool,
}

/// The windows of one write of unknown outcome.
struct UnsettledWrite {
    /// The number of writes that had become unknown before this one.
    number: u64,
    scopes: Vec<Box<dyn Scope>>,
}

impl Unsettled {
    fn push(&mut self, scopes: Vec<Box<dyn Scope>>) {
        let number = self.count;
        self.count += 1;
        self.writes.push(UnsettledWrite { number, scopes });
    }
}

impl Settler {
    pub(crate) fn new(context: Arc<Context>, unknown: Unknown) -> Arc<Self> {
        Arc::new(Self {
            context,
            unknown,
            unsettled: Mutex::default(),
            running: Mutex::new(vec![TaskTracker::new()]),
        })
    }

    /// Spawns the task of a write. [`Settler::settle`] waits for it.
    pub(crate) fn spawn_write(&self, task: impl Future<Output = ()> + Send + 'static) {
        let tracked = self
            .running
            .lock()
            .last()
            .expect("there is always a group for new writes")
            .track_future(task);
        self.context.spawn(tracked);
    }

    /// Returns a token of a write that runs on the caller's thread. [`Settler::settle`] and a
    /// shutdown wait until it is dropped.
    pub(crate) fn running(&self) -> [TaskTrackerToken; 2] {
        let running = self.running.lock();
        let group = running
            .last()
            .expect("there is always a group for new writes");
        [group.token(), self.context.tracker.token()]
    }

    /// Waits until no write begun before the call can still land.
    pub(crate) async fn settle(&self) -> Result<(), SettleError> {
        let earlier = {
            let mut running = self.running.lock();
            let earlier = running.clone();
            running.push(TaskTracker::new());
            earlier
        };
        for writes in &earlier {
            writes.close();
            writes.wait().await;
        }
        self.running
            .lock()
            .retain(|writes| !(writes.is_closed() && writes.is_empty()));
        // The earlier writes have ended or are of unknown outcome. The store settles the latter.
        self.settle_unknown().await
    }

    /// Settles the writes whose outcome is unknown now, and closes their windows.
    async fn settle_unknown(&self) -> Result<(), SettleError> {
        // Only these: a write may become unknown while the store settles.
        let count = self.unsettled.lock().count;
        match &self.unknown {
            Unknown::Settle(settle) => {
                let work = AssertUnwindSafe(async { settle().await }).catch_unwind();
                work.await.map_err(|_| SettleError::Panicked)??;
            }
            Unknown::After(duration) => {
                if !self.unsettled.lock().writes.is_empty() {
                    self.context.runtime.clock.sleep(*duration).await;
                }
            }
            Unknown::Never => return Err(SettleError::Unsettled),
        }
        self.close(count)
    }

    /// Settles as [`Settler::settle_unknown`] does, but waits for the store no longer than a write
    /// may take, so that a store that hangs is asked again.
    async fn settle_within_limit(&self) -> Result<(), SettleError> {
        let work = self.settle_unknown();
        if let Unknown::After(_) = self.unknown {
            return work.await;
        }
        let limit = self.context.limits.write_timeout;
        match self.context.bounded(work, limit).await {
            Ended::With(settled) => settled,
            Ended::TimedOut => Err(SettleError::TimedOut),
            Ended::Panicked => Err(SettleError::Panicked),
        }
    }

    /// Closes the windows of the first `count` writes that have ever become unknown. Fails if code
    /// of the user keeps some open by panics.
    fn close(&self, count: u64) -> Result<(), SettleError> {
        let settled: Vec<_> = self
            .unsettled
            .lock()
            .writes
            .extract_if(.., |write| write.number < count)
            .collect();
        if settled.is_empty() {
            return Ok(());
        }
        // After the lock: closing takes the locks of stripes, wakes listeners, and drops values.
        let writes = settled.len();
        let scopes = settled.into_iter().flat_map(|write| write.scopes);
        let left = window::close_all(scopes, Outcome::Unspecified);
        if left.is_empty() {
            tracing::info!(target: "cache", writes, "writes of unknown outcome are settled");
            return Ok(());
        }
        // The next settling tries again.
        self.unsettled.lock().push(left);
        Err(SettleError::Panicked)
    }

    /// Keeps the windows of a write of unknown outcome open until it is settled.
    pub(crate) fn leave_open(self: &Arc<Self>, mut scopes: Vec<Box<dyn Scope>>) {
        for scope in &mut scopes {
            let mut mark = || catch_unwind(AssertUnwindSafe(|| scope.mark_unknown())).is_ok();
            // Twice, if user code panics: a log opens its window only now.
            let _ = mark() || mark();
        }
        tracing::warn!(
            target: "cache",
            "the outcome of a write is unknown: \
             reads of its keys bypass the cache until it is settled"
        );
        let was_settling = {
            let mut unsettled = self.unsettled.lock();
            unsettled.push(scopes);
            std::mem::replace(&mut unsettled.settling, true)
        };
        if !was_settling && !matches!(self.unknown, Unknown::Never) {
            // Not a load or a write, so a shutdown does not wait for it: a store that does not
            // answer would hold it up.
            let task = settle_all(self.clone());
            self.context.runtime.spawn(task.boxed());
        }
    }
}

/// Settles until no write is of unknown outcome.
fn settle_all(settler: Arc<Settler>) -> impl Future<Output = ()> + Send {
    // Created before the first poll: dropping the task unpolled must release the flag, too.
    let mut task = SettleTask {
        settler,
        finished: false,
    };
    async move { task.run().await }
}

/// The task that settles. If it is dropped, the next write of unknown outcome starts another.
struct SettleTask {
    settler: Arc<Settler>,
    finished: bool,
}

impl SettleTask {
    async fn run(&mut self) {
        let settler = &*self.settler;
        let mut pause = FIRST_PAUSE;
        loop {
            match settler.settle_within_limit().await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    tracing::warn!(target: "cache", %error, "settling failed, trying again");
                    settler.context.runtime.clock.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            let mut unsettled = settler.unsettled.lock();
            if unsettled.writes.is_empty() {
                unsettled.settling = false;
                self.finished = true;
                return;
            }
        }
    }
}

impl Drop for SettleTask {
    fn drop(&mut self) {
        if !self.finished {
            self.settler.unsettled.lock().settling = false;
        }
    }
}
