//! The limits of one load: its permit and its timeout.

use std::time::Duration;

/// The limits of one load.
#[derive(Clone, Copy)]
pub(crate) struct LoadLimits {
    pub(super) permit: Permit,
    /// `None`: the timeout of the region, or else of the manager.
    pub(super) timeout: Option<Duration>,
}

impl LoadLimits {
    /// The limits of a load for which nothing else was asked.
    pub(crate) const USUAL: Self = Self {
        permit: Permit::Needed,
        timeout: None,
    };
}

/// The permit that a load needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// It waits for one.
    Needed,
    /// None: a refresh has no reader that waits, and must not be late. A caller may ask for it.
    Granted,
}
