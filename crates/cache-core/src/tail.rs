//! A region whose values are copies of logs' ends: appended to on write, so that a hot log stays in memory.

use std::error::Error;

use crate::{
    flight::LoadError,
    inner::Fills,
    log::{Appended, Fold, Log},
    region::{Key, Read, Region, Source},
    shared::{Fault, Faults},
    sync::{Arc, Mutex},
};

/// The copy of one log, shared by who reads it and who appends to it.
pub(crate) struct Tail<C: Fold>(Mutex<Log<C, C::Entry>>);

/// A cache for the ends of logs, shared by cloning. Made by [`crate::Manager::tail_region`].
///
/// The source gives each entry of a log the next place, in the order of the commits. An append needs no window: it is
/// handed to [`crate::Stores::append`] by the write that committed it. Everything else that changes a log, such as
/// clearing it, is a write under a [`crate::WriteGuard`] over its key.
pub struct TailRegion<K, C: Fold>(pub(crate) Region<K, Arc<Tail<C>>>);

/// What a read of a log's end gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailRead<T> {
    /// What was asked for.
    Found(Read<T>),
    /// The source has no such log.
    Absent(Source),
    /// The copy cannot answer: read the source, and tell [`TailRegion::saw`] the highest place read before returning it.
    Elsewhere,
}

impl<K, C: Fold> Clone for TailRegion<K, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Key, C: Fold> TailRegion<K, C> {
    /// What `read` makes of the copy, if there is one that may be served and it holds what is asked for: the hit path.
    /// Counts a hit or nothing; to be followed by [`TailRegion::get_or_fill`] when it gives `None`.
    pub fn look_up<T>(&self, key: &K, read: impl FnOnce(&C) -> Option<T>) -> Option<Read<T>> {
        let (tail, age) = self.0.fresh(key)?;
        let value = tail.read(read)?;
        self.0.0.hit(key);
        Some(Read {
            value: Some(value),
            source: Source::Hit,
            age,
        })
    }

    /// What `read` makes of the copy, which `load` fills when there is none: from a snapshot of the source, the last
    /// place taken in the log and the copy that reaches it; `None` if there is no such log.
    pub async fn get_or_fill<T, F, Fut, E>(
        &self,
        key: K,
        load: F,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> Result<TailRead<T>, LoadError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<(u64, C)>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        if !self.0.is_enabled() {
            self.0.0.counters.bypasses.one();
            return Ok(TailRead::Elsewhere);
        }
        if let Some((tail, age)) = self.0.fresh(&key) {
            let Some(value) = tail.read(read) else {
                self.0.0.miss(&key);
                return Ok(TailRead::Elsewhere);
            };
            self.0.0.hit(&key);
            return Ok(TailRead::Found(Read {
                value: Some(value),
                source: Source::Hit,
                age,
            }));
        }
        let load = || async {
            Ok::<_, E>(
                load()
                    .await?
                    .map(|(head, copy)| Arc::new(Tail::of(head, copy))),
            )
        };
        let tail = self.0.get_or_load(key.clone(), load).await?;
        Ok(self.answer(&key, tail, read))
    }

    /// The same for many logs, those that are missing by one load. In the order of `keys`.
    pub async fn get_or_fill_many<T, F, Fut, E>(
        &self,
        keys: &[K],
        load: F,
        read: impl Fn(&C) -> Option<T>,
    ) -> Result<Vec<TailRead<T>>, LoadError>
    where
        F: FnOnce(Vec<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<(K, u64, C)>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let load = |keys| async {
            let rows = load(keys).await?.into_iter();
            Ok::<_, E>(
                rows.map(|(key, head, copy)| (key, Arc::new(Tail::of(head, copy))))
                    .collect(),
            )
        };
        let tails = self.0.get_or_load_many(keys, load).await?;
        Ok(keys
            .iter()
            .zip(tails)
            .map(|(key, tail)| self.answer(key, tail, &read))
            .collect())
    }

