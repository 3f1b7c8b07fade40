//! The result of a read: the value, where it came from and how old it is.

use std::time::Duration;

use crate::clock::Nanos;

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read<V> {
    /// The value; `None` if the source has none.
    pub value: Option<V>,
    /// Where the value came from.
    pub source: Source,
    /// The time since the load of the value began.
    pub age: Age,
}

/// The time since a value was read from the source. Convert it with `Duration::from`.
///
/// It is kept in nanoseconds until then, so that a hit whose age is not used pays no division.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(Nanos);

impl Age {
    pub(crate) fn between(at: Nanos, now: Nanos) -> Self {
        // Saturating: a clock that lags may be behind the time of the load.
        Self(now.saturating_sub(at))
    }
}

impl From<Age> for Duration {
    fn from(age: Age) -> Self {
        Self::from_nanos(age.0)
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Memory.
    Hit,
    /// A load that this read started.
    Loaded,
    /// A load that another read started.
    Joined,
    /// A load that bypassed the cache because a write was open.
    DuringWrite,
    /// A load that bypassed the cache because the caller asked for it, or because the region is
    /// switched off.
    Bypass,
    /// Memory, but the value has expired: its load failed or is slow, and the region is fail-safe.
    Stale,
}
