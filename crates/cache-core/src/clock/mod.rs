//! The monotonic clock that decides freshness.

// Decision 0012: reading the processor's counter costs more than the rest of a hit. The coarse
// clock of Linux is a read of memory that the kernel updates at every tick.
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
mod manual;
mod nanos;

use std::{fmt, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

pub use manual::ManualClock;
pub use nanos::Nanos;
pub(crate) use nanos::nanos;

/// A monotonic clock that can also sleep. It decides how long values are fresh.
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
    /// Returns a clock of real time. Within a tokio runtime it sleeps on the timer of that runtime,
    /// which must be enabled, and elsewhere on a timer of its own.
    ///
    /// On Linux and Windows it counts the time that the machine slept; on macOS it does not, so
    /// there a TTL can end later by that time.
    pub fn real() -> Self {
        Self(Kind::Real {
            origin: system::now(),
            lag: system::lag(),
        })
    }

    /// Returns a clock that only moves when [`ManualClock::advance`] is called, and its hand.
    pub fn manual() -> (Self, ManualClock) {
        let hand = ManualClock::default();
        (Self(Kind::Manual(hand.clone())), hand)
    }

    /// Returns the time since the clock was created. The result is at most [`Clock::lag`] old.
    #[inline]
    pub fn now(&self) -> Nanos {
        match &self.0 {
            Kind::Real { origin, .. } => system::now().saturating_sub(*origin),
            Kind::Manual(hand) => hand.now(),
        }
    }

    /// Returns how far [`Clock::now`] may lag: a tick of 1 to 10 ms on Linux, 0 elsewhere and for a
    /// manual clock. Values expire that much early, so that none outlives its TTL.
    pub fn lag(&self) -> Nanos {
        match &self.0 {
            Kind::Real { lag, .. } => *lag,
            Kind::Manual(_) => 0,
        }
    }

    /// Waits until `duration` has passed on this clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_util::FutureExt;
    /// let (clock, hand) = cache_core::Clock::manual();
    /// let mut sleep = clock.sleep(Duration::from_secs(5));
    /// assert_eq!((&mut sleep).now_or_never(), None);
    /// hand.advance(Duration::from_secs(5));
    /// assert_eq!(sleep.now_or_never(), Some(()));
    /// ```
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        match &self.0 {
            Kind::Real { .. } if tokio::runtime::Handle::try_current().is_ok() => {
                tokio::time::sleep(duration).boxed()
            }
            Kind::Real { .. } => futures_timer::Delay::new(duration).boxed(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The delay of a timer interrupt on a busy machine, in nanoseconds. The coarse clock of Linux
    /// lags by as much more.
    const LATE: u64 = 10_000_000;

    #[test]
    fn real_time_lags_by_no_more_than_it_says() {
        // The clock is created between the two instants, however long the thread is preempted.
        let early = std::time::Instant::now();
        let clock = Clock::real();
        let late = std::time::Instant::now();
        let lag = clock.lag();
        assert!(lag <= 10_000_000, "a tick of {lag} ns");
        assert_eq!(lag > 0, cfg!(target_os = "linux"), "a tick of {lag} ns");
        let mut last = 0;
        // Several ticks long, so that the edge of each tick is observed. Longer, if the thread is
        // preempted for all of that time.
        let is_over =
            |last| late.elapsed() > Duration::from_millis(if last > 0 { 50 } else { 5_000 });
        while !is_over(last) {
            let before = nanos(late.elapsed());
            let now = clock.now();
            let after = nanos(early.elapsed());
            assert!(now >= last, "time went back");
            // The clock's origin may lag by a tick as well.
            assert!(
                now <= after + lag && now + lag + LATE >= before,
                "{now} ns between {before} and {after}"
            );
            last = now;
        }
        assert!(last > 0, "time did not move");
    }

    #[test]
    fn a_sleep_ends_when_its_time_has_come_and_counts_until_then() {
        let (clock, hand) = Clock::manual();
        assert_eq!(hand.sleepers(), 0);
        let mut sleeps = [2, 1, 3].map(|seconds| clock.sleep(Duration::from_secs(seconds)));
        assert!(
            sleeps
                .iter_mut()
                .all(|sleep| sleep.now_or_never().is_none())
        );
        assert_eq!(hand.sleepers(), 3);
        hand.advance(Duration::from_secs(2));
        assert_eq!(hand.sleepers(), 1);
        assert_eq!(
            sleeps.map(|mut sleep| (&mut sleep).now_or_never()),
            [Some(()), Some(()), None]
        );
    }
}
