//! The copy of the end of one log in memory, and how entries reach it.

use crate::{
    protocol::log::{Appended, Fold, Log},
    region::{
        policy::Key,
        state::{Fills, RegionState},
    },
    rules::Rules,
    sync::{Arc, Mutex},
};

/// The copy of one log, shared by its readers and its appenders.
///
/// It is locked after the stripe of its key, if both are needed.
pub(crate) struct Tail<C: Fold>(Mutex<Log<C, C::Entry>>);

impl<C: Fold> Tail<C> {
    pub(super) fn filled(head: u64, copy: C) -> Self {
        Self(Mutex::new(Log::filled(head, copy)))
    }

    /// Returns the result of `read`, if the copy may be served. `read` runs under the lock.
    pub(super) fn read<T>(&self, read: impl FnOnce(&C) -> Option<T>) -> Option<T> {
        self.0.lock().current().and_then(read)
    }

    /// Returns the highest sequence number in the copy; 0 if it was never filled.
    pub(super) fn head(&self) -> u64 {
        self.0.lock().head().unwrap_or(0)
    }

    pub(crate) fn weight(&self) -> u32 {
        self.0.lock().weight()
    }

    fn raise_floor(&self, seq: u64) {
        self.0.lock().raise_floor(seq);
    }
}

/// The implementation of [`Fills`] for logs: an unfilled copy collects the entries that are
/// committed while the log is filled.
pub(crate) struct TailFills;

impl<C: Fold> Fills<Arc<Tail<C>>> for TailFills {
    fn begin(&self, installed: Option<&Arc<Tail<C>>>) -> Arc<Tail<C>> {
        // The floor outlives the copy: readers have seen entries that the fill may not read.
        let floor = installed.map_or(0, |tail| tail.0.lock().floor());
        Arc::new(Tail(Mutex::new(Log::unfilled(floor))))
    }

    fn end(&self, filling: &Arc<Tail<C>>, loaded: Arc<Tail<C>>, rules: &Rules) -> bool {
        let loaded = Arc::into_inner(loaded).and_then(|tail| tail.0.into_inner().into_copy());
        let (head, copy) = loaded.expect("a loaded copy is filled, and nothing else refers to it");
        let mut log = filling.0.lock();
        rules.before_fill(&mut log);
        log.fill(head, copy)
    }
}

impl<K: Key, C: Fold> RegionState<K, Arc<Tail<C>>> {
    /// Raises the floor of a log: a reader of the source is about to return the entry at `seq`.
    pub(super) fn saw(&self, key: &K, seq: u64) {
        let floor = self.rules().floor_of_read(seq);
        // Under the lock of the stripe, so that no fill ends between these two steps.
        let stripe = self.stripe(key);
        if let Some(slot) = self.store.peek(key) {
            slot.value.raise_floor(floor);
        }
        if let Some(filling) = stripe.filling(key) {
            filling.raise_floor(self.rules().floor_during_fill(floor));
        }
    }

    /// Applies a committed entry to the copy in memory and to the one that is being filled, and
    /// notifies the listeners of the log.
    pub(crate) fn append(&self, key: &K, seq: u64, entry: &C::Entry) {
        let (mut reweighed, mut removed) = (None, None);
        let floor = self.rules().floor_of_write(seq);
        let stripe = self.stripe(key);
        if let Some(slot) = self.store.peek(key) {
            let (appended, weight) = {
                let mut log = slot.value.0.lock();
                log.raise_floor(floor);
                (log.append(seq, entry.clone()), log.weight())
            };
            match appended {
                Appended::Applied => reweighed = Some(self.reweigh(key, slot, weight.max(1))),
                Appended::Discarded => removed = Some(self.store.remove(key)),
                Appended::Duplicate | Appended::Buffered => {}
            }
        }
        if let Some(filling) = stripe.filling(key) {
            let mut log = filling.0.lock();
            log.raise_floor(self.rules().floor_during_fill(floor));
            if let Some(entry) = self.rules().collect_during_fill(entry.clone()) {
                log.append(seq, entry);
            }
        }
        drop(stripe);
        // After the lock: both drop values of the user.
        drop(removed);
        self.listeners.notify(key);
        if let Some(reweighed) = reweighed {
            self.count_evicted(reweighed);
        }
    }
}
