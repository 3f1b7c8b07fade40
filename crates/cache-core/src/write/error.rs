//! The reasons why a guarded write returns no value.

/// The reason why a guarded write returned no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError<E> {
    /// The error of the write itself.
    #[error(transparent)]
    Store(E),
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
    /// Code of a key or a cached value panicked when the windows opened: its `Hash`, `Eq`, `Clone`
    /// or `Drop`. The write did not run.
    #[error("a key or a cached value panicked before the write")]
    NotBegun,
}

impl<E> WriteError<E> {
    /// Returns `true` if the write may be in the store already, or may be applied later, although
    /// it was not reported as committed. Returns `false` for an error of the write itself, which
    /// reports an unknown outcome by [`Written::Unknown`].
    ///
    /// [`Written::Unknown`]: crate::Written::Unknown
    ///
    /// ```
    /// use cache_core::WriteError;
    /// assert!(WriteError::<()>::TimedOut.is_unknown());
    /// assert!(!WriteError::<()>::Overloaded.is_unknown());
    /// ```
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::TimedOut | Self::Panicked | Self::GivenUp => true,
            Self::Store(_) | Self::Overloaded | Self::NotBegun => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_unknown_only_if_the_write_began_and_did_not_report_it() {
        for error in [
            WriteError::<()>::TimedOut,
            WriteError::Panicked,
            WriteError::GivenUp,
        ] {
            assert!(error.is_unknown(), "{error:?}");
        }
        for error in [
            WriteError::Store(()),
            WriteError::Overloaded,
            WriteError::NotBegun,
        ] {
            assert!(!error.is_unknown(), "{error:?}");
        }
    }
}
