//! One law, and how a backend breaks it.

use std::{fmt, panic::Location};

use domain::{Error, Repositories};
use futures_util::future::BoxFuture;

/// One clause of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// The law as a sentence, with underscores.
    pub name: &'static str,
    /// The port that must keep it, such as `Rooms`.
    pub port: &'static str,
    /// Tries the law on a backend. It ignores what the store already holds, and leaves the agents
    /// and rooms that it creates behind.
    pub run: fn(Repositories) -> BoxFuture<'static, Result<(), Breach>>,
}

/// A sentence that says how a backend broke a law, with the place in the law that noticed.
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
