//! [`Options`], the settings of a cache.

use std::{collections::HashMap, time::Duration};

use cache_core::Policy;

use crate::{
    newest::TailLimits,
    row::{Preset, Row},
};

/// The settings of a [`Cache`](crate::Cache). The default has the TTLs of [`Preset::Classic`] and
/// the capacities of the regions' [`Row`]s.
///
/// ```
/// use std::time::Duration;
/// use cache_adapter::{NAMES, Options, Preset};
///
/// let options = Options {
///     preset: Preset::Coherent,
///     ttls: [(NAMES.room_obj.to_owned(), Duration::from_secs(45))].into(),
///     ..Options::default()
/// };
/// assert_eq!(options.tail.messages, 1_000);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The preset whose TTLs apply to all regions that are not in `ttls`.
    pub preset: Preset,
    /// TTLs by region name. An unknown name has no effect.
    pub ttls: HashMap<String, Duration>,
    /// Capacities by region name, in the unit of the region's [`Row`]. An unknown name has no
    /// effect.
    pub capacities: HashMap<String, u64>,
    /// Loads what polls read anew in the background, after half of its TTL, so that a poll seldom
    /// waits for a load. Concerns the regions whose [`Row`] says so.
    pub refresh_ahead: bool,
    /// The bound by which a read may lag behind the writes of other processes that share the store.
    /// [`Cache::follower`](crate::Cache::follower) follows their changes. By default, only this
    /// process writes.
    pub others_write: Option<Duration>,
    /// The limits of the part of each room's log that is kept in memory.
    pub tail: TailLimits,
    /// The rule of the coherence protocol that the cache breaks on purpose, to show that the tests
    /// detect the fault.
    #[cfg(feature = "faults")]
    pub fault: cache_core::Fault,
}

/// The share of a TTL after which a poll starts a load in the background. With the shortest TTL of
/// polled data, 5 seconds, 2.5 seconds are left, in which a tab polls at least once.
const REFRESH_AFTER: f64 = 0.5;

impl Options {
    pub(crate) fn policy(&self, row: &Row) -> Policy {
        let ttl = self.ttls.get(row.region).copied();
        let ttl = ttl.unwrap_or_else(|| row.ttl(self.preset));
        let capacity = self.capacities.get(row.region).copied();
        let policy = Policy::new(ttl, capacity.unwrap_or(row.capacity));
        // A room's log may weigh as much as the limits allow, and one message more.
        let heaviest = if row.unit == "bytes" {
            (self.tail.bytes as u64).saturating_mul(2)
        } else {
            1
        };
        let max_weight = policy.max_weight.max(heaviest);
        let policy = policy.max_weight(max_weight);
        if self.refresh_ahead && row.is_polled {
            policy.refresh_after(REFRESH_AFTER)
        } else {
            policy
        }
    }
}
