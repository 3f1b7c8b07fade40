//! Events: under the target `cache`, at debug level, with the region and what happened.

use std::{
    cell::RefCell,
    fmt::{Debug, Write},
    sync::Once,
};

use cache_core::Policy;
use tracing::{
    Event, Instrument, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::support::*;

/// An event's level and its line.
type Said = (Level, String);

thread_local! {
    /// Up to which level this thread listens, and what it heard.
    static HEARD: RefCell<Option<(Level, Vec<Said>)>> = const { RefCell::new(None) };
}

/// Lets each thread listen. Called before anything is said: one subscriber for all tests, because one per test would
/// race with the other tests' first use of an event.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(Registry::default().with(Ears))
            .expect("nobody else listens");
    });
}

/// Writes the events of the target `cache` down, each as `message field=value …` with the innermost span.
struct Ears;

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.fields, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ears {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        HEARD.with_borrow_mut(|heard| {
            let Some((up_to, lines)) = heard else { return };
            let level = *event.metadata().level();
            if level > *up_to || event.metadata().target() != "cache" {
                return;
            }
            let mut line = Line::default();
            event.record(&mut line);
            let span = context
                .lookup_current()
                .map_or(String::new(), |span| format!(" in {}", span.name()));
            lines.push((level, format!("{}{}{span}", line.message, line.fields)));
        });
    }
}

/// Writes down what this thread, and so a test on a runtime of one thread, says from here on.
fn listen(level: Level) {
    install();
    HEARD.set(Some((level, Vec::new())));
}

/// What was said since the last call.
fn heard() -> Vec<Said> {
    HEARD
        .with_borrow_mut(|heard| heard.as_mut().map(|(_, lines)| std::mem::take(lines)))
        .expect("this thread listens")
}

/// The same; all of it at debug level.
fn said() -> Vec<String> {
    let debug = |(level, line)| {
        assert_eq!(level, Level::DEBUG, "{line}");
        line
    };
    heard().into_iter().map(debug).collect()
}

#[tokio::test]
async fn a_miss_a_load_and_a_hit_are_said() {
    listen(Level::TRACE);
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    value_of(bench.numbers.get_or_load(1, unused())).await;
    bench.numbers.look_up(&1);
    bench.numbers.get(&1);
    bench.numbers.get(&2);
    let (hit, miss) = (
        "hit region=\"numbers\" key=1",
        "miss region=\"numbers\" key=1",
    );
    assert_eq!(
        said(),
        [
            miss,
            "load region=\"numbers\" rows=1",
            hit,
            hit,
            hit,
            "miss region=\"numbers\" key=2"
        ]
    );
}

#[tokio::test]
async fn a_failed_load_is_said_with_its_reason() {
    listen(Level::TRACE);
    let bench = bench();
    bench.numbers.get_or_load(1, fails()).await.unwrap_err();
    assert_eq!(
        said(),
        [
            "miss region=\"numbers\" key=1",
            "load failed region=\"numbers\" error=the source is down"
        ]
    );
}

#[tokio::test]
async fn an_invalidation_a_refused_store_an_expiry_and_an_eviction_are_said() {
    listen(Level::TRACE);
    let bench = bench_with(Policy::new(TTL, 1), |builder| builder);
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    said();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(1), stores_nothing)
        .await
        .unwrap();
    assert_eq!(
        said(),
        ["invalidation region=\"numbers\" windows=1 removed=0"]
    );
    gate.open();
    value_of(read).await;
    assert_eq!(
        said(),
        [
            "load region=\"numbers\" rows=1",
            "refused store region=\"numbers\" key=1"
        ]
    );
    bench.numbers.insert(1, 10);
    assert_eq!(said(), [""; 0]);
    bench.numbers.insert(2, 20);
    assert_eq!(said(), ["eviction region=\"numbers\" entries=1"]);
    bench.hand.advance(TTL);
    bench.manager.cleanup().await;
    assert_eq!(
        said(),
        ["expiry region=\"numbers\" entries=1", "cleanup removed=1"]
    );
    bench.manager.cleanup().await;
    assert_eq!(said(), ["cleanup removed=0"]);
    bench.numbers.insert(3, 30);
    bench.manager.clear();
    assert_eq!(said(), ["invalidation region=\"numbers\" removed=1"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_a_warning() {
    listen(Level::WARN);
    let bench = bench();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    let lines = heard();
    assert!(
        matches!(lines.as_slice(), [(Level::WARN, line)] if line.starts_with("the outcome of a write is unknown")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn statistics_are_a_line_per_region() {
    listen(Level::INFO);
    let bench = bench();
    let _others: Numbers = bench.manager.region("others", Policy::new(TTL, 10));
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    bench.manager.log_stats();
    let lines = heard();
    let expected = "statistics region=\"numbers\" hits=0 misses=1 hit_rate=0.0 size=1 invalidations=0 loads=1 refused_stores=0";
    assert_eq!(lines[0], (Level::INFO, expected.to_owned()));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn loads_and_writes_carry_the_span_of_their_caller() {
    listen(Level::TRACE);
    let bench = bench();
    let span = tracing::info_span!(target: "cache", "request");
    async {
        value_of(bench.numbers.get_or_load(1, gives(10))).await;
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(commits(20), stores_nothing)
            .await
            .unwrap();
    }
    .instrument(span)
    .await;
    let lines = said();
    assert_eq!(lines.len(), 3);
    assert!(
        lines.iter().all(|line| line.ends_with(" in request")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn values_are_never_said() {
    listen(Level::TRACE);
    let bench = bench_with(
        Policy {
            fail_safe: Some(TTL),
            refresh_after: Some(0.5),
            ..Policy::new(TTL, 2)
        },
        |builder| builder,
    );
    for key in 0..5 {
        value_of(bench.numbers.get_or_load(key, gives(987_654))).await;
    }
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(987_654), stores(&bench.numbers, 1))
        .await
        .unwrap();
    bench.hand.advance(TTL);
    bench.manager.cleanup().await;
    let lines = said();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| !line.contains("987654")),
        "{lines:?}"
    );
}
