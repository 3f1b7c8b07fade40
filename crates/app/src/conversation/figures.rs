//! Figures of the models: asks, failures by kind, tokens, and the time that answers take.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use domain::{FailureKind, Usage};
use tracing::Span;

use crate::{settings::Price, times::Times};

/// The upper bounds of the buckets, in seconds: a word of a fast model takes a quarter of a second,
/// and a long answer with thoughts takes minutes.
pub(crate) const BOUNDS: [f64; 11] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// The figures of all turns and all models since the program started.
#[derive(Debug, Default)]
pub(crate) struct AnswerFigures {
    /// The turns that asked a model, by the order of [`TurnOutcome::ALL`].
    turns: [AtomicU64; TurnOutcome::ALL.len()],
    models: Mutex<BTreeMap<String, ModelCounts>>,
}

/// The outcome of a turn in which an agent was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnOutcome {
    Said,
    Silent,
    /// The answer ended early, or did not count: the room changed or had no budget.
    Interrupted,
    /// The answer ended at a limit of its length.
    CutOff,
    Failed,
}

impl TurnOutcome {
    pub(crate) const ALL: [Self; 5] = [
        Self::Said,
        Self::Silent,
        Self::Interrupted,
        Self::CutOff,
        Self::Failed,
    ];

    /// Returns the name in metrics and traces.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Silent => "silent",
            Self::Interrupted => "interrupted",
            Self::CutOff => "cut_off",
            Self::Failed => "failed",
        }
    }
}

/// The figures of one model.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelCounts {
    /// The prompts that were sent, including those after a recalled memory.
    pub(crate) asks: u64,
    /// The asks that failed, by the order of [`FailureKind::ALL`].
    pub(crate) failures: [u64; FailureKind::ALL.len()],
    pub(crate) usage: Usage,
    /// The price of the tokens by currency. Empty if the settings have no price.
    pub(crate) cost: BTreeMap<String, f64>,
    /// The time until the first thought or word.
    pub(crate) first_token: AnswerTimes,
    /// The time until the end.
    pub(crate) duration: AnswerTimes,
}

/// A histogram of the time that answers take.
pub(crate) type AnswerTimes = Times<{ BOUNDS.len() + 1 }>;

impl AnswerFigures {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ModelCounts>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Relaxed: the counts are shown, and order nothing.
    pub(super) fn count_turn(&self, outcome: TurnOutcome) {
        self.turns[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of turns with each outcome.
    pub(crate) fn turns(&self) -> [(&'static str, u64); TurnOutcome::ALL.len()] {
        TurnOutcome::ALL.map(|outcome| {
            let count = self.turns[outcome as usize].load(Ordering::Relaxed);
            (outcome.name(), count)
        })
    }

    /// Returns the figures of each model that was asked.
    pub(crate) fn by_model(&self) -> BTreeMap<String, ModelCounts> {
        self.lock().clone()
    }

    /// Counts an ask that begins now. Its figures are recorded when it is dropped.
    pub(super) fn begin(&self, model: &str, price: Option<Price>, span: Span) -> Ask<'_> {
        Ask {
            figures: self,
            model: model.to_owned(),
            price,
            span,
            began: Instant::now(),
            first_token: None,
            usage: Usage::default(),
            failure: None,
        }
    }
}

/// One ask of a model.
pub(super) struct Ask<'a> {
    figures: &'a AnswerFigures,
    model: String,
    price: Option<Price>,
    span: Span,
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
        let Usage { input, output, .. } = self.usage;
        // Exporters take unsigned numbers for texts.
        self.span
            .record("gen_ai.usage.input_tokens", input.cast_signed());
        self.span
            .record("gen_ai.usage.output_tokens", output.cast_signed());
        if let Some(kind) = self.failure {
            self.span.record("error.type", kind.name());
            self.span.record("otel.status_code", "ERROR");
        }
        let mut models = self.figures.lock();
        let counts = models.entry(std::mem::take(&mut self.model)).or_default();
        counts.asks += 1;
        counts.usage += self.usage;
        if let Some(price) = &self.price {
            let cost = counts.cost.entry(price.currency.0.clone()).or_default();
            *cost += price.of(self.usage);
        }
        if let Some(kind) = self.failure {
            let position = FailureKind::ALL.iter().position(|other| *other == kind);
            counts.failures[position.expect("the list has all kinds")] += 1;
        }
        if let Some(time) = self.first_token {
            counts.first_token.record(&BOUNDS, time);
        }
        counts.duration.record(&BOUNDS, self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Currency;

    #[test]
    fn an_ask_is_counted_when_it_ends_with_its_tokens_and_its_failure() {
        let figures = AnswerFigures::default();
        let usage = |input| Usage {
            input,
            requests: 2,
            ..Usage::default()
        };
        let price = Price {
            currency: Currency("EUR".into()),
            input: 2.0,
            cached: None,
            output: 4.0,
        };
        let mut ask = figures.begin("m", Some(price), Span::none());
        ask.set_usage(usage(3));
        ask.set_usage(usage(7));
        ask.begin_answer();
        assert!(figures.by_model().is_empty());
        drop(ask);
        let mut failed = figures.begin("m", None, Span::none());
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
        assert!((counts.cost["EUR"] - 14e-6).abs() < 1e-12);
        assert_eq!(counts.failures.iter().sum::<u64>(), 1);
        assert_eq!(counts.first_token.buckets.iter().sum::<u64>(), 1);
        assert_eq!(counts.duration.buckets.iter().sum::<u64>(), 2);
    }
}
