//! The loads of a region that are in progress, for operators who ask what is slow.

use slab::Slab;

use crate::{
    clock::{Clock, Nanos},
    sync::plain::Mutex,
};

/// The times at which the loads in progress began. Only loads take its lock, never hits.
#[derive(Debug, Default)]
pub(crate) struct Loading(Mutex<Slab<Nanos>>);

/// A load in progress. It is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct LoadInProgress<'a> {
    loading: &'a Loading,
    slot: usize,
}

impl Loading {
    /// Counts a load that begins at this time.
    pub(crate) fn begin(&self, at: Nanos) -> LoadInProgress<'_> {
        let slot = self.0.lock().insert(at);
        LoadInProgress {
            loading: self,
            slot,
        }
    }

    /// Returns the number of loads in progress, and the age of the oldest.
    pub(crate) fn now(&self, clock: &Clock) -> (usize, Option<Nanos>) {
        let loads = self.0.lock();
        let first = loads.iter().map(|(_, began)| *began).min();
        let age = first.map(|began| clock.now().saturating_sub(began));
        (loads.len(), age)
    }
}

impl Drop for LoadInProgress<'_> {
    fn drop(&mut self) {
        self.loading.0.lock().remove(self.slot);
    }
}
