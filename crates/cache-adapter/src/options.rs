//! Settings of a cache.

use std::{collections::HashMap, time::Duration};

use cache_core::Policy;

use crate::{
    newest::TailLimits,
    row::{Preset, Row},
};

/// Settings of a [`Cache`](crate::Cache). The default is [`Preset::Classic`] without changes.
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
    /// The TTLs of regions that `ttls` does not name.
    pub preset: Preset,
    /// TTLs by region name. A name that is no region's has no effect.
    pub ttls: HashMap<String, Duration>,
    /// Capacities by region name, in the unit of the region's [`Row`].
    pub capacities: HashMap<String, u64>,
    /// How much of each room's log is kept in memory.
    pub tail: TailLimits,
    /// The rule of the coherence protocol to break, for tests of the tests.
    #[cfg(feature = "faults")]
    pub fault: cache_core::Fault,
}

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
        Policy {
            max_weight: policy.max_weight.max(heaviest),
            ..policy
        }
    }
}
