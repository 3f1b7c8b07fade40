//! Wall-clock time.

/// Wall-clock time, for display only. [`Seq`] and a monotonic clock decide order and freshness.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
