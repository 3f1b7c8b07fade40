//! Wall-clock time.

/// Wall-clock time, for display only. The order of messages is decided by [`Seq`](crate::Seq), and
/// the freshness of cached values by a monotonic clock.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
