//! The time in the form of the live view.

use chrono::{SecondsFormat, Utc};

/// Returns the time, as ISO 8601 in UTC with milliseconds.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
