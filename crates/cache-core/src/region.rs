//! One cache for one kind of data.

use std::{collections::HashMap, error::Error, fmt, hash::Hash, str::FromStr, time::Duration};

use crate::{
    bells::Listener,
    clock::{Nanos, nanos},
    flight::{LoadError, Loaded},
    inner::Inner,
    progress::Progress,
    stats::Stats,
    steps::{self, Step},
    sync::{Arc, Ordering},
};

/// What identifies a value. Printed behind the region's name and a colon it is the key by which operators name it.
pub trait Key: Clone + Eq + Hash + fmt::Display + FromStr + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + fmt::Display + FromStr + Send + Sync + 'static> Key for K {}

/// How a region behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long a value is fresh after its load began.
    pub ttl: Duration,
    /// In the weigher's unit; entries, if the region has no weigher.
    pub capacity: u64,
    /// Share of the TTL, 0 to 1, by which it is shortened at random, so that entries don't expire together.
    pub jitter: f64,
    /// Share of the TTL, 0 to 1, after which a read starts a load in the background.
    pub refresh_after: Option<f64>,
    /// How long after its TTL a value is still served, marked as stale, when its load fails.
    pub fail_safe: Option<Duration>,
    /// How long the absence of a value is remembered.
    pub absence_ttl: Duration,
    /// How many absences are remembered.
    pub absences: usize,
}

