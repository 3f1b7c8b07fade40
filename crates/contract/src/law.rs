//! [`Law`], one clause of the contract, and [`Breach`], the way in which a backend breaks a law.

use std::{fmt, panic::Location};

use domain::{Error, Repositories};
use futures_util::future::BoxFuture;

/// One clause of the contract, as a test that any backend can run.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// The law as a sentence, with underscores instead of spaces.
    pub name: &'static str,
    /// The port that must keep the law, such as `Rooms`.
    pub port: &'static str,
    /// Tests the law on a backend. The store may already hold rows, which the test ignores. The
    /// agents and rooms that the test creates stay in the store.
    pub run: fn(Repositories) -> BoxFuture<'static, Result<(), Breach>>,
}

/// A sentence that says how a backend broke a law, with the source location of the failed check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Breach(String);

impl Breach {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }

    pub(crate) fn at(location: &Location<'_>, reason: impl fmt::Display) -> Self {
        Self(format!(
            "{reason} ({}:{})",
            location.file(),
            location.line()
        ))
    }
}

impl From<Error> for Breach {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::at(
            Location::caller(),
            format_args!("a call that must succeed failed: {error}"),
        )
    }
}
