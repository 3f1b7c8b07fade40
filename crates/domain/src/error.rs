//! The one error of all ports.

/// What a port answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a port did not answer with a value. A variant exists because callers act on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else holds what must be unique.
    #[error("{0}")]
    Conflict(String),
    /// What the call is about does not exist.
    #[error("{what} {id} does not exist")]
    Missing {
        /// The kind: `room`, `agent`, …
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// The caller's value breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// A stored row cannot be read back.
    #[error("table {table}, column {column}, row {row}: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: String,
        /// What is wrong with its value.
        reason: String,
    },
    /// The store did not answer, or not in time.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// For the log, never for a client.
        reason: String,
        /// What became of the write that this call was, if it was one.
        effect: Effect,
    },
}

/// What is known of a write that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It did not happen and never will. Reads answer this too.
    NotApplied,
    /// It may have happened, may yet happen, or never will.
    MayBeApplied,
}

impl Error {
    /// The thing named `id` of kind `what` does not exist.
    pub fn missing(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Missing {
            what,
            id: id.to_string(),
        }
    }

    /// The store did not answer; nothing was changed.
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            reason: reason.to_string(),
            effect: Effect::NotApplied,
        }
    }

    /// The store did not tell the outcome of a write.
    pub fn unknown(reason: impl std::fmt::Display) -> Self {
        Self::Unavailable {
            reason: reason.to_string(),
            effect: Effect::MayBeApplied,
        }
    }

    /// Whether the write that failed with this may have happened all the same.
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
