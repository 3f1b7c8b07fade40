//! The entries of a region as an operator sees them, with the types of the region erased.

use std::{collections::BinaryHeap, fmt::Write as _, time::Duration};

use super::{policy::Key, state::RegionState};
use crate::clock::Nanos;

/// Entries of a region. [`Manager::entries`](crate::Manager::entries) returns them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entries {
    /// The number of all entries that were asked for.
    pub count: usize,
    /// The first of them, sorted by key.
    pub first: Vec<EntryInfo>,
}

/// An entry in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
}

impl<K: Key, V: Clone + Send + Sync + 'static> RegionState<K, V> {
    /// Returns the entries whose printed key contains `text`, at most `most` of them. Does not
    /// count as a use. Returns none if the region's keys are not printed.
    pub(super) fn entries(&self, text: &str, most: usize) -> Entries {
        if self.printing.is_none() {
            return Entries::default();
        }
        let now = self.clock.now();
        let mut printed = String::new();
        // The greatest key is at the top, and makes place for smaller ones.
        let (mut count, mut first) = (0, BinaryHeap::new());
        let mut visit = |key: &K, loaded_at: Nanos, expires_at: Nanos, weight: Option<u32>| {
            printed.clear();
            let is_printed = write!(printed, "{}:{}", self.name, self.printed(key)).is_ok();
            if !is_printed || !printed.contains(text) {
                return;
            }
            count += 1;
            first.push(EntryInfo {
                key: printed.clone(),
                is_absence: weight.is_none(),
                age: Duration::from_nanos(now.saturating_sub(loaded_at)),
                time_left: Duration::from_nanos(expires_at.saturating_sub(now)),
                weight: weight.unwrap_or(0),
            });
            if first.len() > most {
                first.pop();
            }
        };
        for (key, times) in self.store.timed() {
            visit(&key, times.loaded_at, times.expires_at, Some(times.weight));
        }
        for (key, absent) in self.store.absences() {
            visit(&key, absent.loaded_at, absent.expires_at, None);
        }
        Entries {
            count,
            first: first.into_sorted_vec(),
        }
    }
}
