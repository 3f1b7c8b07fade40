//! The tags of a region's entries: which keys carry a tag, and which tags were invalidated lately.
//!
//! The tags of a value are known only when its load ends. So a load that began before an
//! invalidation of one of its tags must not be stored, and no reader that comes after the
//! invalidation may join it. Both follow from one number: how many invalidations there were when
//! the load began.
//!
//! **Lock order**: the index is locked after a stripe, or alone.

use std::{
    collections::{HashMap, VecDeque, hash_map},
    hash::Hash,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use super::entry::Tag;
use crate::{
    rules::Rules,
    sync::{AtomicU64, Mutex, Ordering},
};

/// How many invalidations are remembered. A load that began before them is not stored if it has
/// tags. More than any number of tags that are invalidated during one load.
const REMEMBERED: usize = if cfg!(shuttle) { 2 } else { 1_024 };

pub(crate) struct Tags<K> {
    /// The number of invalidations so far.
    count: AtomicU64,
    /// The number of tags over which a write is open, each counted once for each write.
    open: AtomicU64,
    index: Mutex<Index<K>>,
}

struct Index<K> {
    /// The keys that carry each tag. A key counts as often as entries of it carry the tag: while
    /// one entry replaces another, there are two.
    keys: HashMap<Tag, HashMap<K, usize>>,
    /// The tags that writes make stale now, each with the number of these writes.
    open: HashMap<Tag, usize>,
    /// The last invalidations, in order.
    recent: VecDeque<Tag>,
}

impl<K> Default for Tags<K> {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            open: AtomicU64::new(0),
            index: Mutex::new(Index {
                keys: HashMap::new(),
                open: HashMap::new(),
                recent: VecDeque::new(),
            }),
        }
    }
}

impl<K: Clone + Eq + Hash> Tags<K> {
    /// Returns the number of invalidations so far.
    pub(crate) fn count(&self) -> u64 {
        // SeqCst, like its update: a reader that begins after an invalidation sees it.
        self.count.load(Ordering::SeqCst)
    }

    /// Returns `true` while a write over a tag is open. Any key may turn out to carry the tag, so
    /// misses of the whole region bypass the cache then.
    pub(crate) fn is_open(&self) -> bool {
        // SeqCst, like its updates: a reader that begins after the write did sees it.
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Records that an entry with these tags is about to be stored. Returns `None` if one of them
    /// was invalidated after there had been `since` invalidations, or is being written: then the
    /// entry must not be stored. The caller holds the lock of the key's stripe.
    pub(super) fn admit<'a>(
        &'a self,
        key: &'a K,
        tags: &'a [Tag],
        since: u64,
        rules: &Rules,
    ) -> Option<Admitted<'a, K>> {
        let mut admitted = Admitted {
            index: self,
            key,
            tags: &tags[..0],
        };
        if tags.is_empty() {
            return Some(admitted);
        }
        let mut index = self.index.lock();
        let missed = self.count().saturating_sub(since);
        let missed = usize::try_from(missed).unwrap_or(usize::MAX);
        let remembered = index.recent.len();
        let is_stale = missed > remembered
            || index
                .recent
                .range(remembered - missed..)
                .any(|tag| tags.contains(tag))
            || tags.iter().any(|tag| index.open.contains_key(tag));
        if !rules.only_with_valid_tags(!is_stale) {
            return None;
        }
        for (position, tag) in tags.iter().enumerate() {
            let keys = index.keys.entry(tag.clone()).or_default();
            let count = || *keys.entry(key.clone()).or_default() += 1;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(count)) {
                // Unlocked first, because the destructor of `admitted` locks it.
                drop(index);
                drop(admitted);
                resume_unwind(panic);
            }
            admitted.tags = &tags[..=position];
        }
        drop(index);
        Some(admitted)
    }

    /// Records that an entry with these tags is gone.
    pub(super) fn forget(&self, key: &K, tags: &[Tag]) {
        if tags.is_empty() {
            return;
        }
        let mut index = self.index.lock();
        for tag in tags {
            let Some(keys) = index.keys.get_mut(tag) else {
                continue;
            };
            if let Some(count) = keys.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    keys.remove(key);
                }
            }
            if keys.is_empty() {
                index.keys.remove(tag);
            }
        }
    }

    /// Invalidates a tag. Returns the keys whose entries carry it, for the caller to remove.
    pub(crate) fn invalidate(&self, tag: &Tag) -> Vec<K> {
        let mut index = self.index.lock();
        self.record(&mut index, tag);
        keys_of(&index, tag)
    }

    /// Records that a write begins which makes the entries of a tag stale. Returns their keys, for
    /// the caller to remove.
    pub(crate) fn open(&self, tag: &Tag) -> Vec<K> {
        let mut index = self.index.lock();
        *index.open.entry(tag.clone()).or_default() += 1;
        // SeqCst: see `is_open`.
        self.open.fetch_add(1, Ordering::SeqCst);
        self.record(&mut index, tag);
        keys_of(&index, tag)
    }

    /// Records that the write has ended: a load that began before then is not stored.
    pub(crate) fn close(&self, tag: &Tag) {
        let mut index = self.index.lock();
        if let hash_map::Entry::Occupied(mut open) = index.open.entry(tag.clone()) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
        // Before the region is open again: a load that began until now is not joined any more.
        self.record(&mut index, tag);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns the number of tags over which a write is open, each counted once for each write.
    #[cfg(feature = "internals")]
    pub(super) fn open_writes(&self) -> usize {
        self.index.lock().open.values().sum()
    }

    /// Returns how many entries carry tags, each counted once for each of them.
    #[cfg(feature = "internals")]
    pub(super) fn len(&self) -> usize {
        let index = self.index.lock();
        index.keys.values().flat_map(HashMap::values).sum()
    }

    fn record(&self, index: &mut Index<K>, tag: &Tag) {
        if index.recent.len() == REMEMBERED {
            index.recent.pop_front();
        }
        index.recent.push_back(tag.clone());
        // SeqCst: see `count`. Under the lock, so that it counts what `recent` holds.
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// The tags of an entry that is about to be stored. Dropping it takes them back, as when code of
/// the key panics before the entry is stored.
pub(super) struct Admitted<'a, K: Clone + Eq + Hash> {
    index: &'a Tags<K>,
    key: &'a K,
    tags: &'a [Tag],
}

impl<K: Clone + Eq + Hash> Admitted<'_, K> {
    /// States that the entry is stored.
    pub(super) fn keep(mut self) {
        self.tags = &[];
    }
}

