//! The log of values that are too heavy to be stored.

use std::time::Duration;

use crate::{
    clock::{Nanos, nanos},
    sync::plain,
};

/// When a region last logged that it had refused a heavy value.
#[derive(Default)]
pub(crate) struct HeavyValues {
    /// The time, plus 1 so that 0 means never.
    logged_at: plain::AtomicU64,
}

impl HeavyValues {
    /// Returns `true` at most once a minute.
    pub(super) fn should_log(&self, now: Nanos) -> bool {
        // Relaxed: two threads that log at the same time do no harm.
        let last = self.logged_at.load(plain::Ordering::Relaxed);
        let is_due = last == 0 || now + 1 >= last.saturating_add(nanos(HEAVY_LOG_INTERVAL));
        if is_due {
            self.logged_at.store(now + 1, plain::Ordering::Relaxed);
        }
        is_due
    }
}

/// How often a region logs that it refuses heavy values: seldom enough for a log that people read.
const HEAVY_LOG_INTERVAL: Duration = Duration::from_secs(60);
