//! Wall-clock time.

/// Wall-clock time, for display only. A [`Seq`](crate::Seq) decides order, and a monotonic clock
/// freshness.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