    fn answer<T>(
        &self,
        key: &K,
        tail: Read<Arc<Tail<C>>>,
        read: impl FnOnce(&C) -> Option<T>,
    ) -> TailRead<T> {
        let Read { value, source, age } = tail;
        let Some(tail) = value else {
            return TailRead::Absent(source);
        };
        // A copy that is not the one in memory may be newer than that.
        if source != Source::Hit {
            let head = tail.0.lock().head();
            self.saw(key, head.unwrap_or(0));
        }
        tail.read(read).map_or(TailRead::Elsewhere, |value| {
            TailRead::Found(Read {
                value: Some(value),
                source,
                age,
            })
        })
    }

    /// A reader of the source is about to return what stands at `place` of the log: no older copy is served from now on.
    pub fn saw(&self, key: &K, place: u64) {
        let inner = &*self.0.0;
        if inner.shared.faults.is(Fault::FloorNotRaisedByReads) {
            return;
        }
        let stripe = inner.stripe(key);
        if let Some(slot) = inner.store.peek(key) {
            slot.value.0.lock().saw(place);
        }
        if let Some(filling) = stripe.filling(key)
            && !inner.shared.faults.is(Fault::FloorForgotten)
        {
            filling.0.lock().saw(place);
        }
    }

    /// The entry at `place` was committed.
    pub(crate) fn append(&self, key: &K, place: u64, entry: &C::Entry) {
        let inner = &*self.0.0;
        let (mut weighed, mut dropped) = (None, None);
        let raise = !inner.shared.faults.is(Fault::FloorNotRaisedByWrites);
        let stripe = inner.stripe(key);
        if let Some(slot) = inner.store.peek(key) {
            let (appended, weight) = {
                let mut log = slot.value.0.lock();
                if raise {
                    log.saw(place);
                }
                (log.append(place, entry.clone()), log.weight())
            };
            match appended {
                Appended::Applied => weighed = Some(inner.store.weigh(key, slot, weight.max(1))),
                Appended::GivenUp => dropped = Some(inner.store.remove(key)),
                Appended::Known | Appended::Waits => {}
            }
        }
        if let Some(filling) = stripe.filling(key) {
            let mut log = filling.0.lock();
            if raise && !inner.shared.faults.is(Fault::FloorForgotten) {
                log.saw(place);
            }
            if !inner.shared.faults.is(Fault::FillMissesArrivals) {
                log.append(place, entry.clone());
            }
        }
        drop(stripe);
        drop(dropped);
        inner.bells.ring(key);
        if let Some(evicted) = weighed {
            inner.count_evicted((key.clone(), evicted));
        }
    }

    /// The region beneath, for what all regions have in common: its statistics, its guards, who listens.
    pub fn region(&self) -> &Region<K, impl Clone + Send + Sync + 'static + use<K, C>> {
        &self.0
    }
}

impl<C: Fold> Tail<C> {
    fn of(head: u64, copy: C) -> Self {
        Self(Mutex::new(Log::of(head, copy)))
    }

    fn read<T>(&self, read: impl FnOnce(&C) -> Option<T>) -> Option<T> {
        self.0.lock().current().and_then(read)
    }

    pub(crate) fn weight(&self) -> u32 {
        self.0.lock().weight()
    }
}

/// While a fill stands, its copy collects what is committed meanwhile.
pub(crate) struct TailFills;

impl<C: Fold> Fills<Arc<Tail<C>>> for TailFills {
    fn begin(&self, standing: Option<&Arc<Tail<C>>>) -> Arc<Tail<C>> {
        let floor = standing.map_or(0, |tail| tail.0.lock().floor());
        Arc::new(Tail(Mutex::new(Log::unfilled(floor))))
    }

    fn end(&self, filling: &Arc<Tail<C>>, loaded: Arc<Tail<C>>, faults: Faults) -> bool {
        let loaded = Arc::into_inner(loaded).and_then(|tail| tail.0.into_inner().into_copy());
        let (head, copy) = loaded.expect("the loader made it, filled, and kept no share of it");
        let mut log = filling.0.lock();
        if faults.is(Fault::BlindFill) {
            *log = Log::of(head, copy);
            return true;
        }
        log.fill(head, copy)
    }
}
