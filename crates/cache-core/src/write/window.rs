//! The part of a guard in one region, with the types of the region erased.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// The windows of one guard in one region.
pub(crate) trait Scope: Any + Send + Sync {
    /// Opens the windows, before the write begins. If it panics, those that are open already can
    /// be closed. Another call opens the others.
    fn open(&mut self);

    /// Closes the windows, once the outcome of the write is known. If it panics, another call
    /// closes those that are still open.
    fn close(&mut self, outcome: Outcome);

    /// Counts the windows as unknown. They stay open until the write is settled.
    fn mark_unknown(&mut self);

    /// Returns `true` if this is a log that the write appends to.
    fn is_log(&self) -> bool;

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

/// Closes the windows of all scopes. Returns those that have some still open, because code of the
/// user panicked twice.
pub(super) fn close_all(
    scopes: impl IntoIterator<Item = Box<dyn Scope>>,
    outcome: Outcome,
) -> Vec<Box<dyn Scope>> {
    let (closed, open): (Vec<_>, Vec<_>) = scopes
        .into_iter()
        .map(|mut scope| (close(&mut *scope, outcome), scope))
        .partition(|(is_closed, _)| *is_closed);
    // Together and at last: dropping the keys of one may panic.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(closed)));
    open.into_iter().map(|(_, scope)| scope).collect()
}

/// Closes the windows of a scope. Returns `false` if some are still open.
fn close(scope: &mut dyn Scope, outcome: Outcome) -> bool {
    // The second attempt does not call the code again that takes what the write returned.
    [outcome, Outcome::Unspecified]
        .into_iter()
        .any(|outcome| catch_unwind(AssertUnwindSafe(|| scope.close(outcome))).is_ok())
}
