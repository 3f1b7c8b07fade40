//! The kernel's coarse monotonic clock.

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

use super::Nanos;

fn whole(time: Timespec) -> Nanos {
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[inline]
pub(super) fn now() -> Nanos {
    whole(clock_gettime(ClockId::MonotonicCoarse))
}

/// A tick.
pub(super) fn lag() -> Nanos {
    whole(clock_getres(ClockId::MonotonicCoarse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_nanoseconds_are_one_number() {
        assert_eq!(
            whole(Timespec {
                tv_sec: 2,
                tv_nsec: 3
            }),
            2_000_000_003
        );
    }
}
