//! The run of a write under its guard: opens the windows, runs the write, and closes them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use tracing::{Instrument as _, field::Empty};

use super::{
    error::WriteError,
    guard::{Naming, WriteGuard, Written},
    open::OpenWindows,
    window::Outcome,
};
use crate::{block_on::block_on, context::Ended, nesting, sync::oneshot};

impl<T: Send + 'static> WriteGuard<T> {
    /// Runs a write and returns its result, once every window is closed.
    ///
    /// The write waits for a permit, opens its windows and runs in a dedicated task. The write
    /// timeout is for all of this. If the caller is dropped before the permit is granted, nothing
    /// happens; later, the write goes on and its windows close when its outcome is known. If the
    /// outcome is unknown, they stay open until the write is settled.
    ///
    /// A write within a write needs no second permit. [`WriteGuard`] has an example.
    ///
    /// # Errors
    ///
    /// Returns the error of the write, the reason why the write did not run, or the reason why its
    /// outcome is unknown. The values of its keys are removed from the cache in each case, unless
    /// the write did not run.
    pub async fn run<E: Send + 'static>(
        self,
        write: impl Future<Output = Written<T, E>> + Send + 'static,
    ) -> Result<T, WriteError<E>> {
        let timeout = self.settler.context.limits.write_timeout;
        self.run_within(timeout, write).await
    }

    /// Runs a write as [`WriteGuard::run`] does, with another timeout.
    pub(super) async fn run_within<E: Send + 'static>(
        self,
        timeout: Duration,
        write: impl Future<Output = Written<T, E>> + Send + 'static,
    ) -> Result<T, WriteError<E>> {
        let (sender, answer) = oneshot::channel();
        let settler = self.settler.clone();
        let context = settler.context.clone();
        let marks = nesting::marks();
        let began = context.runtime.clock.now();
        let admission = context.bounded(context.writes.admit(), timeout);
        let Ended::With(Ok(admission)) = admission.await else {
            return Err(WriteError::Overloaded);
        };
        let left = timeout.saturating_sub(context.since(began));
        let task = |write| async move {
            let _admission = admission;
            let result = self.run_in_task(marks, left, write).await;
            // Fails if the caller was dropped, which is allowed.
            drop(sender.send(result));
        };
        context
            .rules
            .detached(write, task, |task| settler.spawn_write(task))
            .await;
        answer.await.unwrap_or(Err(WriteError::GivenUp))
    }

    /// Runs a write as [`WriteGuard::run`] does, on this thread. No executor is needed. The write
    /// timeout bounds the wait for a permit, and no timeout ends the write.
    ///
    /// Do not call it in asynchronous code, whose thread has other tasks to run.
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    /// use cache_core::{Manager, Policy, Runtime, Unknown, Written};
    /// let manager = Manager::new(Runtime::threads(), Unknown::Never);
    /// let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// names.insert(7, "Ada");
    /// let rename = || Written::<_, Infallible>::Committed("Grace");
    /// manager.guard().key_storing(&names, 7, |row| Some(*row)).run_blocking(rename).unwrap();
    /// assert_eq!(names.get(&7), Some("Grace"));
    /// ```
    ///
    /// # Errors
    ///
    /// As [`WriteGuard::run`].
    pub fn run_blocking<E>(
        self,
        write: impl FnOnce() -> Written<T, E>,
    ) -> Result<T, WriteError<E>> {
        let Self {
            settler,
            scopes,
            namings,
        } = self;
        let context = settler.context.clone();
        let admission = context.bounded(context.writes.admit(), context.limits.write_timeout);
        let Ended::With(Ok(_admission)) = block_on(admission) else {
            return Err(WriteError::Overloaded);
        };
        let _running = settler.running();
        let windows = open(OpenWindows::new(settler, scopes))?;
        let marks = [context.writes.mark()];
        let write = AssertUnwindSafe(|| nesting::within_here(&marks, write));
        let ended = catch_unwind(write).map_or(Ended::Panicked, Ended::With);
        conclude(windows, namings, ended)
    }

    /// Runs the write under its timeout. `marks` are those of the code that it is nested in.
    async fn run_in_task<E>(
        self,
        marks: Vec<u64>,
        timeout: Duration,
        write: impl Future<Output = Written<T, E>> + Send,
    ) -> Result<T, WriteError<E>> {
        let Self {
            settler,
            scopes,
            namings,
        } = self;
        let context = settler.context.clone();
        let windows = open(OpenWindows::new(settler, scopes))?;
        let write = context.writes.within(marks, write);
        let span = tracing::info_span!(
            target: "cache",
            "write",
            outcome = Empty,
            otel.status_code = Empty,
        );
        let ended = context
            .bounded(write, timeout)
            .instrument(span.clone())
            .await;
        let outcome = outcome(&ended);
        span.record("outcome", outcome);
        if outcome != "committed" {
            span.record("otel.status_code", "ERROR");
        }
        conclude(windows, namings, ended)
    }
}

/// Returns the outcome of a write, as its span names it.
fn outcome<T, E>(ended: &Ended<Written<T, E>>) -> &'static str {
    match ended {
        Ended::With(Written::Committed(_)) => "committed",
        Ended::With(Written::NotApplied(_)) => "failed",
        Ended::With(Written::Unknown(_)) | Ended::TimedOut | Ended::Panicked => "unknown",
    }
}

/// Opens the windows of a write. Closes them again if code of a key panics meanwhile.
fn open<E>(mut windows: OpenWindows) -> Result<OpenWindows, WriteError<E>> {
    if windows.open().is_err() {
        windows.close(Outcome::NotApplied);
        return Err(WriteError::NotBegun);
    }
    Ok(windows)
}

/// Closes the windows of a write that has ended, and stores what it returned. They stay open if its
/// outcome is unknown.
fn conclude<T, E>(
    mut windows: OpenWindows,
    namings: Vec<Naming<T>>,
    ended: Ended<Written<T, E>>,
) -> Result<T, WriteError<E>> {
    match ended {
        Ended::With(Written::Committed(value)) => {
            // A panic of user code is caught, because the write is committed already.
            let named = catch_unwind(AssertUnwindSafe(|| {
                for naming in namings {
                    naming(&value, &mut windows.scopes);
                }
            }));
            windows.close(match named {
                Ok(()) => Outcome::Committed,
                Err(_) => Outcome::Unspecified,
            });
            Ok(value)
        }
        Ended::With(Written::NotApplied(error)) => {
            windows.close(Outcome::NotApplied);
            Err(WriteError::NotApplied(error))
        }
        Ended::With(Written::Unknown(error)) => Err(WriteError::Unknown(error)),
        Ended::TimedOut => Err(WriteError::TimedOut),
        Ended::Panicked => Err(WriteError::Panicked),
    }
}
