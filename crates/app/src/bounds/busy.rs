//! The refusal that all bounds share.

/// A refusal because too many others use the same resource now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;
