//! The rules of the protocol, with one function for each. Here every rule is kept.
#![expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the same signatures as with the feature `faults`, where the rules are a value"
)]

use std::future::{Ready, ready};

use crate::{
    clock::Nanos,
    protocol::{
        log::{Fold, Log},
        progress::{Ask, Progress},
    },
    region::{flight::Flight, loader::Loader},
    sync::Arc,
    write::window::Scope,
};

/// The rules of the protocol. A value of this type takes no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules;

/// Windows and invalidations.
impl Rules {
    /// The values of a write's keys are removed before the write begins.
    pub(crate) fn before_write<T>(&self, remove: impl FnOnce() -> T) -> Option<T> {
        Some(remove())
    }

    /// Nothing is removed when a write ends.
    pub(crate) fn after_write(&self, _remove: impl FnOnce()) {}

    /// A load that a write or a removal unregistered is no longer joined, and is not stored.
    pub(crate) fn unregistered<K, V>(
        &self,
        _progress: &mut Progress<Arc<Flight<K, V>>>,
        _load: Option<Arc<Flight<K, V>>>,
    ) {
    }

    /// A load that a bulk invalidation unregistered is no longer joined, and is not stored.
    pub(crate) fn unregistered_by_bulk<K, V>(
        &self,
        _progress: &mut Progress<Arc<Flight<K, V>>>,
        _load: Option<Arc<Flight<K, V>>>,
    ) {
    }

    /// A bulk invalidation counts as a write that overlaps the open writes, so these store no rows.
    pub(crate) fn bulk_reaches<L>(&self, _progress: &Progress<L>) -> bool {
        true
    }

    /// A write stores its row only if no other write overlapped it.
    pub(crate) fn only_alone(&self, alone: bool) -> bool {
        alone
    }

    /// One spawned task runs a write and holds its windows, so that the caller may go away.
    pub(crate) fn detached<W, T>(
        &self,
        write: W,
        task: impl FnOnce(W) -> T,
        spawn: impl FnOnce(T),
    ) -> Ready<()> {
        spawn(task(write));
        ready(())
    }

    /// The windows of a write of unknown outcome stay open until it is settled.
    pub(crate) fn open_while_unknown(&self, scopes: Vec<Box<dyn Scope>>) -> Vec<Box<dyn Scope>> {
        scopes
    }
}

/// Loads.
impl Rules {
    /// A load is stored only if it is still registered when it ends.
    pub(crate) fn only_registered<K, V>(&self, _flight: &Arc<Flight<K, V>>, current: bool) -> bool {
        current
    }

    /// No load is registered while a write is open.
    pub(crate) fn none_in_window<L>(&self, ask: Ask<L>) -> Ask<L> {
        ask
    }

    /// A reader that missed looks again under the lock.
    pub(crate) fn second_look<T>(&self, found: Option<T>) -> Option<T> {
        found
    }

    /// Readers inside a window share the load that is queued, so `_loader` of a later reader is
    /// unused.
    pub(crate) fn share_queued<K, V>(&self, _flight: &Flight<K, V>, _loader: Loader<K, V>) {}

    /// A value that a bulk removal removed is not stored again by a change of its times.
    pub(crate) fn stays_removed<T, U>(
        &self,
        gone: Option<T>,
        _restore: impl FnOnce(T) -> U,
    ) -> Option<T> {
        gone
    }

    /// A failed load is reported to all its readers, so `_loader` of another reader is unused.
    pub(crate) fn share_failure<K, V>(
        &self,
        _key: &K,
        flight: Arc<Flight<K, V>>,
        _loader: Loader<K, V>,
    ) -> Arc<Flight<K, V>> {
        flight
    }
}

/// Absences, tags and leases.
impl Rules {
    /// Open creates are counted.
    pub(crate) fn counted<T>(&self, count: impl FnOnce() -> T) -> Option<T> {
        Some(count())
    }

    /// An absence is served only in the generation that found it.
    pub(crate) fn only_of_generation(&self, same: bool) -> bool {
        same
    }

    /// A reader joins only a load that began after the last invalidation of a tag.
    pub(crate) fn only_since_tags(&self, same: bool) -> bool {
        same
    }

    /// An entry is stored only if none of its tags was invalidated since its load began.
    pub(crate) fn only_with_valid_tags(&self, valid: bool) -> bool {
        valid
    }

    /// Each change of a value adds this to the count of its stripe, which ends the leases and the
    /// glances of its keys.
    pub(crate) fn per_change(&self) -> u64 {
        1
    }

    /// A change is counted under the lock under which it happens, and not after it.
    pub(crate) fn per_change_late(&self) -> u64 {
        0
    }
}

/// Writes of other processes.
impl Rules {
    /// Values are served until the bound after the last renewal.
    #[inline]
    pub(crate) fn served_until(&self, until: Nanos) -> Nanos {
        until
    }

    /// An old load is joined only while changes are reported.
    pub(crate) fn only_current(&self, current: bool) -> bool {
        current
    }

    /// A read that does not store its value removes the one in memory.
    pub(crate) fn unstored_removes(&self) -> bool {
        true
    }

    /// A change elsewhere counts as a write that overlaps the open writes, so these store no rows.
    pub(crate) fn elsewhere_reaches<L>(&self, _progress: &Progress<L>) -> bool {
        true
    }

    /// A load that a change elsewhere unregistered is no longer joined, and is not stored.
    pub(crate) fn unregistered_elsewhere<K, V>(
        &self,
        _progress: &mut Progress<Arc<Flight<K, V>>>,
        _load: Option<Arc<Flight<K, V>>>,
    ) {
    }
}

/// Tails.
impl Rules {
    /// A committed entry raises the floor of its log.
    pub(crate) fn floor_of_write(&self, seq: u64) -> u64 {
        seq
    }

    /// An entry that a reader of the source saw raises the floor of its log.
    pub(crate) fn floor_of_read(&self, seq: u64) -> u64 {
        seq
    }

    /// A copy that is being filled has a floor, too.
    pub(crate) fn floor_during_fill(&self, seq: u64) -> u64 {
        seq
    }

    /// A filled copy is served from its floor on: the floor is not touched.
    pub(crate) fn before_fill<C: Fold>(&self, _log: &mut Log<C, C::Entry>) {}

    /// Entries that are committed during a fill are kept for it.
    pub(crate) fn collect_during_fill<T>(&self, filling: T) -> Option<T> {
        Some(filling)
    }
}
