//! Keys, and the policy by which a region behaves.

use std::{fmt, hash::Hash, str::FromStr, time::Duration};

/// A type that identifies the values of a region.
///
/// Operators name a key by the region's name, a colon and the key's `Display` form, for example
/// `room_obj:7`. `FromStr` must parse what `Display` prints.
pub trait Key: Clone + Eq + Hash + fmt::Display + FromStr + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + fmt::Display + FromStr + Send + Sync + 'static> Key for K {}

/// The settings of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long a value is fresh after its load began.
    pub ttl: Duration,
    /// The capacity in the unit of the region's weigher, or in entries if it has none.
    pub capacity: u64,
    /// The weight of the heaviest value that is stored, in the unit of the capacity. A heavier one
    /// is refused and counted as [`Stats::too_heavy`](crate::Stats::too_heavy).
    ///
    /// The region is divided into shards that can each hold such a value, so that a greater number
    /// makes fewer of them, and threads contend more. At most 97 % of the capacity count.
    pub max_weight: u64,
    /// The share of the TTL, 0 to 1, by which it is shortened at random, so that entries which were
    /// loaded together don't expire together.
    pub jitter: f64,
    /// The share of the TTL, 0 to 1, after which a read starts a load in the background.
    pub refresh_after: Option<f64>,
    /// How long after its TTL a value is still served, marked as stale, when its load fails.
    pub fail_safe: Option<Duration>,
    /// How long the absence of a value is cached.
    pub absence_ttl: Duration,
    /// How many absences are cached.
    pub absences: usize,
}

impl Policy {
    /// Returns a policy with a TTL and a capacity alone. The heaviest value may take a sixteenth of
    /// the capacity. At most 1,000 absences are cached, for 5 seconds or the TTL, whichever is
    /// less.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cache_core::Policy;
    /// let policy = Policy {
    ///     refresh_after: Some(0.8),
    ///     fail_safe: Some(Duration::from_secs(600)),
    ///     ..Policy::new(Duration::from_secs(60), 10_000)
    /// };
    /// assert_eq!(policy.absence_ttl, Duration::from_secs(5));
    /// ```
    pub fn new(ttl: Duration, capacity: u64) -> Self {
        Self {
            ttl,
            capacity,
            max_weight: (capacity / 16).max(1),
            jitter: 0.0,
            refresh_after: None,
            fail_safe: None,
            absence_ttl: ttl.min(Duration::from_secs(5)),
            absences: 1_000,
        }
    }
}
