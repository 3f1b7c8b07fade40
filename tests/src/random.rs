//! Reproducible random numbers, which a seed determines.

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// A random number generator (`SplitMix64`) that tasks and threads can share.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// Returns a generator that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Returns the seed in the environment variable `GREENROOM_TEST_SEED`, or a new one.
    pub fn seed() -> u64 {
        let given = env::var("GREENROOM_TEST_SEED")
            .ok()
            .map(|seed| seed.parse().expect("GREENROOM_TEST_SEED is a number"));
        given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
    }

    /// Returns a random number from 0 to `end - 1`. Panics if `end` is 0.
    pub fn below(&self, end: usize) -> usize {
        let mut z = self
            .0
            // Relaxed: each draw needs only a distinct value; it orders no other memory.
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("the remainder is below a usize")
    }

    /// Returns a random item of `items`. Panics if `items` is empty.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Returns `true` with a probability of this many percent.
    pub fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Returns a new generator whose seed is drawn from this one. With its own generator, a
    /// concurrent task draws numbers that do not depend on the order in which tasks run.
    pub fn split(&self) -> Self {
        Self::new(self.below(usize::MAX) as u64)
    }

    /// Shuffles `items` into a random order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}
