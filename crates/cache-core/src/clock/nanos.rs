//! The unit of time of this crate.

use std::time::Duration;

/// Nanoseconds since a [`Clock`](crate::Clock) was created.
pub type Nanos = u64;

/// Converts a duration to nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
