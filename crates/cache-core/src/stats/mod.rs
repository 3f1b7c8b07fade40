//! The statistics of a region.

mod hits;
pub(crate) mod loading;

use std::time::Duration;

use crate::{
    region::policy::Policy,
    sync::plain::{AtomicU64, Ordering},
};

use self::hits::Hits;

/// The one table of all statistics. [`Stats`], [`Counters`] and their functions derive from it.
macro_rules! statistics {
    (
        counted {$( $(#[doc = $doc:literal])+ $name:ident: $counter:ty, )+}
        measured {$( $(#[doc = $measured_doc:literal])+ $measured:ident, )+}
    ) => {
        /// The statistics of a region: what it has counted since it was created, and its size now.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct Stats {
            $( $(#[doc = $doc])+ pub $name: u64, )+
            $( $(#[doc = $measured_doc])+ pub $measured: u64, )+
        }

        impl Stats {
            /// Adds the statistics of another region.
            pub fn add(&mut self, other: &Self) {
                $( self.$name += other.$name; )+
                $( self.$measured += other.$measured; )+
            }

            /// Returns each number with its name, in the order of the fields.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [
                    $( (stringify!($name), self.$name), )+
                    $( (stringify!($measured), self.$measured), )+
                ]
                .into_iter()
            }
        }

        /// The counters behind [`Stats`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $( pub(crate) $name: $counter, )+
        }

        impl Counters {
            /// Returns the statistics of a region with these counters and measures.
            pub(crate) fn stats(&self, $( $measured: u64, )+) -> Stats {
                Stats {
                    $( $name: self.$name.get(), )+
                    $( $measured, )+
                }
            }
        }
    };
}

statistics! {
    counted {
        /// Reads answered from memory, including cached absences.
        hits: Hits,
        /// Reads that found nothing in memory that could be served. An expired value that is served
        /// without asking the source counts as `stale_served` only.
        misses: Count,
        /// Runs of a loader. A batch and a refresh count as one run each.
        loads: Count,
        /// Values that a load refreshed in the background, before they expired.
        refreshes: Count,
        /// Misses that waited for a load which another read had started.
        joins: Count,
        /// Loads of one key that bypassed the cache: because a write was open, because the caller
        /// asked for it, or because the region is switched off.
        past_loads: Count,
        /// Reads that bypassed the cache because the caller asked for it, or because the region is
        /// switched off. They are neither hits nor misses.
        bypasses: Count,
        /// Loads that failed, timed out or panicked, and those that did not run because too many
        /// waited for a permit.
        load_failures: Count,
        /// Results of loads, and inserted values, that were not stored because a write or an
        /// invalidation had overtaken them.
        refused_stores: Count,
        /// Values that were not stored because they were heavier than
        /// [`Policy::max_weight`](crate::Policy::max_weight).
        too_heavy: Count,
        /// Reads that returned an expired value because the load had failed, had failed lately, or
        /// took longer than the soft timeout.
        stale_served: Count,
        /// Entries removed by writes and by hand.
        invalidations: Count,
        /// Windows whose write stored nothing because another write had overlapped it.
        contended_closes: Count,
        /// Entries evicted because the region was full.
        evicted_by_capacity: Count,
        /// Entries that a cleanup removed because they had expired.
        evicted_by_expiry: Count,
        /// Windows of writes that are open now. A write over a region, or over a part, has one.
        open_windows: Count,
        /// Open windows of writes whose outcome is unknown.
        unknown_windows: Count,
        /// Writes that are open now and may create a key. While there is one, misses of the whole
        /// region bypass the cache.
        open_creates: Count,
        /// Open creates whose outcome is unknown.
        unknown_creates: Count,
    }
    measured {
        /// Entries in memory now, including absences.
        size,
        /// The weight of the values in memory now, in the unit of the capacity.
        weight,
    }
}

/// The statistics of one region, with its name and policy. [`Manager::stats`] returns them.
///
/// [`Manager::stats`]: crate::Manager::stats
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RegionStats {
    /// The name of the region.
    pub name: &'static str,
    /// The policy with which it was created.
    pub policy: Policy,
    /// The counts since the region was created, and its size now.
    pub stats: Stats,
    /// `false` while the region is switched off. Its reads then go past the cache.
    pub is_enabled: bool,
    /// The number of loads in progress. A load that waits for a permit is not one yet.
    pub loading: usize,
    /// The age of the oldest load in progress.
    pub oldest_load: Option<Duration>,
}

impl Stats {
    /// Returns the number of hits and misses.
    pub fn total_requests(&self) -> u64 {
        self.hits + self.misses
    }

    /// Returns the hits per request in percent, with two decimals; 0 if there was no request.
    #[expect(clippy::cast_precision_loss, reason = "two decimals of a percentage")]
    pub fn hit_rate(&self) -> f64 {
        match self.total_requests() {
            0 => 0.0,
            total => (self.hits as f64 / total as f64 * 10_000.0).round() / 100.0,
        }
    }
}

/// A counter. All accesses are relaxed: statistics order nothing else.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn subtract(&self, n: usize) {
        self.0.fetch_sub(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_adds_each_number() {
        let counters = Counters::default();
        counters.hits.one();
        counters.misses.add(2);
        counters.unknown_windows.add(3);
        let one = counters.stats(4, 5);
        let mut sum = Stats::default();
        sum.add(&one);
        assert_eq!(sum, one);
        sum.add(&one);
        let doubled = one.named().map(|(name, number)| (name, 2 * number));
        assert!(sum.named().eq(doubled));
        assert_eq!((sum.hits, sum.misses, sum.unknown_windows), (2, 4, 6));
        assert_eq!((sum.size, sum.weight), (8, 10));
    }

    #[test]
    fn the_hit_rate_is_in_percent_with_two_decimals() {
        assert!(
            (Stats {
                hits: 2,
                misses: 1,
                ..Stats::default()
            }
            .hit_rate()
                - 66.67)
                .abs()
                < 1e-9
        );
        assert!(Stats::default().hit_rate().abs() < 1e-9);
    }
}
