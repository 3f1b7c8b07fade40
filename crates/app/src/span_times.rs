//! Histograms of the time that loads, writes and statements take. They are measured by their
//! tracing spans, which traces export, too.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tracing::{
    Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, filter::filter_fn, layer::Context, registry::LookupSpan};

use crate::times::Times;

/// The upper bounds of the buckets, in seconds. A statement on a local database takes some tens of
/// microseconds, and a load may take until its timeout.
pub(crate) const BOUNDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// The spans that are measured.
pub(crate) const MEASURED: [Measured; 4] = [
    Measured {
        span: ("cache", "load"),
        metric: "greenroom_cache_load_duration_seconds",
        help: "time of loads, with the wait for a permit",
        labels: &[("region", "region"), ("outcome", "outcome")],
    },
    Measured {
        span: ("cache", "write"),
        metric: "greenroom_cache_write_duration_seconds",
        help: "time of writes, without the wait for a permit",
        labels: &[("outcome", "outcome")],
    },
    Measured {
        span: ("persistence", "statement"),
        metric: "db_client_operation_duration_seconds",
        help: "time of statements",
        labels: &[
            ("db.system.name", "db_system_name"),
            ("db.operation.name", "db_operation_name"),
            ("error.type", "error_type"),
        ],
    },
    Measured {
        span: ("persistence", "wait_for_connection"),
        metric: "db_client_connection_wait_time_seconds",
        help: "time until a transaction began",
        labels: &[(
            "db.client.connection.pool.name",
            "db_client_connection_pool_name",
        )],
    },
];

/// The most labels of a metric.
const MOST_LABELS: usize = 3;

/// A kind of span, and the metric that it is measured by.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The target and the name of the span.
    span: (&'static str, &'static str),
    pub(crate) metric: &'static str,
    pub(crate) help: &'static str,
    /// The fields of the span that are labels, and the names of the labels.
    labels: &'static [(&'static str, &'static str)],
}

/// The values of a metric's labels. Labels that the span did not record are empty.
type Values = [String; MOST_LABELS];
/// A histogram of times of spans.
pub(crate) type SpanTimes = Times<{ BOUNDS.len() + 1 }>;

/// The times of the whole process by the place of their metric in [`MEASURED`]. Tracing has one
/// subscriber for the process, so there is one map, too.
static TIMES: Mutex<BTreeMap<(usize, Values), SpanTimes>> = Mutex::new(BTreeMap::new());

fn lock() -> MutexGuard<'static, BTreeMap<(usize, Values), SpanTimes>> {
    TIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the labels and the histograms of a metric.
pub(crate) fn of(measured: &Measured) -> Vec<(Vec<(&'static str, String)>, SpanTimes)> {
    let is_same = |(place, _): &(usize, Values)| MEASURED[*place].metric == measured.metric;
    let times = lock();
    let times = times.iter().filter(|(key, _)| is_same(key));
    let labelled = times.map(|((_, values), times)| {
        let labels = measured.labels.iter().zip(values);
        let labels = labels.map(|((_, label), value)| (*label, value.clone()));
        (labels.collect(), times.clone())
    });
    labelled.collect()
}

/// Returns a layer of a tracing subscriber that measures spans for the metrics.
///
/// It takes spans of the level info only.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    let is_measured =
        |metadata: &Metadata<'_>| *metadata.level() == Level::INFO && place_of(metadata).is_some();
    // Without the hint, tracing would ask about every level, and each hit would write a line.
    let measured = filter_fn(is_measured).with_max_level_hint(LevelFilter::INFO);
    SpanTimesLayer.with_filter(measured)
}

/// Returns the place in [`MEASURED`] of a kind of span.
fn place_of(metadata: &Metadata<'_>) -> Option<usize> {
    let span = (metadata.target(), metadata.name());
    let is_it = |measured: &Measured| metadata.is_span() && measured.span == span;
    MEASURED.iter().position(is_it)
}

struct SpanTimesLayer;

/// A span that is open.
struct OpenSpan {
    place: usize,
    began: Instant,
    /// The time at which its outcome was recorded. A span that began tasks closes only with the
    /// last of their spans.
    ended: Option<Instant>,
    values: Values,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanTimesLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let (Some(place), Some(span)) = (place_of(attributes.metadata()), context.span(id)) else {
            return;
        };
        let mut open = OpenSpan {
            place,
            began: Instant::now(),
            ended: None,
            values: Values::default(),
        };
        attributes.record(&mut open);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, fields: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<OpenSpan>()
        {
            fields.record(open);
            open.ended = Some(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<OpenSpan>() else {
            return;
        };
        let time = open.ended.unwrap_or_else(Instant::now) - open.began;
        let mut labels = MEASURED[open.place].labels.iter().zip(&open.values);
        // A task that was dropped at the end of the program has no outcome.
        if labels.any(|((name, _), value)| *name == "outcome" && value.is_empty()) {
            return;
        }
        let mut times = lock();
        let times = times.entry((open.place, open.values)).or_default();
        times.record(&BOUNDS, time);
    }
}

impl Visit for OpenSpan {
    fn record_str(&mut self, field: &Field, value: &str) {
        let labels = MEASURED[self.place].labels;
        if let Some(at) = labels.iter().position(|(name, _)| *name == field.name()) {
            value.clone_into(&mut self.values[at]);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use tracing::{field::Empty, info_span};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn no_layer_of_the_program_asks_for_more_than_the_level_info() {
        use tracing_subscriber::Registry;
        let (times, ring) = (
            layer::<Registry>(),
            crate::operate::log_ring_layer::<Registry>(),
        );
        let hints = [times.max_level_hint(), ring.max_level_hint()];
        assert_eq!(hints, [Some(LevelFilter::INFO); 2]);
    }

    #[test]
    fn a_span_is_measured_when_it_closes_with_the_labels_that_it_recorded() {
        let subscriber = tracing_subscriber::registry().with(layer());
        tracing::subscriber::with_default(subscriber, || {
            let region = "a_region_of_this_test";
            let load = |outcome| {
                let span = info_span!(
                    target: "cache", "load", region, keys = 1, outcome = Empty
                );
                span.record("outcome", outcome);
            };
            ["ok", "failed", "ok"].into_iter().for_each(load);
            // Of a task that was dropped.
            info_span!(target: "cache", "load", region, outcome = Empty);
            info_span!(target: "cache", "other", region);
            let counts = of(&MEASURED[0]).into_iter().filter_map(|(labels, times)| {
                let [(_, of_region), (_, outcome)] = &labels[..] else {
                    panic!("a load has two labels");
                };
                let count = times.buckets.iter().sum::<u64>();
                (of_region == region).then(|| (outcome.clone(), count))
            });
            let counts: Vec<_> = counts.collect();
            assert_eq!(counts, [("failed".to_owned(), 1), ("ok".to_owned(), 2)]);
        });
    }
}
