//! Events: under the target `cache`, at debug level, with the region and what happened.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use cache_core::Policy;
use tracing::{
    Event, Instrument, Level, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

use crate::support::*;

/// Writes events down, each as `message field=value …` with the innermost span.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

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

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let span = context.lookup_current().map_or(String::new(), |span| format!(" in {}", span.name()));
        self.0.lock().unwrap().push((*event.metadata().level(), format!("{}{}{span}", line.message, line.fields)));
    }
}

/// Everything that this thread, and so a test on a runtime of one thread, says from here on under the target `cache`.
fn listen(level: Level) -> (Log, DefaultGuard) {
    let log = Log::default();
    let subscriber = Registry::default().with(log.clone().with_filter(Targets::new().with_target("cache", level)));
    (log, tracing::subscriber::set_default(subscriber))
}

impl Log {
    /// What was said since the last call; all of it at debug level.
    fn said(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        lines
            .into_iter()
            .map(|(level, line)| {
                assert_eq!(level, Level::DEBUG, "{line}");
                line
            })
            .collect()
    }
}

#[tokio::test]
async fn a_miss_a_load_and_a_hit_are_said() {
    let (log, _guard) = listen(Level::TRACE);
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    value_of(bench.numbers.get_or_load(1, unused())).await;
    bench.numbers.look_up(&1);
    bench.numbers.get(&1);
    bench.numbers.get(&2);
    let (hit, miss) = ("hit region=\"numbers\" key=1", "miss region=\"numbers\" key=1");
    assert_eq!(log.said(), [miss, "load region=\"numbers\" rows=1", hit, hit, hit, "miss region=\"numbers\" key=2"]);
}

#[tokio::test]
async fn a_failed_load_is_said_with_its_reason() {
    let (log, _guard) = listen(Level::TRACE);
    let bench = bench();
    bench.numbers.get_or_load(1, fails()).await.unwrap_err();
    assert_eq!(log.said(), ["miss region=\"numbers\" key=1", "load failed region=\"numbers\" error=the source is down"]);
}

#[tokio::test]
async fn an_invalidation_a_refused_store_an_expiry_and_an_eviction_are_said() {
    let (log, _guard) = listen(Level::TRACE);
    let bench = bench_with(Policy::new(TTL, 1), |builder| builder);
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    log.said();
    bench.manager.guard().key(&bench.numbers, 1).run(commits(1), stores_nothing).await.unwrap();
    assert_eq!(log.said(), ["invalidation region=\"numbers\" windows=1 removed=0"]);
    gate.open();
    value_of(read).await;
    assert_eq!(log.said(), ["load region=\"numbers\" rows=1", "refused store region=\"numbers\" key=1"]);
    bench.numbers.insert(1, 10);
    assert_eq!(log.said(), [""; 0]);
    bench.numbers.insert(2, 20);
    assert_eq!(log.said(), ["eviction region=\"numbers\" entries=1"]);
    bench.hand.advance(TTL);
    bench.manager.cleanup().await;
    assert_eq!(log.said(), ["expiry region=\"numbers\" entries=1", "cleanup removed=1"]);
    bench.numbers.insert(3, 30);
    bench.manager.clear();
    assert_eq!(log.said(), ["invalidation region=\"numbers\" removed=1"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_a_warning() {
    let (log, _guard) = listen(Level::WARN);
    let bench = bench();
    bench.manager.guard().key(&bench.numbers, 1).run(is_unknown(), stores_nothing).await.unwrap_err();
    let lines = std::mem::take(&mut *log.0.lock().unwrap());
    assert!(matches!(lines.as_slice(), [(Level::WARN, line)] if line.starts_with("the outcome of a write is unknown")), "{lines:?}");
}

#[tokio::test]
async fn statistics_are_a_line_per_region() {
    let (log, _guard) = listen(Level::INFO);
    let bench = bench();
    let _others: Numbers = bench.manager.region("others", Policy::new(TTL, 10));
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    bench.manager.log_stats();
    let lines = std::mem::take(&mut *log.0.lock().unwrap());
    let expected = "statistics region=\"numbers\" hits=0 misses=1 hit_rate=0.0 size=1 invalidations=0 loads=1 refused_stores=0";
    assert_eq!(lines[0], (Level::INFO, expected.to_owned()));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn loads_and_writes_carry_the_span_of_their_caller() {
    let (log, _guard) = listen(Level::TRACE);
    let bench = bench();
    let span = tracing::info_span!(target: "cache", "request");
    async {
        value_of(bench.numbers.get_or_load(1, gives(10))).await;
        bench.manager.guard().key(&bench.numbers, 1).run(commits(20), stores_nothing).await.unwrap();
    }
    .instrument(span)
    .await;
    let said = log.said();
    assert_eq!(said.len(), 3);
    assert!(said.iter().all(|line| line.ends_with(" in request")), "{said:?}");
}

#[tokio::test]
async fn values_are_never_said() {
    let (log, _guard) = listen(Level::TRACE);
    let bench = bench_with(Policy { fail_safe: Some(TTL), refresh_after: Some(0.5), ..Policy::new(TTL, 2) }, |builder| builder);
    for key in 0..5 {
        value_of(bench.numbers.get_or_load(key, gives(987_654))).await;
    }
    bench.manager.guard().key(&bench.numbers, 1).run(commits(987_654), stores(&bench.numbers, 1)).await.unwrap();
    bench.hand.advance(TTL);
    bench.manager.cleanup().await;
    let said = log.said();
    assert!(!said.is_empty() && said.iter().all(|line| !line.contains("987654")), "{said:?}");
}
