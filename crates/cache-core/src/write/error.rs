//! The reasons why a guarded write returns no value.

/// The reason why a guarded write returned no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The write failed with this error, and was not applied and never will be.
    #[error(transparent)]
    NotApplied(E),
    /// The write failed with this error. Its outcome is unknown.
    #[error(transparent)]
    Unknown(E),
    /// The write took longer than the write timeout of the manager. Its outcome is unknown.
    #[error("the write timed out")]
    TimedOut,
    /// The write panicked. Its outcome is unknown.
    #[error("the write panicked")]
    Panicked,
    /// The write's task was dropped, for example because the runtime shut down. Its outcome is
    /// unknown.
    #[error("the write was given up")]
    GivenUp,
    /// No permit was free within the write timeout, or too many writes waited for one. The write
    /// did not run.
    #[error("too many writes wait for a permit")]
    Overloaded,
    /// An upsert ran within an upsert of the same key, and would have waited for itself. The inner
    /// write did not run.
    #[error("an upsert waits for itself")]
    Nested,
    /// Code of a key or a cached value panicked when the windows opened: its `Hash`, `Eq`, `Clone`
    /// or `Drop`. The write did not run.
    #[error("a key or a cached value panicked before the write")]
    NotBegun,
}

impl<E> WriteError<E> {
    /// Returns `true` if the write may be in the store already, or may be applied later, although
    /// it was not reported as committed.
    ///
    /// ```
    /// use cache_core::WriteError;
    /// assert!(WriteError::<()>::TimedOut.is_unknown());
    /// assert!(!WriteError::<()>::Overloaded.is_unknown());
    /// ```
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::TimedOut | Self::Panicked | Self::GivenUp => true,
            Self::NotApplied(_) | Self::Overloaded | Self::Nested | Self::NotBegun => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_unknown_only_if_the_write_began_and_did_not_report_it() {
        for error in [
            WriteError::TimedOut,
            WriteError::Unknown(()),
            WriteError::Panicked,
            WriteError::GivenUp,
        ] {
            assert!(error.is_unknown(), "{error:?}");
        }
        for error in [
            WriteError::NotApplied(()),
            WriteError::Nested,
            WriteError::Overloaded,
            WriteError::NotBegun,
        ] {
            assert!(!error.is_unknown(), "{error:?}");
        }
    }
}
