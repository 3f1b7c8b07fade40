//! The parts that all regions and guards of one manager share: runtime, limits, permits and rules.

use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::{
    clock::nanos,
    nesting,
    region::serving::Others,
    rules::Rules,
    runtime::Runtime,
    sync::{Arc, AtomicU64, OwnedPermit, Permits, plain},
};

/// The timeouts, permits and queues of a manager.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) load_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) loads: Admissions,
    pub(crate) writes: Admissions,
}

/// How many loads, or writes, may run and wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admissions {
    /// How many may run at a time.
    pub(crate) permits: usize,
    /// How many may wait for a permit.
    pub(crate) queue: usize,
}

pub(crate) struct Context {
    pub(crate) runtime: Runtime,
    pub(crate) limits: Limits,
    /// `None` if no other process writes to the source.
    pub(crate) others: Option<Others>,
    pub(crate) loads: Gate,
    pub(crate) writes: Gate,
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
    pub(crate) fn new(
        runtime: Runtime,
        limits: Limits,
        others_write: Option<Duration>,
        rules: Rules,
    ) -> Arc<Self> {
        let mark = next_mark();
        let others = others_write.map(|bound| Others {
            bound: nanos(bound).saturating_sub(runtime.clock.lag()),
            served_until: AtomicU64::new(0),
        });
        Arc::new(Self {
            runtime,
            others,
            loads: Gate::new(limits.loads, mark),
            writes: Gate::new(limits.writes, mark),
            limits,
            tracker: TaskTracker::new(),
            rules,
        })
    }

    /// Spawns a task in the caller's span. A shutdown waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_apart(task.in_current_span());
    }

    /// Spawns a task that its caller does not wait for, or that works for other callers, too. Its
    /// spans are no part of the caller's. A shutdown waits for it.
    pub(crate) fn spawn_apart(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(self.tracker.track_future(task).boxed());
    }

    /// Returns the time that has passed since `began`, a time of the clock.
    pub(crate) fn since(&self, began: u64) -> Duration {
        Duration::from_nanos(self.runtime.clock.now().saturating_sub(began))
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

/// Returns a number that marks one manager in [`nesting`].
fn next_mark() -> u64 {
    static NEXT: plain::AtomicU64 = plain::AtomicU64::new(0);
    // Relaxed: only the numbers must differ.
    NEXT.fetch_add(1, plain::Ordering::Relaxed)
}

/// Admits as many loads, or writes, as there are permits. Others wait in a queue with a bound.
pub(crate) struct Gate {
    permits: Arc<Permits>,
    /// How many wait for a permit now.
    waiting: plain::AtomicU64,
    queue: u64,
    /// The mark of the manager. Work under it has been admitted.
    mark: u64,
}

/// The admission of one load or write. Dropping it returns the permit.
pub(crate) struct Admission {
    #[expect(dead_code, reason = "held, never read")]
    permit: Option<OwnedPermit>,
    /// The permit was not free at once.
    pub(crate) has_waited: bool,
}

/// Too many loads, or writes, wait for a permit.
pub(crate) struct QueueFull;

impl Gate {
    fn new(admissions: Admissions, mark: u64) -> Self {
        Self {
            permits: Arc::new(Permits::new(admissions.permits)),
            waiting: plain::AtomicU64::new(0),
            queue: admissions.queue as u64,
            mark,
        }
    }

    /// Returns a gate with other permits and the same queue. Work that this one has admitted needs
    /// none of them.
    pub(crate) fn with(&self, permits: usize) -> Self {
        let queue = usize::try_from(self.queue).unwrap_or(usize::MAX);
        Self::new(Admissions { permits, queue }, self.mark)
    }

    /// Waits for a permit. Work that runs within other work of the manager needs none: it would
    /// wait for the permits that are held for its sake.
    pub(crate) async fn admit(&self) -> Result<Admission, QueueFull> {
        if nesting::is_within(self.mark) {
            return Ok(Admission {
                permit: None,
                has_waited: false,
            });
        }
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(Admission {
                permit: Some(permit),
                has_waited: false,
            });
        }
        let _place = self.enter_queue()?;
        Ok(Admission {
            // Fails only if the semaphore is closed, which it never is.
            permit: self.permits.clone().acquire_owned().await.ok(),
            has_waited: true,
        })
    }

    /// Runs admitted work: what it starts within needs no further permit.
    pub(crate) fn within<T>(
        &self,
        mut marks: Vec<u64>,
        work: impl Future<Output = T>,
    ) -> impl Future<Output = T> {
        marks.push(self.mark);
        nesting::within(marks, work)
    }

    /// Returns the mark of admitted work in [`nesting`].
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    fn enter_queue(&self) -> Result<Place<'_>, QueueFull> {
        // Relaxed, here and below: the number orders nothing, and may be passed by a few at once.
        let before = self.waiting.fetch_add(1, plain::Ordering::Relaxed);
        let place = Place(&self.waiting);
        if before < self.queue {
            Ok(place)
        } else {
            Err(QueueFull)
        }
    }
}

/// A place in the queue. Dropping it frees the place.
struct Place<'a>(&'a plain::AtomicU64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, plain::Ordering::Relaxed);
    }
}
