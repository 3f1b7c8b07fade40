//! Keys, and the policy by which a region behaves.

use std::{hash::Hash, time::Duration};

/// A type that identifies the values of a region.
///
/// A region whose keys can also be printed and parsed may be reached by printed key; see
/// [`RegionBuilder::printed_keys`](crate::RegionBuilder::printed_keys).
///
/// ```
/// # use cache_core::*;
/// # use std::time::Duration;
/// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
/// # let policy = Policy::new(Duration::from_secs(60), 100);
/// let seats = manager.region("seats", policy.clone());
/// seats.insert((7, 'b'), "Ada");
/// assert_eq!(seats.get(&(7, 'b')), Some("Ada"));
///
/// // A borrowed form finds a key, too.
/// let names = manager.region::<String, u64>("names", policy);
/// names.insert("Ada".to_owned(), 7);
/// assert_eq!(names.get("Ada"), Some(7));
/// ```
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Key for K {}

/// The settings of a region. Each method changes one of them, and returns the policy.
///
/// ```
/// use std::time::Duration;
/// use cache_core::Policy;
/// let minute = Duration::from_secs(60);
/// let policy = Policy::new(minute, 10_000)
///     .time_to_idle(minute / 2)
///     .max_weight(100)
///     .jitter(0.1)
///     .refresh_after(0.8)
///     .fail_safe(10 * minute)
///     .retry_after(minute / 10)
///     .soft_timeout(minute / 60)
///     .load_timeout(minute / 6)
///     .load_permits(16)
///     .absence_ttl(minute / 6)
///     .absences(100);
/// assert_eq!((policy.ttl, policy.capacity), (minute, 10_000));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[must_use]
pub struct Policy {
    /// How long a value is fresh after its load began.
    pub ttl: Duration,
    /// How long a value is kept after it was last read.
    pub time_to_idle: Option<Duration>,
    /// The capacity in the unit of the region's weigher, or in entries if it has none.
    pub capacity: u64,
    /// The weight of the heaviest value that is stored, in the unit of the capacity.
    pub max_weight: u64,
    /// The share of the TTL, 0 to 1, by which it is shortened at random.
    pub jitter: f64,
    /// The share of the TTL, 0 to 1, after which a read starts a load in the background.
    pub refresh_after: Option<f64>,
    /// How long after its TTL a value is still served, marked as stale, when its load fails.
    pub fail_safe: Option<Duration>,
    /// How long no load is tried after one has failed, while an older value can be served.
    pub retry_after: Duration,
    /// How long a read waits for a load while an expired value can be served.
    pub soft_timeout: Option<Duration>,
    /// How long a load may take, if not as long as the manager allows.
    pub load_timeout: Option<Duration>,
    /// How many loads of the region may run at a time, if it has permits of its own.
    pub load_permits: Option<usize>,
    /// How long the absence of a value is cached.
    pub absence_ttl: Duration,
    /// How many absences are cached.
    pub absences: usize,
}

impl Policy {
    /// Returns a policy with a TTL and a capacity alone. The heaviest value may take a sixteenth of
    /// the capacity. At most 1,000 absences are cached, for 5 seconds or the TTL, whichever is
    /// less. A failed load is tried again after a tenth of the TTL.
    pub fn new(ttl: Duration, capacity: u64) -> Self {
        Self {
            ttl,
            time_to_idle: None,
            capacity,
            max_weight: (capacity / 16).max(1),
            jitter: 0.0,
            refresh_after: None,
            fail_safe: None,
            retry_after: ttl / 10,
            soft_timeout: None,
            load_timeout: None,
            load_permits: None,
            absence_ttl: ttl.min(Duration::from_secs(5)),
            absences: 1_000,
        }
    }

    /// Sets how long a value is kept after it was last read or stored. The TTL still ends it.
    ///
    /// Each hit then also writes the time of the read, and is slower by that.
    pub fn time_to_idle(mut self, time: Duration) -> Self {
        self.time_to_idle = Some(time);
        self
    }

    /// Sets the weight of the heaviest value that is stored. A heavier one is refused and counted
    /// as [`Stats::too_heavy`](crate::Stats::too_heavy).
    ///
    /// The region is divided into shards that can each hold such a value, so that a greater number
    /// makes fewer of them, and threads contend more. At most 97 % of the capacity count.
    pub fn max_weight(mut self, weight: u64) -> Self {
        self.max_weight = weight;
        self
    }

    /// Sets the share of the TTL, 0 to 1, by which it is shortened at random, so that entries which
    /// were loaded together don't expire together.
    ///
    /// # Panics
    ///
    /// Panics if `share` is no share.
    pub fn jitter(mut self, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "{share} is no share of a TTL");
        self.jitter = share;
        self
    }

    /// Sets the share of the TTL, 0 to 1, after which a read starts a load in the background. The
    /// read itself returns the value in memory.
    ///
    /// # Panics
    ///
    /// Panics if `share` is no share.
    pub fn refresh_after(mut self, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "{share} is no share of a TTL");
        self.refresh_after = Some(share);
        self
    }

    /// Sets how long after its TTL a value is still served, marked as
    /// [`Source::Stale`](crate::Source::Stale), when its load fails.
    pub fn fail_safe(mut self, time: Duration) -> Self {
        self.fail_safe = Some(time);
        self
    }

    /// Sets how long no load of a key is tried after one has failed: reads return the value that is
    /// still fresh, or that fail-safe allows, without asking the source.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.retry_after = time;
        self
    }

    /// Sets how long a read waits for a load, if fail-safe allows the expired value: then the read
    /// returns it, and the load goes on.
    pub fn soft_timeout(mut self, time: Duration) -> Self {
        self.soft_timeout = Some(time);
        self
    }

    /// Sets how long a load of this region may take, instead of
    /// [`Builder::load_timeout`](crate::Builder::load_timeout).
    pub fn load_timeout(mut self, time: Duration) -> Self {
        self.load_timeout = Some(time);
        self
    }

    /// Gives the region permits of its own for its loads, so that it neither waits for the loads of
    /// other regions nor makes them wait. Its queue is as long as that of the manager.
    ///
    /// # Panics
    ///
    /// Panics if `permits` is 0, because no load could ever run.
    pub fn load_permits(mut self, permits: usize) -> Self {
        assert!(permits > 0, "a region needs permits");
        self.load_permits = Some(permits);
        self
    }

    /// Sets how long the absence of a value is cached.
    pub fn absence_ttl(mut self, ttl: Duration) -> Self {
        self.absence_ttl = ttl;
        self
    }

    /// Sets how many absences are cached.
    pub fn absences(mut self, absences: usize) -> Self {
        self.absences = absences;
        self
    }
}
