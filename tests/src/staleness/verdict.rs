//! The result of checking a read.

use std::fmt;

use serde_json::Value;

/// The reason why a read is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongRead {
    /// The read shows something older than what was known before it began.
    Stale(String),
    /// The response does not have the expected form or status.
    Malformed(String),
}

/// The result of checking a read.
pub type Verdict = Result<(), WrongRead>;

impl WrongRead {
    /// Returns the same reason with this text before it.
    #[must_use]
    pub fn in_context(self, context: &str) -> Self {
        match self {
            Self::Stale(reason) => Self::Stale(format!("{context}: {reason}")),
            Self::Malformed(reason) => Self::Malformed(format!("{context}: {reason}")),
        }
    }
}

impl fmt::Display for WrongRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(reason) => write!(f, "stale read: {reason}"),
            Self::Malformed(reason) => write!(f, "malformed response: {reason}"),
        }
    }
}

/// Returns the item of a list that has this id.
pub(super) fn item(shown: &Value, id: i64) -> Result<Option<&Value>, WrongRead> {
    Ok(list(shown)?.iter().find(|item| item["id"] == id))
}

/// Returns the items of a list.
pub(super) fn list(shown: &Value) -> Result<&[Value], WrongRead> {
    shown
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| WrongRead::Malformed(format!("{shown} is not a list")))
}
