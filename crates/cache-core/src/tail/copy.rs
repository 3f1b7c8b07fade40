//! The copy of the end of one log in memory, and how entries reach it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    protocol::log::{Appended, Fold, Log},
    region::{
        policy::Key,
        removal::Removal,
        state::{Fills, RegionState},
        store::{Removed, Retimed},
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

    /// Raises the floor. Calls `changed` under the lock if the copy may not be served any more.
    fn raise_floor(&self, seq: u64, changed: impl FnOnce()) {
        let mut log = self.0.lock();
        let was_current = log.is_current();
        log.raise_floor(seq);
        if was_current && !log.is_current() {
            changed();
        }
    }

    /// Applies committed entries and raises the floor. Returns the weight of the copy, or `None` if
    /// the copy was discarded. Calls `changed` under the lock.
    fn append(
        &self,
        entries: &[SequencedEntry<C>],
        floor: u64,
        changed: impl FnOnce(),
    ) -> Option<u32> {
        let mut log = self.0.lock();
        changed();
        log.raise_floor(floor);
        let weight = until_discarded(&mut log, |log| {
            for SequencedEntry { seq, entry } in entries {
                if log.append(*seq, entry.clone()) == Appended::Discarded {
                    return None;
                }
            }
            // At least 1, as every weight.
            Some(log.weight().max(1))
        });
        weight.flatten()
    }
}

/// A committed entry of a log, with its sequence number.
pub(crate) struct SequencedEntry<C: Fold> {
    pub(crate) seq: u64,
    pub(crate) entry: C::Entry,
}

/// Runs `change`, which calls user code. If it panics, the log may be torn between two
/// entries: it is discarded, and never served again.
fn until_discarded<C: Fold, T>(
    log: &mut Log<C, C::Entry>,
    change: impl FnOnce(&mut Log<C, C::Entry>) -> T,
) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(|| change(log)));
    if result.is_err() {
        log.discard();
    }
    result.ok()
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
        until_discarded(&mut log, |log| log.fill(head, copy)).unwrap_or(false)
    }
}

impl<K: Key, C: Fold> RegionState<K, Arc<Tail<C>>> {
    /// Raises the floor of a log: a reader of the source is about to return the entry at `seq`.
    pub(super) fn saw(&self, key: &K, seq: u64) {
        let floor = self.rules().floor_of_read(seq);
        // Under the lock of the stripe, so that no fill ends between these two steps.
        let stripe = self.stripe(key);
        let changes = self.store.changes();
        if let Some(slot) = self.store.peek(key) {
            slot.value.raise_floor(floor, || changes.count(key));
            changes.count_late(key);
        }
        if let Some(filling) = stripe.filling(key) {
            // No reader has seen this copy.
            filling.raise_floor(self.rules().floor_during_fill(floor), || ());
        }
    }

    /// Returns `true` if a copy is in memory or is being filled.
    pub(super) fn has_copy(&self, key: &K) -> bool {
        // Under the lock of the stripe, so that no fill ends between the two checks.
        let stripe = self.stripe(key);
        self.store.peek(key).is_some() || stripe.filling(key).is_some()
    }

    /// Applies committed entries to the copy in memory and to the one that is being filled, and
    /// notifies the listeners of the log.
    pub(crate) fn append(&self, key: &K, entries: &[SequencedEntry<C>]) {
        let Some(last) = entries.iter().map(|entry| entry.seq).max() else {
            return;
        };
        let floor = self.rules().floor_of_write(last);
        let mut effect = None;
        let stripe = self.stripe(key);
        let changes = self.store.changes();
        if let Some(slot) = self.store.peek(key) {
            let weight = slot.value.append(entries, floor, || changes.count(key));
            changes.count_late(key);
            effect = Some(match weight {
                Some(weight) if self.store.is_too_heavy(weight) => {
                    Effect::TooHeavy(weight, self.store.remove(key))
                }
                Some(weight) => Effect::Kept(self.store.reweigh(key, slot, weight)),
                None => Effect::Discarded(self.store.remove(key)),
            });
        }
        if let Some(filling) = stripe.filling(key) {
            let floor = self.rules().floor_during_fill(floor);
            let collected = self
                .rules()
                .collect_during_fill(entries)
                .unwrap_or_default();
            // A discarded copy stays registered: its fill will not be served.
            filling.append(collected, floor, || ());
        }
        drop(stripe);
        self.listeners.notify(key);
        match effect {
            Some(Effect::Kept(retimed)) => self.count_retimed(retimed),
            Some(Effect::TooHeavy(weight, removed)) => {
                self.count_heavy(weight);
                self.finish_removal(removed.values, Removal::Replaced);
            }
            Some(Effect::Discarded(removed)) => {
                let region = self.name;
                self.finish_removal(removed.values, Removal::Replaced);
                tracing::debug!(target: "cache", region, "a copy of a log is discarded");
            }
            None => {}
        }
    }
}

/// The effect of an append on the copy in memory. Dropped where no lock is held, because it drops
/// values of the user.
enum Effect<K, V> {
    /// The copy stays. Entries may have been evicted for its new weight.
    Kept(Option<Retimed<K, V>>),
    /// The copy has become too heavy.
    TooHeavy(u32, Removed<K, V>),
    /// The copy would be incomplete.
    Discarded(Removed<K, V>),
}
