//! Counters of HTTP responses by the class of their status.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
};

use axum::http::StatusCode;

/// The number of responses in each status class, from `1xx` to `5xx`.
#[derive(Debug, Default)]
pub struct StatusCounts([AtomicU64; 5]);

impl StatusCounts {
    /// The classes, in the order of the counters.
    const CLASSES: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// Counts one response.
    pub(crate) fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        // Relaxed: each counter is independent, and no other memory is published through it.
        self.0[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns each class with its number of responses.
    pub(crate) fn by_class(&self) -> [(&'static str, u64); 5] {
        // Relaxed: the metrics may miss responses that are being counted.
        array::from_fn(|class| (Self::CLASSES[class], self.0[class].load(Ordering::Relaxed)))
    }
}
