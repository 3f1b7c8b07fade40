//! The kernel's coarse monotonic clock.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use super::nanos::Nanos;

fn to_nanos(time: Timespec) -> Nanos {
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[inline]
pub(super) fn now() -> Nanos {
    to_nanos(clock_gettime(ClockId::MonotonicCoarse))
}

/// Returns the length of a tick, which is how far `now` may lag.
pub(super) fn lag() -> Nanos {
    to_nanos(clock_getres(ClockId::MonotonicCoarse))
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
}
