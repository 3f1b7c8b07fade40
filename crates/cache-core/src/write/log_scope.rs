//! The log of one key, to which a write appends entries.

use std::any::Any;

use super::{
    scope::RegionScope,
    window::{Outcome, Scope},
};
use crate::{
    protocol::log::Fold,
    region::{policy::Key, state::RegionState},
    sync::Arc,
    tail::copy::{SequencedEntry, Tail},
};

/// The log of one key, to which a write appends entries.
pub(crate) struct LogScope<K, C: Fold> {
    log: Arc<RegionState<K, Arc<Tail<C>>>>,
    key: K,
    entries: Vec<SequencedEntry<C>>,
    /// Opened only if the outcome of the write is unknown.
    window: Option<RegionScope<K, Arc<Tail<C>>>>,
}

impl<K: Key, C: Fold> LogScope<K, C> {
    pub(crate) fn new(log: Arc<RegionState<K, Arc<Tail<C>>>>, key: K) -> Self {
        Self {
            log,
            key,
            entries: Vec::new(),
            window: None,
        }
    }

    /// Adds the entries that the write committed. They are applied when the scope closes.
    pub(crate) fn name(&mut self, entries: impl Iterator<Item = (u64, C::Entry)>) {
        self.entries
            .extend(entries.map(|(seq, entry)| SequencedEntry { seq, entry }));
    }

    /// Opens the window, unless it is open. If user code panics, another call goes on.
    fn open_window(&mut self) -> &mut RegionScope<K, Arc<Tail<C>>> {
        let (log, key) = (&self.log, &self.key);
        // Kept before it is opened, so that it can be closed.
        let window = self.window.get_or_insert_with(|| {
            let mut window = RegionScope::new(log.clone());
            window.add_key(key.clone());
            window
        });
        if window.open_windows() == 0 {
            window.open();
        }
        window
    }
}

impl<K: Key, C: Fold> Scope for LogScope<K, C> {
    /// Opens nothing: an append makes no value stale, so a hot log stays in memory.
    fn open(&mut self) {}

    fn close(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Committed => self
                .log
                .append(&self.key, &std::mem::take(&mut self.entries)),
            // The write may have appended an entry without reporting it: a window removes the copy.
            Outcome::Unspecified => drop(self.open_window()),
            Outcome::NotApplied => {}
        }
        if let Some(window) = &mut self.window {
            window.close(Outcome::Unspecified);
        }
        self.window = None;
    }

    fn mark_unknown(&mut self) {
        self.open_window().mark_unknown();
    }

    fn is_log(&self) -> bool {
        true
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
