//! Fronts: what each thread keeps of the values that it reads often, so that a read writes nothing
//! that threads share.

use std::{borrow::Borrow, cell::RefCell, fmt, hash::Hash};

use thread_local::ThreadLocal;

use super::{
    Region,
    changes::KeyHash,
    policy::Key,
    read::{Age, Read, Source},
};
use crate::clock::Nanos;

/// The number of keys of which a thread keeps something. Only keys that several threads read at the
/// same time need a place: those that are read some ten thousand times a second.
const SLOTS: usize = 64;

/// The time after which a thread looks a value up again, in nanoseconds. So the eviction policy
/// sees at least ten uses a second of a value that is glanced at all the time.
const PATIENCE: Nanos = 100_000_000;

/// A way to read small facts of values that many threads read all the time.
///
/// [`Region::front`] returns one. A hit of [`Region::look_up`] takes the lock of a shard and clones
/// the value. Both write to memory that all threads share, so threads that read one key wait for
/// each other. [`Front::glance`] writes to memory of its own thread alone: each thread keeps what
/// `make` made of the values that it read last, together with the count of their changes.
///
/// A glance is as current as a look-up: it never returns a fact of a value that has left the
/// region. It counts as a hit.
///
/// A thread keeps facts of 64 keys at most, and keeps them until it reads other keys or the front
/// is dropped. So facts should be small. Nobody counts their memory.
///
/// ```
/// # use cache_core::*;
/// # use std::time::Duration;
/// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
/// # let texts = manager.region("texts", Policy::new(Duration::from_secs(60), 100));
/// let lengths = texts.front(|text: String| Some(text.len()));
/// assert!(lengths.glance(&7, |length| Some(*length)).is_none(), "nothing is in memory");
///
/// texts.insert(7, "Hello".to_owned());
/// let read = lengths.glance(&7, |length| Some(*length)).unwrap();
/// assert_eq!(read.value, Some(5));
///
/// texts.insert(7, "Bye".to_owned());
/// assert_eq!(lengths.glance(&7, |length| Some(*length)).unwrap().value, Some(3));
/// ```
pub struct Front<K: Send, V, F: Send> {
    region: Region<K, V>,
    make: Box<dyn Fn(V) -> Option<F> + Send + Sync>,
    threads: ThreadLocal<Table<K, F>>,
}

/// The facts that one thread keeps. Aligned to two cache lines, which processors fetch together, so
/// that no thread waits for another one's.
#[repr(align(128))]
struct Table<K, F>(RefCell<[Slot<K, F>; SLOTS]>);

struct Slot<K, F> {
    /// The key that was looked up last. A key takes the slot when it is looked up twice in a row,
    /// so that rare keys displace no frequent one.
    looked_up: Option<KeyHash>,
    fact: Option<Fact<K, F>>,
}

struct Fact<K, F> {
    key: K,
    made: F,
    /// The count of changes before the value was looked up.
    changes: u64,
    loaded_at: Nanos,
    until: Nanos,
}

impl<K, F> Default for Table<K, F> {
    fn default() -> Self {
        Self(RefCell::new(std::array::from_fn(|_| Slot {
            looked_up: None,
            fact: None,
        })))
    }
}

impl<K: Send, V, F: Send> fmt::Debug for Front<K, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Front").field(&self.region).finish()
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns a front for a fact that `make` makes of a value. If `make` returns `None`, glances
    /// at the value return `None`, too.
    ///
    /// Create one front for each kind of fact, and keep it as long as the region.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let texts = manager.region("texts", policy);
    /// let first_letters = texts.front(|text: &str| text.chars().next());
    /// texts.insert(7, "Ada");
    /// texts.insert(8, "");
    /// assert_eq!(first_letters.glance(&7, |letter| Some(*letter)).unwrap().value, Some('A'));
    /// assert!(first_letters.glance(&8, |letter| Some(*letter)).is_none());
    /// ```
    pub fn front<F: Send>(
        &self,
        make: impl Fn(V) -> Option<F> + Send + Sync + 'static,
    ) -> Front<K, V, F> {
        Front {
            region: self.clone(),
            make: Box::new(make),
            threads: ThreadLocal::new(),
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static, F: Send> Front<K, V, F> {
    /// Returns the result of `read` on the fact of a key, and counts a hit. Returns `None` and
    /// counts nothing if `make` or `read` returns `None`, if the value is not in memory or not
    /// fresh, if a refresh is due, and in a region with a time to idle.
    ///
    /// `read` may glance at other keys.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let texts = manager.region("texts", policy);
    /// let lengths = texts.front(|text: &str| Some(text.len()));
    /// texts.insert("ada".to_owned(), "Ada Lovelace");
    /// let is_long = |length: &usize| (*length > 10).then_some(());
    /// assert!(lengths.glance("ada", is_long).is_some());
    /// ```
    #[inline]
    pub fn glance<Q, T>(&self, key: &Q, read: impl FnOnce(&F) -> Option<T>) -> Option<Read<T>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let state = &*self.region.state;
        let now = state.clock.now();
        if state.serving.is_over(now) {
            return None;
        }
        let hash = state.store.changes().hash(key);
        // Sampled before a value is looked up: a change in between ends the fact.
        let changes = state.store.changes().get(hash.count());
        let table = &self.threads.get_or_default().0;
        if let Ok(slots) = table.try_borrow()
            && let Some(kept) = &slots[hash.place(SLOTS)].fact
            && kept.changes == changes
            && now < kept.until
            && kept.key.borrow() == key
        {
            let value = read(&kept.made)?;
            state.count_hit(key);
            return Some(Read {
                value: Some(value),
                source: Source::Hit,
                age: Age::between(kept.loaded_at, now),
            });
        }
        self.look_up(key, hash, changes, now, table, read)
    }

    /// Makes the fact of the value in memory. Keeps it if the key is frequent.
    fn look_up<Q, T>(
        &self,
        key: &Q,
        hash: KeyHash,
        changes: u64,
        now: Nanos,
        table: &RefCell<[Slot<K, F>; SLOTS]>,
        read: impl FnOnce(&F) -> Option<T>,
    ) -> Option<Read<T>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let state = &*self.region.state;
        let (value, times) = state.store.fresh_with_times(key, now)?;
        let made = (self.make)(value)?;
        let value = read(&made);
        let fact = Fact {
            key: key.to_owned(),
            made,
            changes,
            loaded_at: times.loaded_at,
            until: times.fresh_until.min(now.saturating_add(PATIENCE)),
        };
        drop(keep(table, hash, fact));
        let value = value?;
        state.count_hit(key);
        Some(Read {
            value: Some(value),
            source: Source::Hit,
            age: Age::between(times.loaded_at, now),
        })
    }
}

/// Keeps a fact if its key was looked up twice in a row, or has the slot already. Returns the fact
/// that is no longer needed, which is dropped where the table is not borrowed.
fn keep<K: PartialEq, F>(
    table: &RefCell<[Slot<K, F>; SLOTS]>,
    hash: KeyHash,
    fact: Fact<K, F>,
) -> Option<Fact<K, F>> {
    // Borrowed by a reader of another fact, within which this one is read.
    let Ok(mut slots) = table.try_borrow_mut() else {
        return Some(fact);
    };
    let slot = &mut slots[hash.place(SLOTS)];
    let has_slot = slot.fact.as_ref().is_some_and(|kept| kept.key == fact.key);
    let was_looked_up = slot.looked_up.replace(hash) == Some(hash);
    if has_slot || was_looked_up {
        slot.fact.replace(fact)
    } else {
        Some(fact)
    }
}
