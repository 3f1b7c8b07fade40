//! The size of a region, and how it is divided into shards.

use quick_cache::{Options, OptionsBuilder};

/// The size of a store, in the unit of its weigher.
pub(crate) struct Size {
    pub(crate) capacity: u64,
    /// The weight of the heaviest value that is stored.
    pub(crate) max_weight: u64,
    /// The number of entries that the capacity typically holds.
    pub(crate) items: usize,
    /// The number of absences that are stored besides.
    pub(crate) absences: usize,
}

/// The most shards of a store: enough for as many threads as seldom meet in one.
const MAX_SHARDS: u64 = 64;
/// The fewest entries of a shard. `quick_cache` makes fewer shards if theirs were fewer.
const MIN_ENTRIES: u64 = 32;

impl Size {
    /// Returns the options of a cache of this size.
    pub(super) fn options(&self) -> Options {
        let shards = self.shards();
        OptionsBuilder::new()
            .weight_capacity(self.rounded_capacity(shards))
            .estimated_items_capacity(self.items)
            .shards(usize::try_from(shards).expect("at most MAX_SHARDS"))
            .build()
            .expect("both capacities are set")
    }

    /// Returns the number of shards: a power of two, as large as allows a value of `max_weight` in
    /// each. It does not depend on the number of cores, so that a value which one machine stores is
    /// stored by every other, too.
    fn shards(&self) -> u64 {
        if cfg!(shuttle) {
            // One shard takes fewer steps, so that more schedules reach the interesting ones.
            return 1;
        }
        let too_many = |shards: u64| {
            (self.items as u64).div_ceil(shards) < MIN_ENTRIES
                || greatest_in(self.capacity / shards) < self.max_weight
        };
        let mut shards = MAX_SHARDS;
        while shards > 1 && too_many(shards) {
            shards /= 2;
        }
        shards
    }

    /// Returns the capacity as a multiple of the number of shards. `quick_cache` rounds the
    /// capacity of each shard up, so that all shards together could hold more than any other
    /// capacity.
    fn rounded_capacity(&self, shards: u64) -> u64 {
        self.capacity - self.capacity % shards
    }
}

/// Returns the weight of the heaviest value that `quick_cache` takes into a shard of this capacity:
/// its share of frequently used entries, by its own formula.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a capacity, as quick_cache computes it"
)]
pub(super) fn greatest_in(shard: u64) -> u64 {
    ((shard as f64 * 0.97) as u64).clamp(shard.min(1), shard)
}

#[cfg(test)]
mod tests {
    use quick_cache::{DefaultHashBuilder, UnitWeighter, sync};

    use super::*;

    #[test]
    fn the_shards_leave_room_for_the_heaviest_value() {
        for capacity in [0, 1, 2, 99, 100, 101, 1_000, 64 << 20, u64::MAX] {
            for max_weight in [1, 2, capacity / 64, capacity / 16, capacity / 2, capacity] {
                let size = Size {
                    capacity,
                    max_weight,
                    items: 1_000_000,
                    absences: 0,
                };
                let shard = capacity / size.shards();
                let reached = greatest_in(shard) >= max_weight || size.shards() == 1;
                assert!(reached, "{capacity} in {} shards", size.shards());
            }
        }
    }

    #[test]
    fn a_shard_may_have_just_the_fewest_entries_and_just_the_heaviest_value() {
        let size = |capacity: u64, max_weight, items| Size {
            capacity,
            max_weight,
            items,
            absences: 0,
        };
        let (shard, items) = (1 << 20, 1_000_000);
        let capacity = shard * MAX_SHARDS;
        let fewest = usize::try_from(MIN_ENTRIES * MAX_SHARDS).unwrap();
        assert_eq!(size(capacity, 1, fewest).shards(), MAX_SHARDS);
        assert_eq!(size(capacity, 1, fewest - 1).shards(), MAX_SHARDS);
        let fewer = fewest - usize::try_from(MAX_SHARDS).unwrap();
        assert_eq!(size(capacity, 1, fewer).shards(), MAX_SHARDS / 2);
        let heaviest = greatest_in(shard);
        assert_eq!(size(capacity, heaviest, items).shards(), MAX_SHARDS);
        assert_eq!(size(capacity, heaviest + 1, items).shards(), MAX_SHARDS / 2);
    }

    #[test]
    fn all_shards_together_have_the_capacity_or_a_little_less() {
        for entries in (1..3_000).chain([12_345, 100_001]) {
            let size = Size {
                capacity: entries as u64,
                max_weight: 1,
                items: entries,
                absences: 0,
            };
            let cache: sync::Cache<u64, u64> = sync::Cache::with_options(
                size.options(),
                UnitWeighter,
                DefaultHashBuilder::default(),
                sync::DefaultLifecycle::default(),
            );
            let capacity = cache.capacity();
            assert!(capacity <= size.capacity, "{capacity} of {entries}");
            assert!(
                capacity + size.capacity / 32 >= size.capacity,
                "{capacity} of {entries}"
            );
        }
    }
}
