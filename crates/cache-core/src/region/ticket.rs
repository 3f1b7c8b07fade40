//! [`Ticket`], for callers who read the source by themselves.

use std::fmt;

use super::{
    Region,
    entry::{Entry, Terms},
    flight::{Began, Flight},
    install::Row,
    loader::Loaded,
    policy::Key,
};
use crate::{clock::Nanos, sync::Arc};

/// The right to store a value that its owner is about to read. [`Region::begin`] returns one.
///
/// A write, an invalidation or another load of the key voids the ticket: the value may be older
/// then, and is not stored. Readers of the key do not wait for the ticket. If other processes
/// write, an owner that drops the ticket unfinished calls [`Region::will_return`] before it returns
/// what it has read.
///
/// ```
/// # use cache_core::*;
/// # use std::time::Duration;
/// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
/// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
/// # fn read_from_source() -> &'static str { "Ada" }
/// let ticket = names.begin(7);
/// let name = read_from_source();
/// assert!(ticket.finish(name));
///
/// let ticket = names.begin(7);
/// let name = read_from_source();
/// names.remove(&7); // A write or an invalidation in between.
/// assert!(!ticket.finish(name));
/// assert_eq!(names.get(&7), None);
/// ```
#[must_use = "a ticket stores nothing until it is finished"]
pub struct Ticket<K: Key, V: Clone + Send + Sync + 'static> {
    region: Region<K, V>,
    key: K,
    flight: Arc<Flight<K, V>>,
    began_at: Nanos,
}

impl<K: Key, V: Clone + Send + Sync + 'static> fmt::Debug for Ticket<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// Returns a ticket for a caller who reads the value of `key` from the source after this call.
    ///
    /// The ticket is void from the beginning while a write of the key is open, while a load of the
    /// key is in progress, and while the region is switched off. It voids an earlier ticket.
    /// [`Ticket`] has an example.
    pub fn begin(&self, key: K) -> Ticket<K, V> {
        let state = &*self.state;
        let began_at = state.clock.now();
        let mut stripe = state.stripe(&key);
        let began = Began {
            is_ticket: true,
            ..state.begin()
        };
        let region_open = state.is_region_open(&stripe, &key);
        let progress = stripe.keys.entry(key.clone()).or_default();
        let is_loading = progress.load().is_some_and(|load| !load.began.is_ticket);
        let flight = if progress.is_open(region_open) || is_loading {
            Flight::unregistered()
        } else {
            state.register(&key, began, progress)
        };
        stripe.forget_idle(&key);
        drop(stripe);
        Ticket {
            region: self.clone(),
            key,
            flight,
            began_at,
        }
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Ticket<K, V> {
    /// Stores the value that was read from the source. Returns `true` if it was stored.
    pub fn finish(self, value: V) -> bool {
        self.finish_entry(Entry::new(value))
    }

    /// Stores the value as [`Ticket::finish`] does, with its own TTL and tags.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let names = manager.region("names", Policy::new(Duration::from_secs(60), 100));
    /// let ticket = names.begin(7);
    /// assert!(ticket.finish_entry(Entry::new("Ada").tag("engineers")));
    /// assert_eq!(manager.invalidate_tag("engineers"), 1);
    /// ```
    pub fn finish_entry(self, entry: Entry<V>) -> bool {
        let Entry { value, terms } = entry;
        self.end(Some(value), terms)
    }

    /// States that the source has no value. Returns `true` if the absence was stored.
    ///
    /// ```
    /// # use cache_core::*;
    /// # use std::time::Duration;
    /// # let manager = Manager::new(Runtime::new(Clock::manual().0, drop), Unknown::Never);
    /// # let policy = Policy::new(Duration::from_secs(60), 100);
    /// # let names = manager.region::<u64, &str>("names", policy);
    /// assert!(names.begin(7).finish_absent());
    /// assert_eq!(names.len(), 1);
    /// ```
    pub fn finish_absent(self) -> bool {
        self.end(None, Terms::default())
    }

    fn end(self, value: Option<V>, terms: Terms) -> bool {
        let loaded = Loaded {
            value,
            at: self.began_at,
        };
        let row = Row { loaded, terms };
        self.region.state.end_load(&self.key, &self.flight, Ok(row))
    }
}

/// A ticket that is dropped unfinished stores nothing.
impl<K: Key, V: Clone + Send + Sync + 'static> Drop for Ticket<K, V> {
    fn drop(&mut self) {
        let state = &self.region.state;
        state.stripe(&self.key).unregister(&self.key, &self.flight);
    }
}
