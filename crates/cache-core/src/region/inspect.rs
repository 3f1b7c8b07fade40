//! The entries of a region as an operator sees them, with the types of the region erased.

use std::time::Duration;

use super::{entry::Tag, policy::Key, state::RegionState};
use crate::clock::Nanos;

/// An entry in memory. [`Manager::entries`](crate::Manager::entries) returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// The printed key with the region's name, such as `names:7`.
    pub key: String,
    /// `true` if the entry says that the source has no value for the key.
    pub is_absence: bool,
    /// The time since the load of the value began.
    pub age: Duration,
    /// The time until the entry expires; zero if it has expired.
    pub time_left: Duration,
    /// The weight in the unit of the region's capacity; zero for an absence.
    pub weight: u32,
    /// The tags of the value.
    pub tags: Vec<Tag>,
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the entries whose printed key contains `text`, sorted by key. Does not count as a
    /// use. Returns none if the region's keys are not printed.
    pub(super) fn entries(&self, text: &str) -> Vec<EntryInfo> {
        if self.printing.is_none() {
            return Vec::new();
        }
        let now = self.clock.now();
        let entry = |key: &K, loaded_at: Nanos, expires_at: Nanos| EntryInfo {
            key: format!("{}:{}", self.name, self.printed(key)),
            is_absence: true,
            age: Duration::from_nanos(now.saturating_sub(loaded_at)),
            time_left: Duration::from_nanos(expires_at.saturating_sub(now)),
            weight: 0,
            tags: Vec::new(),
        };
        let values = self.store.timed().into_iter().map(|timed| EntryInfo {
            is_absence: false,
            weight: timed.times.weight,
            tags: timed.tags().to_vec(),
            ..entry(&timed.key, timed.times.loaded_at, timed.times.expires_at)
        });
        let absences = self.store.absences();
        let absences = absences.map(|(key, found)| entry(&key, found.loaded_at, found.expires_at));
        let all = values.chain(absences);
        let mut entries: Vec<_> = all.filter(|entry| entry.key.contains(text)).collect();
        entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        entries
    }
}
