//! The verdict on a checked read.

use std::fmt;

use serde_json::Value;

/// The reason why a read fails the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongRead {
    /// The read shows data older than the version that was known before the read began.
    Stale(String),
    /// The response does not have the expected form or status.
    Malformed(String),
}

/// The verdict on a checked read: `Ok`, or the reason why the read fails the check.
pub type Verdict = Result<(), WrongRead>;

impl WrongRead {
    /// Returns the reason with `context` and a colon before its text.
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

/// Returns the item with this id in a JSON list; `None` if the list does not contain it.
pub(super) fn item(shown: &Value, id: i64) -> Result<Option<&Value>, WrongRead> {
    Ok(list(shown)?.iter().find(|item| item["id"] == id))
}

/// Returns the items of a JSON list. Fails if `shown` is not a list.
pub(super) fn list(shown: &Value) -> Result<&[Value], WrongRead> {
    shown
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| WrongRead::Malformed(format!("{shown} is not a list")))
}