impl Policy {
    /// Nothing but a TTL and a capacity; absences for 5 seconds, at most 1,000.
    pub fn new(ttl: Duration, capacity: u64) -> Self {
        let absence_ttl = ttl.min(Duration::from_secs(5));
        Self {
            ttl,
            capacity,
            jitter: 0.0,
            refresh_after: None,
            fail_safe: None,
            absence_ttl,
            absences: 1_000,
        }
    }
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<V> {
    /// The value; `None` if the source has none.
    pub value: Option<V>,
    /// Where it came from.
    pub source: Source,
    /// How long ago its load began.
    pub age: Age,
}

/// How long ago a value was read from the source. Nanoseconds until somebody asks: a hit that nobody asks pays no division.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(pub(crate) Nanos);

impl From<Age> for Duration {
    fn from(age: Age) -> Self {
        Self::from_nanos(age.0)
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Memory.
    Hit,
    /// A load that this read began.
    Loaded,
    /// A load that another read began.
    Joined,
    /// A load past the cache, because a write was open.
    DuringWrite,
    /// A load past the cache, because the caller wished it or the region is switched off.
    Bypass,
    /// Memory, after its time: the load failed, and the region is fail-safe.
    Stale,
}

/// A cache for one kind of data, shared by cloning. Made by [`crate::Manager::region`].
pub struct Region<K, V>(pub(crate) Arc<Inner<K, V>>);

impl<K, V> Clone for Region<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Key, V: Clone + Send + Sync + 'static> Region<K, V> {
    /// The fresh value, if it is here: the hit path. Counts a hit or nothing; to be followed by
    /// [`Region::get_or_load`] when it gives `None`, as it also does when a refresh is due.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "what it gives stays in registers: see `fresh`"
    )]
    pub fn look_up(&self, key: &K) -> Option<Read<V>> {
        let (value, age) = self.fresh(key)?;
        self.0.hit(key);
        Some(Read {
            value: Some(value),
            source: Source::Hit,
            age,
        })
    }

    /// What `each` makes of the fresh values of all `keys` and of their ages, in the order of `keys`, or nothing: the hit
    /// path of [`Region::get_or_load_many`]. Counts hits only if it gives them.
    pub fn look_up_many<T>(
        &self,
        keys: &[K],
        mut each: impl FnMut(&K, V, Age) -> T,
    ) -> Option<Vec<T>> {
        let mut made = Vec::with_capacity(keys.len());
        for key in keys {
            let (value, age) = self.fresh(key)?;
            made.push(each(key, value, age));
        }
        for key in keys {
            self.0.hit(key);
        }
        Some(made)
    }

    /// The fresh value of which no refresh is due, and its age. Counts nothing.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what it gives stays in registers")]
    pub(crate) fn fresh(&self, key: &K) -> Option<(V, Age)> {
        // Before the look-up, whose atomic steps let nothing pass: so it is done while the key is hashed. Fresh at a time
        // within the read is fresh.
        let now = self.0.clock.now() | self.0.switched_off.load(Ordering::Relaxed);
        let (value, at) = self.0.store.fresh(key, now)?;
        Some((value, Age(now.saturating_sub(at))))
    }

    /// The fresh value, if it is here. Counts a hit or a miss.
    pub fn get(&self, key: &K) -> Option<V> {
        let found = self.0.find(key).and_then(|(read, _)| read.value);
        if found.is_some() {
            self.0.hit(key);
        } else {
            self.0.miss(key);
        }
        found
    }

    /// Stores a value that the caller holds to be current. Refused while a write is open; a load that stands is not
    /// stored any more. Whether it was stored.
    pub fn insert(&self, key: K, value: V) -> bool {
        let at = self.0.clock.now();
        self.insert_for(key, value, at, self.0.policy.ttl)
    }

    /// The same with a time of its own, counted from now.
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> bool {
        let at = self.0.clock.now();
        self.insert_for(key, value, at, ttl)
    }

    fn insert_for(&self, key: K, value: V, at: Nanos, ttl: Duration) -> bool {
        let inner = &*self.0;
        let mut stripe = inner.stripe(&key);
        let open = stripe.region_open > 0;
        if let Some(progress) = stripe.keys.get_mut(&key) {
            if progress.is_open(open) {
                inner.counters.refused_stores.one();
                return false;
            }
            progress.bulk();
        }
        stripe.forget_idle(&key);
        if open || !self.is_enabled() {
            inner.counters.refused_stores.one();
            return false;
        }
        let evicted = inner.put(key, value, at, ttl);
        drop(stripe);
        inner.count_evicted(evicted);
        true
    }

    /// Takes a value out by hand, its load and its absence with it. Whether something was there.
    pub fn remove(&self, key: &K) -> bool {
        let inner = &*self.0;
        let mut stripe = inner.stripe(key);
        if let Some(progress) = stripe.keys.get_mut(key) {
            inner.overtake(progress, Progress::bulk);
        }
        stripe.forget_idle(key);
        let removed = inner.store.remove(key);
        drop(stripe);
        let was_there = removed.0.is_some() || removed.1;
        inner.counters.invalidations.add(usize::from(was_there));
        was_there
    }

    /// The value from memory, or from one load however many ask. The load is a task of its own: it goes on if the
    /// caller goes away. While a write to the key is open the load passes the cache.
    pub async fn get_or_load<F, Fut, E>(&self, key: K, load: F) -> Result<Read<V>, LoadError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        if !self.is_enabled() {
            return self.bypass(load).await;
        }
        let (flight, source) = match self.step(&key, steps::one(key.clone(), load)) {
            Step::Found(read) => return Ok(read),
            Step::Wait(flight, source) => (flight, source),
        };
        self.answer(&key, flight.wait().await, source)
    }

    /// The value from the source, whatever is in memory. Stores nothing and counts neither hit nor miss.
    pub async fn bypass<F, Fut, E>(&self, load: F) -> Result<Read<V>, LoadError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        self.0.counters.bypasses.one();
        let value = load()
            .await
            .map_err(|error| LoadError::Failed(Arc::new(error)))?;
        Ok(Read {
            value,
            source: Source::Bypass,
            age: Age::default(),
        })
    }

    /// Many values, those that are missing by one load, which gets just the missing keys and answers with those that
    /// are there. In the order of `keys`.
    pub async fn get_or_load_many<F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Read<V>>, LoadError>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        if !self.is_enabled() {
            self.0.counters.bypasses.one();
            let rows = load(keys.to_vec())
                .await
                .map_err(|error| LoadError::Failed(Arc::new(error)))?;
            let rows: HashMap<K, V> = rows.into_iter().collect();
            // A key may be named twice.
            let read = |key| Read {
                value: rows.get(key).cloned(),
                source: Source::Bypass,
                age: Age::default(),
            };
            return Ok(keys.iter().map(read).collect());
        }
        let steps = self.step_many(keys, load);
        let mut reads = Vec::with_capacity(keys.len());
        for (key, step) in keys.iter().zip(steps) {
            reads.push(match step {
                Step::Found(read) => read,
                Step::Wait(flight, source) => self.answer(key, flight.wait().await, source)?,
            });
        }
        Ok(reads)
    }

    fn answer(&self, key: &K, loaded: Loaded<V>, source: Source) -> Result<Read<V>, LoadError> {
        let now = self.0.clock.now();
        let age = |at: Nanos| Age(now.saturating_sub(at));
        let error = match loaded {
            Ok((value, at)) => {
                return Ok(Read {
                    value,
                    source,
                    age: age(at),
                });
            }
            Err(error) => error,
        };
        // A write takes expired values out too, so what is here is as new as the last write.
        if let (Some(bound), Some(slot)) = (self.0.policy.fail_safe, self.0.store.get(key))
            && now < slot.times.until.saturating_add(nanos(bound))
        {
            self.0.counters.stale_served.one();
            return Ok(Read {
                value: Some(slot.value),
                source: Source::Stale,
                age: age(slot.times.at),
            });
        }
        Err(error)
    }

    /// Hears of each write to `key` that ends, after it was applied. To miss nothing, listen first, then read.
    pub fn listen(&self, key: K) -> Listener {
        self.0.bells.listen(key)
    }

    /// How many listen to `key`.
    pub fn listeners(&self, key: &K) -> usize {
        self.0.bells.listeners(key)
    }

    /// Whether the region is switched on.
    pub fn is_enabled(&self) -> bool {
        self.0.is_enabled()
    }

    /// What the region has counted.
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }

    /// The region's name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }
}
