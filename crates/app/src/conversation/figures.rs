//! Figures of the models: asks, failures by kind, tokens, and the time that answers take.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use domain::{FailureKind, Usage};

/// The upper bounds of the buckets, in seconds: a word of a fast model takes a quarter of a second,
/// and a long answer with thoughts takes minutes.
pub(crate) const BOUNDS: [f64; 11] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// The figures of all models since the program started.
#[derive(Debug, Default)]
pub(crate) struct ModelFigures(Mutex<BTreeMap<String, ModelCounts>>);

/// The figures of one model.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelCounts {
    /// The prompts that were sent, including those after a recalled memory.
    pub(crate) asks: u64,
    /// The asks that failed, by the order of [`FailureKind::ALL`].
    pub(crate) failures: [u64; FailureKind::ALL.len()],
    pub(crate) usage: Usage,
    /// The time until the first thought or word.
    pub(crate) first_token: Times,
    /// The time until the end.
    pub(crate) duration: Times,
}

/// A histogram of times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    /// The number of times in each bucket, not cumulated. The last one is above all bounds.
    pub(crate) buckets: [u64; BOUNDS.len() + 1],
    pub(crate) seconds: f64,
}

impl Times {
    fn record(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.buckets[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.seconds += seconds;
    }
}

impl ModelFigures {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ModelCounts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the figures of each model that was asked.
    pub(crate) fn by_model(&self) -> BTreeMap<String, ModelCounts> {
        self.lock().clone()
    }

    /// Counts an ask that begins now. Its figures are recorded when it is dropped.
    pub(super) fn begin(&self, model: &str) -> Ask<'_> {
        Ask {
            figures: self,
            model: model.to_owned(),
            began: Instant::now(),
            first_token: None,
            usage: Usage::default(),
            failure: None,
        }
    }
}

/// One ask of a model.
pub(super) struct Ask<'a> {
    figures: &'a ModelFigures,
    model: String,
    began: Instant,
    first_token: Option<Duration>,
    usage: Usage,
    failure: Option<FailureKind>,
}

impl Ask<'_> {
    /// Records that a thought or a word has arrived.
    pub(super) fn begin_answer(&mut self) {
        self.first_token.get_or_insert_with(|| self.began.elapsed());
    }

    /// Records the tokens so far.
    pub(super) fn set_usage(&mut self, usage: Usage) {
        self.usage = usage;
    }

    /// Records that the ask failed.
    pub(super) fn fail(&mut self, kind: FailureKind) {
        self.failure = Some(kind);
    }
}

impl Drop for Ask<'_> {
    fn drop(&mut self) {
        let mut models = self.figures.lock();
        let counts = models.entry(std::mem::take(&mut self.model)).or_default();
        counts.asks += 1;
        counts.usage += self.usage;
        if let Some(kind) = self.failure {
            let position = FailureKind::ALL.iter().position(|other| *other == kind);
            counts.failures[position.expect("the list has all kinds")] += 1;
        }
        if let Some(time) = self.first_token {
            counts.first_token.record(time);
        }
        counts.duration.record(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_counted_when_it_ends_with_its_tokens_and_its_failure() {
        let figures = ModelFigures::default();
        let usage = |input| Usage {
            input,
            requests: 2,
            ..Usage::default()
        };
        let mut ask = figures.begin("m");
        ask.set_usage(usage(3));
        ask.set_usage(usage(7));
        ask.begin_answer();
        assert!(figures.by_model().is_empty());
        drop(ask);
        let mut failed = figures.begin("m");
        failed.set_usage(usage(1));
        failed.fail(FailureKind::Timeout);
        drop(failed);
        let counts = &figures.by_model()["m"];
        assert_eq!(
            (counts.asks, counts.usage),
            (
                2,
                Usage {
                    requests: 4,
                    ..usage(8)
                }
            )
        );
        assert_eq!(counts.failures.iter().sum::<u64>(), 1);
        assert_eq!(counts.first_token.buckets.iter().sum::<u64>(), 1);
        assert_eq!(counts.duration.buckets.iter().sum::<u64>(), 2);
    }

    #[test]
    fn a_time_at_a_bound_counts_below_it() {
        let mut times = Times::default();
        for millis in [100, 101, 300_000, 300_001] {
            times.record(Duration::from_millis(millis));
        }
        let mut expected = [0; BOUNDS.len() + 1];
        (expected[0], expected[1], expected[10], expected[11]) = (1, 1, 1, 1);
        assert_eq!(times.buckets, expected);
    }
}
