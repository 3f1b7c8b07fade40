//! The entry of a value in the store: its key with its times, and queries that test them.

use std::{
    borrow::Borrow,
    cell::RefCell,
    hash::{Hash, Hasher},
};

use quick_cache::Equivalent;

use super::entry::Tag;
use crate::{
    clock::Nanos,
    sync::{Arc, plain},
};

/// The time at which a value was loaded, the times until which it may be served, and its weight.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) loaded_at: Nanos,
    pub(crate) expires_at: Nanos,
    /// The time from which a reader starts a refresh, or `expires_at` if that is earlier: a hit
    /// compares with one time only. 0 in a region with a time to idle, whose reads take the longer
    /// way by [`Store::get`](super::store::Store::get).
    pub(crate) fresh_until: Nanos,
    pub(crate) weight: u32,
}

/// The parts of an entry that only some regions need.
pub(crate) struct Extra {
    /// The time from which a reader starts a refresh, in a region with a time to idle.
    pub(crate) refresh_at: Nanos,
    /// The time of the last read, in a region with a time to idle.
    used_at: plain::AtomicU64,
    /// The time before which no load is tried again, after one has failed.
    retry_at: plain::AtomicU64,
    pub(crate) tags: Vec<Tag>,
}

// Relaxed: the times order nothing, and a read that overlaps another may see either time.
impl Extra {
    pub(super) fn new(refresh_at: Nanos, used_at: Nanos, tags: Vec<Tag>) -> Self {
        Self {
            refresh_at,
            used_at: plain::AtomicU64::new(used_at),
            retry_at: plain::AtomicU64::new(0),
            tags,
        }
    }

    pub(super) fn used_at(&self) -> Nanos {
        self.used_at.load(plain::Ordering::Relaxed)
    }

    pub(super) fn set_used_at(&self, now: Nanos) {
        self.used_at.store(now, plain::Ordering::Relaxed);
    }

    pub(super) fn retry_at(&self) -> Nanos {
        self.retry_at.load(plain::Ordering::Relaxed)
    }

    pub(super) fn set_retry_at(&self, time: Nanos) {
        self.retry_at.store(time, plain::Ordering::Relaxed);
    }
}

/// A value with its times and the rest of its entry.
pub(crate) struct Slot<V> {
    pub(crate) value: V,
    pub(crate) times: Times,
    pub(crate) extra: Option<Arc<Extra>>,
}

/// A key with the times of its value.
///
/// A look-up checks the times where it compares keys, under the lock of the shard that it needs
/// anyway, and clones nothing but a fresh value. Equality and hash are those of the key alone, so a
/// value that replaces another brings its own times.
#[derive(Clone)]
pub(crate) struct Timed<K> {
    pub(crate) key: K,
    pub(crate) times: Times,
    pub(super) extra: Option<Arc<Extra>>,
}

impl<K> Timed<K> {
    pub(crate) fn tags(&self) -> &[Tag] {
        self.extra.as_ref().map_or(&[], |extra| &extra.tags)
    }

    /// Returns the time from which the entry is not served any more, unless it is served stale.
    pub(crate) fn ends_at(&self, idle: Option<Nanos>) -> Nanos {
        ends_at(&self.times, self.extra.as_deref(), idle)
    }
}

impl<V> Slot<V> {
    /// Returns the time as [`Timed::ends_at`] does.
    pub(super) fn ends_at(&self, idle: Option<Nanos>) -> Nanos {
        ends_at(&self.times, self.extra.as_deref(), idle)
    }
}

fn ends_at(times: &Times, extra: Option<&Extra>, idle: Option<Nanos>) -> Nanos {
    match (idle, extra) {
        (Some(idle), Some(extra)) => times.expires_at.min(extra.used_at().saturating_add(idle)),
        _ => times.expires_at,
    }
}

impl<K: PartialEq> PartialEq for Timed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Eq> Eq for Timed<K> {}

impl<K: Hash> Hash for Timed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// A query for a key whose entry passes a test. `Q` is a borrowed form of the key.
pub(super) struct Query<'a, Q: ?Sized, P> {
    pub(super) key: &'a Q,
    pub(super) passes: P,
}

impl<Q: Hash + ?Sized, P> Hash for Query<'_, Q, P> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<K: Borrow<Q>, Q: Eq + ?Sized, P: Fn(&Timed<K>) -> bool> Equivalent<Timed<K>>
    for Query<'_, Q, P>
{
    #[inline]
    fn equivalent(&self, stored: &Timed<K>) -> bool {
        *self.key == *stored.key.borrow() && (self.passes)(stored)
    }
}

/// The times of an entry and the rest of it, as a query copies them.
pub(super) type Copied = (Times, Option<Arc<Extra>>);

/// Queries a key with any times, and copies its entry to `copied`.
pub(super) fn with_entry<'a, K, Q: ?Sized>(
    key: &'a Q,
    copied: &'a RefCell<Option<Copied>>,
) -> Query<'a, Q, impl Fn(&Timed<K>) -> bool> {
    let passes = |found: &Timed<K>| {
        copied.replace(Some((found.times, found.extra.clone())));
        true
    };
    Query { key, passes }
}

/// Returns a value with what a query copied of its entry.
pub(super) fn slot<V>(value: V, copied: RefCell<Option<Copied>>) -> Option<Slot<V>> {
    let (times, extra) = copied.into_inner()?;
    Some(Slot {
        value,
        times,
        extra,
    })
}
