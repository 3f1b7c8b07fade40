//! The monotonic clock that decides freshness: the kernel's coarse one in production, set by hand in tests.

// What the system's clock says. Reading the counter of the processor costs more than the rest of a hit (decision 0012); the
// time of the kernel's last tick is a read of memory, and goes on as long as anything runs.
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::{
    fmt,
    future::poll_fn,
    task::{Poll, Waker},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Nanoseconds since the clock was made.
pub type Nanos = u64;

/// A monotonic clock that can also wait.
///
/// ```
/// use std::time::Duration;
/// let (clock, hand) = cache_core::Clock::manual();
/// hand.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), 5_000_000_000);
/// ```
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    Real { origin: Nanos, lag: Nanos },
    Manual(ManualClock),
}

impl Clock {
    /// Real time: the kernel's coarse monotonic clock to read it, tokio's timer to wait.
    pub fn real() -> Self {
        Self(Kind::Real {
            origin: system::now(),
            lag: system::lag(),
        })
    }

    /// A clock that stands still until the hand moves it.
    pub fn manual() -> (Self, ManualClock) {
        let hand = ManualClock::default();
        (Self(Kind::Manual(hand.clone())), hand)
    }

    /// The time that has passed since the clock was made, at most [`Clock::lag`] ago.
    #[inline]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Kind::Real { origin, .. } => system::now().saturating_sub(*origin),
            Kind::Manual(hand) => hand.0.now.load(Ordering::SeqCst),
        }
    }

    /// How far the clock may be behind: a tick, 1 to 10 ms. Values expire that much early, so that none outlives its TTL.
    pub fn lag(&self) -> Nanos {
        match &self.0 {
            Kind::Real { lag, .. } => *lag,
            Kind::Manual(_) => 0,
        }
    }

    /// Waits until `duration` has passed on this clock.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        match &self.0 {
            Kind::Real { .. } => tokio::time::sleep(duration).boxed(),
            Kind::Manual(hand) => hand
                .clone()
                .sleep_until(self.now().saturating_add(nanos(duration)))
                .boxed(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({} ns)", self.now())
    }
}

/// The hand of a [`Clock::manual`].
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Hand>);

#[derive(Debug, Default)]
struct Hand {
    now: AtomicU64,
    sleepers: Mutex<Vec<(Nanos, Waker)>>,
}

impl ManualClock {
    /// Moves the clock and wakes who waited for a time that has come.
    pub fn advance(&self, by: Duration) {
        let now = self
            .0
            .now
            .fetch_add(nanos(by), Ordering::SeqCst)
            .saturating_add(nanos(by));
        let due: Vec<_> = self
            .0
            .sleepers
            .lock()
            .extract_if(.., |(at, _)| *at <= now)
            .collect();
        for (_, waker) in due {
            waker.wake();
        }
    }

    /// How many wait for a later time; a wait that was given up counts until its time has come.
    pub fn sleepers(&self) -> usize {
        self.0.sleepers.lock().len()
    }

    async fn sleep_until(self, at: Nanos) {
        poll_fn(|context| {
            let mut sleepers = self.0.sleepers.lock();
            if self.0.now.load(Ordering::SeqCst) >= at {
                return Poll::Ready(());
            }
            sleepers.push((at, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// A duration in nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_is_behind_by_no_more_than_it_says() {
        // The clock begins between the two, however long the thread rests there.
        let (early, clock, late) = (
            std::time::Instant::now(),
            Clock::real(),
            std::time::Instant::now(),
        );
        let lag = clock.lag();
        assert!(lag <= 10_000_000, "a tick of {lag} ns");
        let mut last = 0;
        // Some ticks long, each of them seen at its edge.
        while late.elapsed() < Duration::from_millis(50) {
            let (before, now, after) = (nanos(late.elapsed()), clock.now(), nanos(early.elapsed()));
            assert!(now >= last, "time goes on");
            // Its origin was read up to a tick late, too.
            assert!(
                now <= after + lag && now + lag >= before,
                "{now} ns between {before} and {after}"
            );
            last = now;
        }
        assert!(last > 0, "it moves");
    }

    #[test]
    fn a_wait_ends_when_its_time_has_come_and_counts_until_then() {
        let (clock, hand) = Clock::manual();
        assert_eq!(hand.sleepers(), 0);
        let mut waits = [2, 1, 3].map(|seconds| clock.sleep(Duration::from_secs(seconds)));
        assert!(waits.iter_mut().all(|wait| wait.now_or_never().is_none()));
        assert_eq!(hand.sleepers(), 3);
        hand.advance(Duration::from_secs(2));
        assert_eq!(hand.sleepers(), 1);
        assert_eq!(
            waits.map(|mut wait| (&mut wait).now_or_never()),
            [Some(()), Some(()), None]
        );
    }
}
