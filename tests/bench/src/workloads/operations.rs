//! The figures of all measured operations of one kind.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    counter::{Count, Counter},
    measure::{Estimate, Rate, float, micros, percentile, saved_events},
};

/// The durations and counts of all operations of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct MeasuredOperations {
    /// The duration of each operation, in microseconds.
    pub(super) micros: Vec<f64>,
    /// Statements and file reads of all operations.
    pub(super) count: Count,
    /// The number of operations that ran no statement.
    without_statement: usize,
}

impl MeasuredOperations {
    /// Runs one operation, and adds its duration and its counts.
    pub(super) async fn measure<T>(
        &mut self,
        counter: &Counter,
        operation: impl Future<Output = T>,
    ) -> T {
        let (before, start) = (counter.count(), Instant::now());
        let output = operation.await;
        self.micros.push(micros(start.elapsed()));
        let count = counter.count() - before;
        self.count += count;
        self.without_statement += usize::from(count.selects + count.other_statements == 0);
        output
    }

    /// Returns the number of measured operations.
    pub(super) fn len(&self) -> usize {
        self.micros.len()
    }

    /// Returns the percentage of operations that ran no statement.
    pub(super) fn percent_without_statement(&self) -> f64 {
        100.0 * float(self.without_statement) / float(self.len())
    }

    /// Returns [`Self::percent_without_statement`] as an estimate with an interval.
    pub(super) fn estimate_without_statement(&self) -> Estimate {
        saved_events(
            self.rate(self.len() - self.without_statement),
            self.rate(self.len()),
        )
    }

    /// Returns the rate of `events` per operation of this kind. The caller has counted the events.
    pub(super) fn rate(&self, events: usize) -> Rate {
        Rate {
            events,
            operations: self.len(),
        }
    }

    /// Returns the SELECTs per operation.
    pub(super) fn selects(&self) -> Rate {
        self.rate(self.count.selects)
    }

    /// Returns the file reads per operation.
    pub(super) fn file_reads(&self) -> Rate {
        self.rate(self.count.file_reads)
    }

    /// Returns the 50th, 95th and 99th percentile of the times, in microseconds.
    pub(super) fn percentiles(&self) -> [f64; 3] {
        [50.0, 95.0, 99.0].map(|percent| percentile(&self.micros, percent))
    }

    /// Returns the figures for `results.json`, with percentiles instead of tens of thousands of
    /// times.
    pub(super) fn raw(&self) -> Value {
        let [p50, p95, p99] = self.percentiles();
        let mean = self.micros.iter().sum::<f64>() / float(self.len());
        json!({
            "operations": self.len(),
            "without_statement": self.without_statement,
            "selects": self.count.selects,
            "other_statements": self.count.other_statements,
            "file_reads": self.count.file_reads,
            "mean_us": mean,
            "p50_us": p50,
            "p95_us": p95,
            "p99_us": p99,
        })
    }
}
