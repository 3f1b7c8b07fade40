//! Counts of changes, by which a reader notices without a look-up that a value may have left the
//! store.

use std::hash::{BuildHasher, Hash};

use crate::{
    rules::Rules,
    sync::{AtomicU64, FastHashBuilder, Ordering},
};

/// The number of counts. An idle reader of one key is disturbed by one in 64 changes of others. Few
/// under the explorer, so that schedules share counts.
pub(crate) const COUNTS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// The number of changes of the keys of each stripe.
///
/// A change is counted under the lock under which it happens: that of the shard of the store if a
/// value leaves it, or that of the log if a copy changes in place. A reader samples the count, and
/// then looks the value up, which takes the same lock. While it finds the same count, no other
/// reader can have seen the value gone: a look-up now would find the same value. A value that is
/// stored where none was is not counted, because no reader relies on it.
pub(crate) struct Changes {
    counts: [AtomicU64; COUNTS],
    /// A fast hash function, because a glance at a value costs little more than hashing its key.
    hash: FastHashBuilder,
    rules: Rules,
}

/// The hash of a key, which chooses its count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// Returns the index of the key's count.
    pub(crate) fn count(self) -> usize {
        remainder(self.0, COUNTS)
    }

    /// Returns an index below `n` that is independent of the count.
    pub(crate) fn place(self, n: usize) -> usize {
        remainder(self.0 >> 32, n)
    }
}

fn remainder(hash: u64, n: usize) -> usize {
    usize::try_from(hash % n as u64).expect("a remainder of a usize fits in a usize")
}

impl Changes {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            hash: FastHashBuilder::default(),
            rules,
        }
    }

    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> KeyHash {
        KeyHash(self.hash.hash_one(key))
    }

    /// Returns the number of changes so far.
    #[inline]
    pub(crate) fn get(&self, count: usize) -> u64 {
        // SeqCst, like the increments: a reader compares two samples with a look-up between them,
        // and none of these may be reordered.
        self.counts[count].load(Ordering::SeqCst)
    }

    /// Counts a change of a key. Called under the lock under which the change happens.
    pub(crate) fn count<Q: Hash + ?Sized>(&self, key: &Q) {
        self.add(key, self.rules.per_change());
    }

    /// Counts a change after its lock was released, which only a planted fault does.
    pub(crate) fn count_late<Q: Hash + ?Sized>(&self, key: &Q) {
        self.add(key, self.rules.per_change_late());
    }

    fn add<Q: Hash + ?Sized>(&self, key: &Q, amount: u64) {
        if amount > 0 {
            self.counts[self.hash(key).count()].fetch_add(amount, Ordering::SeqCst);
        }
    }
}
