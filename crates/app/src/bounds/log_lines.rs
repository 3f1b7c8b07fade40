//! A bound on the log lines that refused requests cause.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use axum::http::StatusCode;

/// The log lines of refusals: at most one a second for each status.
///
/// Without this bound, a client could fill the disk with refused requests, which cost it little.
#[derive(Debug)]
pub(crate) struct LogLines {
    began: Instant,
    by_status: [Line; 200],
}

#[derive(Debug, Default)]
struct Line {
    /// The second after `began` from which the next line may be written.
    next: AtomicU64,
    /// The number of refusals since the last line.
    suppressed: AtomicU64,
}

impl Default for LogLines {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            by_status: array::from_fn(|_| Line::default()),
        }
    }
}

impl LogLines {
    /// Admits or suppresses the log line of a refusal. Returns the number of refusals with the same
    /// status that were suppressed since the last line; `None` if this one is suppressed.
    ///
    /// Failures of the server, which have a cause, are always admitted.
    pub(crate) fn admit(&self, status: StatusCode, is_failure: bool) -> Option<u64> {
        if is_failure {
            return Some(0);
        }
        self.admit_at(status, self.began.elapsed().as_secs())
    }

    fn admit_at(&self, status: StatusCode, second: u64) -> Option<u64> {
        let index = usize::from(status.as_u16()).checked_sub(400);
        let Some(line) = index.and_then(|index| self.by_status.get(index)) else {
            return Some(0);
        };
        // Relaxed: the two numbers only bound and count log lines. If two threads exchange at the
        // same time, one of them fails, and only one line is written.
        let next = line.next.load(Ordering::Relaxed);
        let is_admitted = second >= next
            && line
                .next
                .compare_exchange(next, second + 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_admitted {
            Some(line.suppressed.swap(0, Ordering::Relaxed))
        } else {
            line.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_is_written_for_each_status_and_failures_are_always_written() {
        let lines = LogLines::default();
        let (missing, busy) = (StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(lines.admit_at(missing, 5), Some(0));
        assert_eq!(lines.admit_at(missing, 5), None);
        assert_eq!(lines.admit_at(missing, 5), None);
        assert_eq!(lines.admit_at(StatusCode::CONFLICT, 5), Some(0));
        assert_eq!(lines.admit_at(missing, 6), Some(2));
        assert_eq!(lines.admit_at(missing, 7), Some(0));
        assert_eq!(lines.admit_at(busy, 5), Some(0));
        assert_eq!(lines.admit_at(busy, 5), None);
        for _ in 0..3 {
            assert_eq!(lines.admit(busy, true), Some(0));
        }
    }
}