impl<K: Clone + Eq + Hash> Drop for Admitted<'_, K> {
    fn drop(&mut self) {
        self.index.forget(self.key, self.tags);
    }
}

fn keys_of<K: Clone>(index: &Index<K>, tag: &Tag) -> Vec<K> {
    let keys = index.keys.get(tag);
    keys.map_or_else(Vec::new, |keys| keys.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<K: Clone + Eq + Hash> Tags<K> {
        fn admits(&self, key: &K, tags: &[Tag], since: u64) -> bool {
            let rules = crate::rules::tests::rules();
            self.admit(key, tags, since, &rules)
                .map(Admitted::keep)
                .is_some()
        }
    }

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| Tag::from(*name)).collect()
    }

    #[test]
    fn an_entry_is_refused_if_one_of_its_tags_was_invalidated_since_its_load_began() {
        let all = Tags::<u8>::default();
        let began = all.count();
        assert_eq!(all.invalidate(&"a".into()), []);
        assert!(all.admits(&1, &tags(&["b"]), began));
        assert!(!all.admits(&2, &tags(&["b", "a"]), began));
        assert!(all.admits(&2, &tags(&["b", "a"]), all.count()));
        assert_eq!(all.invalidate(&"a".into()), [2]);
    }

    #[test]
    fn an_entry_is_refused_if_too_many_invalidations_came_since_its_load_began() {
        let all = Tags::<u8>::default();
        for _ in 0..REMEMBERED {
            all.invalidate(&"a".into());
        }
        assert!(all.admits(&1, &tags(&["b"]), 0));
        all.invalidate(&"a".into());
        assert!(!all.admits(&1, &tags(&["b"]), 0));
        assert!(
            all.admits(&1, &[], 0),
            "an entry without tags is not concerned"
        );
    }

    #[test]
    fn an_entry_is_refused_while_its_tag_is_written_and_if_its_load_began_then() {
        let all = Tags::<u8>::default();
        all.open(&"a".into());
        all.open(&"a".into());
        let began = all.count();
        assert!(!all.admits(&1, &tags(&["a"]), began));
        all.close(&"a".into());
        assert!(!all.admits(&1, &tags(&["a"]), all.count()));
        all.close(&"a".into());
        assert!(!all.admits(&1, &tags(&["a"]), began));
        assert!(all.admits(&1, &tags(&["a"]), all.count()));
    }

    #[test]
    fn an_entry_that_is_not_stored_after_all_leaves_no_tag() {
        let all = Tags::<u8>::default();
        let tags = tags(&["a", "b"]);
        let rules = crate::rules::tests::rules();
        drop(all.admit(&1, &tags, 0, &rules));
        assert!(all.index.lock().keys.is_empty());
    }

    #[test]
    fn a_key_carries_its_tag_until_its_last_entry_is_gone() {
        let all = Tags::<u8>::default();
        let (old, new) = (tags(&["a", "b"]), tags(&["a"]));
        assert!(all.admits(&1, &old, 0) && all.admits(&1, &new, 0));
        all.forget(&1, &old);
        assert_eq!(keys_of(&all.index.lock(), &"b".into()), []);
        assert_eq!(keys_of(&all.index.lock(), &"a".into()), [1]);
        all.forget(&1, &new);
        assert!(all.index.lock().keys.is_empty());
    }
}
