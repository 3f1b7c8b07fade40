//! Checks that return a [`Breach`] if they fail, and ids and limits for the laws.

use std::{fmt, panic::Location};

use domain::{AgentId, Error, MessageId, Result, RoomId};

use crate::law::Breach;

/// An id that no agent has.
pub(super) const UNKNOWN_AGENT: AgentId = AgentId(i64::MAX - 7);
/// An id that no room has.
pub(super) const UNKNOWN_ROOM: RoomId = RoomId(i64::MAX - 7);
/// An id below the ids of all messages.
pub(super) const START: MessageId = MessageId(0);
/// A limit above the length of any log.
pub(super) const NO_LIMIT: usize = usize::MAX;

/// The result of a law, or of a part of it.
pub(super) type Outcome<T = ()> = Result<T, Breach>;

/// Returns a breach with `reason` unless `condition` holds.
#[track_caller]
pub(super) fn ensure(condition: bool, reason: impl fmt::Display) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(Breach::at(Location::caller(), reason))
    }
}

/// Returns a breach unless `actual` equals `expected`. `what` describes the value in the breach.
#[track_caller]
pub(super) fn ensure_eq<T>(what: &str, actual: &T, expected: &T) -> Outcome
where
    T: PartialEq + fmt::Debug,
{
    if actual == expected {
        Ok(())
    } else {
        Err(Breach::at(
            Location::caller(),
            format_args!("{what} must be {expected:?}, but is {actual:?}"),
        ))
    }
}

/// Returns the value, or a breach if there is none.
#[track_caller]
pub(super) fn ensure_some<T>(what: &str, value: Option<T>) -> Outcome<T> {
    value.ok_or_else(|| Breach::at(Location::caller(), format_args!("{what} is missing")))
}

/// Returns a breach unless the call failed with `Missing`.
#[track_caller]
pub(super) fn ensure_missing<T: fmt::Debug>(call: &str, result: Result<T>) -> Outcome {
    ensure(
        matches!(result, Err(Error::Missing { .. })),
        format_args!("{call} must fail with `Missing`, but returned {result:?}"),
    )
}

/// Returns a breach unless the call failed with `Conflict`.
#[track_caller]
pub(super) fn ensure_conflict<T: fmt::Debug>(call: &str, result: Result<T>) -> Outcome {
    ensure(
        matches!(result, Err(Error::Conflict(_))),
        format_args!("{call} must fail with `Conflict`, but returned {result:?}"),
    )
}

/// Returns a breach unless the call failed with `Invalid`.
#[track_caller]
pub(super) fn ensure_invalid<T: fmt::Debug>(call: &str, result: Result<T>) -> Outcome {
    ensure(
        matches!(result, Err(Error::Invalid(_))),
        format_args!("{call} must fail with `Invalid`, but returned {result:?}"),
    )
}
