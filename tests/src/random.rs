//! Seeded random numbers: the same seed gives the same ones.

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// `SplitMix64`, shared by whoever draws from it.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The seed in the environment variable `GREENROOM_TEST_SEED`, else a new one.
    pub fn seed() -> u64 {
        let given = env::var("GREENROOM_TEST_SEED")
            .ok()
            .map(|seed| seed.parse().expect("GREENROOM_TEST_SEED is a number"));
        given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: usize) -> usize {
        let mut z = self
            .0
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("it is below a usize")
    }

    /// One of `of`, which is not empty.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Whether an event of so many percent happens.
    pub fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Puts `items` into another order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}
