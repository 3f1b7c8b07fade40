//! The number of agents' files that cannot be used, for the endpoint of the server's health.

use std::sync::{Mutex, PoisonError};

/// The number of problems when they were last counted; `None` before the first count, and if the
/// last count failed.
#[derive(Debug, Default)]
pub(crate) struct ConfigProblems(Mutex<Option<usize>>);

impl ConfigProblems {
    pub(crate) fn count(&self) -> Option<usize> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, count: Option<usize>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = count;
    }
}
