//! A clock that tests move by hand.

use std::{
    future::poll_fn,
    task::{Poll, Waker},
    time::Duration,
};

use super::nanos::{Nanos, nanos};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// The hand of a [`Clock::manual`](crate::Clock::manual). Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Hand>);

#[derive(Debug, Default)]
struct Hand {
    // SeqCst, as everything that only tests use: the explorer knows no weaker ordering.
    now: AtomicU64,
    sleepers: Mutex<Vec<Sleeper>>,
}

#[derive(Debug)]
struct Sleeper {
    wakes_at: Nanos,
    waker: Waker,
}

impl ManualClock {
    /// Moves the clock forwards and wakes every sleeper whose time has come.
    pub fn advance(&self, duration: Duration) {
        let duration = nanos(duration);
        let now = self
            .0
            .now
            .fetch_add(duration, Ordering::SeqCst)
            .saturating_add(duration);
        let due: Vec<_> = self
            .0
            .sleepers
            .lock()
            .extract_if(.., |sleeper| sleeper.wakes_at <= now)
            .collect();
        for sleeper in due {
            sleeper.waker.wake();
        }
    }

    /// Returns how many sleepers wait for a later time. A sleep that was dropped counts until its
    /// time has come.
    pub fn sleepers(&self) -> usize {
        self.0.sleepers.lock().len()
    }

    pub(super) fn now(&self) -> Nanos {
        self.0.now.load(Ordering::SeqCst)
    }

    pub(super) async fn sleep_until(self, wakes_at: Nanos) {
        poll_fn(|context| {
            // Compared under the lock: `advance` changes the time first and then takes the lock,
            // so that it either is seen here or finds the sleeper.
            let mut sleepers = self.0.sleepers.lock();
            if self.now() >= wakes_at {
                return Poll::Ready(());
            }
            sleepers.push(Sleeper {
                wakes_at,
                waker: context.waker().clone(),
            });
            Poll::Pending
        })
        .await;
    }
}
