//! The time since the machine was started, including the time it slept.
//!
//! Linux has a clock that counts sleep, `CLOCK_BOOTTIME`, which reads the processor's counter. A
//! cheap one, `CLOCK_MONOTONIC_COARSE`, is a read of memory that the kernel updates at every tick,
//! and stands still during sleep. Each thread reads the first only when the second has ticked.

use std::cell::Cell;

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use super::nanos::Nanos;

thread_local! {
    /// The last tick that this thread saw. It has no destructor, so that a hit reads it directly.
    static LAST: Cell<Tick> = const { Cell::new(Tick { coarse: 0, now: 0 }) };
}

/// A tick of the coarse clock, and the time at which a thread first saw it.
#[derive(Clone, Copy)]
struct Tick {
    coarse: Nanos,
    now: Nanos,
}

/// Returns the time, which is at most [`lag`] old. When the machine wakes up, the coarse clock
/// ticks again, so the next call after that tick counts the sleep.
#[inline]
pub(super) fn now() -> Nanos {
    let coarse = to_nanos(clock_gettime(ClockId::MonotonicCoarse));
    let last = LAST.get();
    if coarse == last.coarse {
        last.now
    } else {
        tick(coarse)
    }
}

#[cold]
#[inline(never)]
fn tick(coarse: Nanos) -> Nanos {
    let now = to_nanos(clock_gettime(ClockId::Boottime));
    LAST.set(Tick { coarse, now });
    now
}

/// Returns the length of a tick, which is how far `now` may lag.
pub(super) fn lag() -> Nanos {
    to_nanos(clock_getres(ClockId::MonotonicCoarse))
}

fn to_nanos(time: Timespec) -> Nanos {
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_nanoseconds_are_one_number() {
        assert_eq!(
            to_nanos(Timespec {
                tv_sec: 2,
                tv_nsec: 3
            }),
            2_000_000_003
        );
    }

    /// The delay of a timer interrupt on a busy machine, in nanoseconds. The coarse clock lags by
    /// as much more.
    const LATE: Nanos = 10_000_000;

    #[test]
    fn the_time_is_that_of_the_clock_that_counts_sleep() {
        let boot = || to_nanos(clock_gettime(ClockId::Boottime));
        let end = boot() + 10 * lag();
        let mut last = 0;
        while last < end {
            let before = boot();
            let now = now();
            assert!(now >= last, "time went back");
            assert!(
                now + lag() + LATE >= before && now <= boot(),
                "{now} ns at {before} ns"
            );
            last = now;
        }
    }
}
