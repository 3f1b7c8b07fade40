//! The part of a guard in one region, with the types of the region erased.

use std::any::Any;

/// The windows of one guard in one region.
pub(crate) trait Scope: Any + Send + Sync {
    /// Opens the windows, before the write begins.
    fn open(&mut self);

    /// Closes the windows, once the outcome of the write is known.
    fn close(&mut self, outcome: Outcome);

    /// Counts the windows as unknown. They stay open until the write is settled.
    fn mark_unknown(&mut self);

    fn as_any(&mut self) -> &mut dyn Any;
}

/// The outcome of a write, as it is known when its windows close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The write was committed, and its rows and entries were passed to the cache.
    Committed,
    /// The write was not applied.
    NotApplied,
    /// The write may have been applied, and its rows and entries were not passed to the cache.
    Unspecified,
}
