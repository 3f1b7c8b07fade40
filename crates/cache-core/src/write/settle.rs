//! Settling: waits until no write of unknown outcome can still land, and then closes its windows.

use std::{error::Error, time::Duration};

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::window::{Outcome, Scope};
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
    /// The settle function panicked.
    #[error("settling panicked")]
    Panicked,
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
    settle: Option<SettleFn>,
    unsettled: Mutex<Unsettled>,
    /// Running writes, in groups that each call of [`Settler::settle`] separates. New writes join
    /// the last group, so that a call waits for the earlier writes alone.
    running: Mutex<Vec<TaskTracker>>,
}

#[derive(Default)]
struct Unsettled {
    /// The windows of each write of unknown outcome.
    writes: Vec<Vec<Box<dyn Scope>>>,
    /// `true` while a background task settles.
    settling: bool,
}

impl Settler {
    pub(crate) fn new(context: Arc<Context>, settle: Option<SettleFn>) -> Arc<Self> {
        Arc::new(Self {
            context,
            settle,
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
        match &self.settle {
            Some(settle) => settle().await,
            None => Ok(()),
        }
    }

    /// Keeps the windows of a write of unknown outcome open until it is settled.
    pub(crate) fn leave_open(self: &Arc<Self>, mut scopes: Vec<Box<dyn Scope>>) {
        for scope in &mut scopes {
            scope.mark_unknown();
        }
        tracing::warn!(
            target: "cache",
            "the outcome of a write is unknown: \
             reads of its keys bypass the cache until it is settled"
        );
        let was_settling = {
            let mut unsettled = self.unsettled.lock();
            unsettled.writes.push(scopes);
            std::mem::replace(&mut unsettled.settling, true)
        };
        if !was_settling {
            self.context.spawn(settle_all(self.clone()));
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
        let Settler {
            context,
            settle,
            unsettled,
            ..
        } = &*self.settler;
        let Some(settle) = settle else {
            return;
        };
        let mut pause = FIRST_PAUSE;
        loop {
            // A call settles only the writes that were unknown before it.
            let count = unsettled.lock().writes.len();
            let work = async { settle().await };
            let settled = match context.bounded(work, context.limits.write_timeout).await {
                Ended::With(settled) => settled,
                Ended::TimedOut => Err(SettleError::TimedOut),
                Ended::Panicked => Err(SettleError::Panicked),
            };
            if let Err(error) = settled {
                tracing::warn!(target: "cache", %error, "settling failed, trying again");
                context.runtime.clock.sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            let settled: Vec<_> = unsettled.lock().writes.drain(..count).collect();
            // After the lock: closing takes the locks of stripes and wakes listeners.
            for mut scope in settled.into_iter().flatten() {
                scope.close(Outcome::Unspecified);
            }
            tracing::info!(
                target: "cache",
                writes = count,
                "writes of unknown outcome are settled"
            );
            let mut unsettled = unsettled.lock();
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
