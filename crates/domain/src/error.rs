//! The error type that all ports share.

/// The result of a port's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of a port's method. There is one variant for each case that callers treat differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another row already has a value that must be unique. The text may be shown to clients.
    #[error("{0}")]
    Conflict(String),
    /// The row that the method reads or changes does not exist.
    #[error("{what} {id} not found")]
    Missing {
        /// The kind of row, such as `room` or `agent`.
        what: &'static str,
        /// The id or the name of the row.
        id: String,
    },
    /// An argument is invalid. The text states the violated rule and may be shown to clients.
    #[error("{0}")]
    Invalid(String),
    /// A stored row cannot be read.
    #[error("{place}: {reason}")]
    Corrupt {
        /// The place of the value in the store, such as `table rooms, column name, row 7`.
        place: String,
        /// The problem with the value.
        reason: String,
    },
    /// The store did not respond in time, or did not respond at all.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// The cause, for the log. It must not be shown to a client.
        reason: String,
        /// The effect of the write that failed.
        effect: Effect,
    },
}

/// The effect of a write that failed with [`Error::Unavailable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The write did not happen and never will. Failed reads report this effect, too.
    NotApplied,
    /// The write may have happened or may still happen. [`Settle`](crate::Settle) waits until it
    /// can no longer happen.
    MayBeApplied,
}

impl Error {
    /// Returns the error for a row of kind `what` that does not exist.
    ///
    /// ```
    /// assert_eq!(domain::Error::missing("room", 7).to_string(), "room 7 not found");
    /// ```
    pub fn missing(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Missing {
            what,
            id: id.to_string(),
        }
    }

    /// Returns the error for a store that did not respond and has changed nothing.
    ///
    /// ```
    /// assert!(!domain::Error::unavailable("the disk is full").may_be_applied());
    /// ```
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            reason: reason.to_string(),
            effect: Effect::NotApplied,
        }
    }

    /// Returns the error for a write whose outcome the store did not report.
    ///
    /// ```
    /// assert!(domain::Error::unknown("the connection was lost").may_be_applied());
    /// ```
    pub fn unknown(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            reason: reason.to_string(),
            effect: Effect::MayBeApplied,
        }
    }

    /// Returns `true` if the write that failed with this error may have happened nevertheless.
    pub fn may_be_applied(&self) -> bool {
        matches!(
            self,
            Self::Unavailable {
                effect: Effect::MayBeApplied,
                ..
            }
        )
    }
}
