//! Events: under the target `cache`, at level debug, with the region and what happened.

use std::{convert::Infallible, time::Duration};

use cache_core::{Policy, Written};
use testkit::events::{Event, capture, take, take_spans};
use tracing::{Instrument, Level};

use crate::support::*;

/// Takes the captured events, all of which must be at level debug.
fn debug_lines() -> Vec<String> {
    let line = |event: Event| {
        assert_eq!(event.level, Level::DEBUG, "{event}");
        event.line
    };
    take().into_iter().map(line).collect()
}

#[tokio::test]
async fn a_miss_a_load_and_a_hit_are_events() {
    capture(Level::TRACE);
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    value_of(cache.numbers.get_or_load(1, never_called())).await;
    cache.numbers.look_up(&1);
    cache.numbers.get(&1);
    cache.numbers.get(&2);
    value_of(cache.numbers.get_or_load(3, returns_none())).await;
    let (hit, miss) = (
        "hit region=\"numbers\" key=1",
        "miss region=\"numbers\" key=1",
    );
    assert_eq!(
        debug_lines(),
        [
            miss,
            "load region=\"numbers\" rows=1",
            hit,
            hit,
            hit,
            // A look-up may have a borrowed form of the key, which is not printed.
            "miss region=\"numbers\" key=",
            "miss region=\"numbers\" key=3",
            "load region=\"numbers\" rows=0",
        ]
    );
}

#[tokio::test]
async fn the_event_of_a_failed_load_has_its_reason() {
    capture(Level::TRACE);
    let cache = fixture();
    cache.numbers.get_or_load(1, fails()).await.unwrap_err();
    assert_eq!(
        debug_lines(),
        [
            "miss region=\"numbers\" key=1",
            "load failed region=\"numbers\" error=the source is down"
        ]
    );
}

#[tokio::test]
async fn an_invalidation_a_refused_store_an_expiry_and_an_eviction_are_events() {
    capture(Level::TRACE);
    let cache = fixture_with(Policy::new(TTL, 1), |builder| builder);
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    debug_lines();
    cache.write_without_row(1, 1).await;
    assert_eq!(
        debug_lines(),
        ["invalidation region=\"numbers\" windows=1 removed=0"]
    );
    gate.open();
    value_of(read).await;
    assert_eq!(
        debug_lines(),
        [
            "load region=\"numbers\" rows=1",
            "refused store region=\"numbers\" key=1"
        ]
    );
    cache.numbers.insert(1, 10);
    assert_eq!(debug_lines(), [""; 0]);
    cache.numbers.insert(2, 20);
    assert_eq!(debug_lines(), ["eviction region=\"numbers\" entries=1"]);
    cache.hand.advance(TTL);
    cache.manager.cleanup().await;
    assert_eq!(
        debug_lines(),
        ["expiry region=\"numbers\" entries=1", "cleanup removed=1"]
    );
    cache.manager.cleanup().await;
    assert_eq!(debug_lines(), ["cleanup removed=0"]);
    cache.numbers.insert(3, 30);
    cache.manager.clear();
    assert_eq!(debug_lines(), ["invalidation region=\"numbers\" removed=1"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_a_warning() {
    capture(Level::WARN);
    let cache = fixture();
    cache.lose_write(1).await;
    let lines = take();
    assert!(
        matches!(
            lines.as_slice(),
            [Event { level: Level::WARN, line }]
                if line.starts_with("the outcome of a write is unknown")
        ),
        "{lines:?}"
    );
}

#[tokio::test]
async fn statistics_are_logged_in_one_line_per_region() {
    capture(Level::INFO);
    let cache = fixture();
    let _others: Numbers = cache.manager.region("others", Policy::new(TTL, 10));
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    cache.manager.log_stats();
    let lines = take();
    let expected = "statistics region=\"numbers\" hits=0 misses=1 hit_rate=0.0 size=1 \
                    invalidations=0 loads=1 refused_stores=0";
    assert_eq!(
        (lines[0].level, lines[0].line.as_str()),
        (Level::INFO, expected)
    );
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn loads_and_writes_carry_the_span_of_their_caller() {
    capture(Level::TRACE);
    let cache = fixture();
    let span = tracing::info_span!(target: "cache", "request");
    async {
        value_of(cache.numbers.get_or_load(1, returns(10))).await;
        cache.write_without_row(1, 20).await;
    }
    .instrument(span)
    .await;
    let lines = debug_lines();
    assert_eq!(lines.len(), 3);
    assert!(
        lines.iter().all(|line| line.ends_with(" in request")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn values_are_never_logged() {
    capture(Level::TRACE);
    let cache = fixture_with(
        Policy::new(TTL, 2).fail_safe(TTL).refresh_after(0.5),
        |builder| builder,
    );
    for key in 0..5 {
        value_of(cache.numbers.get_or_load(key, returns(987_654))).await;
    }
    cache.write(1, 987_654).await;
    cache.hand.advance(TTL);
    cache.manager.cleanup().await;
    let lines = debug_lines();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| !line.contains("987654")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn loads_and_writes_have_spans_with_their_outcomes() {
    capture(Level::INFO);
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    value_of(cache.numbers.get_or_load(1, never_called())).await;
    cache.numbers.get_or_load(2, fails()).await.unwrap_err();
    let load = |end| format!("load otel.name=load numbers region=\"numbers\" keys=1 outcome={end}");
    let failed = "\"failed\" otel.status_code=\"ERROR\"";
    assert_eq!(take_spans(), [load("\"ok\""), load(failed)]);
    let panicking = async || -> Result<Option<u64>, Infallible> { panic!("by the test") };
    cache.numbers.get_or_load(3, panicking).await.unwrap_err();
    assert_eq!(take_spans(), [load(failed)]);
    let none = |_| async { Ok::<_, Infallible>(vec![]) };
    cache.numbers.get_or_load_many(&[4, 5], none).await.unwrap();
    assert!(take_spans()[0].contains(" keys=2 outcome=\"ok\""));
    cache.write(1, 11).await;
    let write = async { Written::<u64, _>::NotApplied("refused") };
    cache.manager.guard().run(write).await.unwrap_err();
    cache.lose_write(1).await;
    let spans = take_spans();
    assert_eq!(
        spans,
        [
            "write outcome=\"committed\"",
            "write outcome=\"failed\" otel.status_code=\"ERROR\"",
            "write outcome=\"unknown\" otel.status_code=\"ERROR\"",
        ]
    );
}

#[tokio::test]
async fn the_span_of_a_load_says_that_it_timed_out_or_that_it_was_given_up() {
    capture(Level::INFO);
    let cache = fixture_with(Policy::new(TTL, 10), |builder| builder.permits(1, 1));
    let (mut load, pass) = gate();
    let first = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    load.begun().await;
    drop(begin_read(&cache.numbers, 2, never_called()));
    run_tasks().await;
    load.open();
    value_of(first).await;
    run_tasks().await;
    let (_load, pass) = gate();
    let late = begin_read(&cache.numbers, 3, returns_after(pass, 30));
    run_tasks().await;
    cache.hand.advance(Duration::from_hours(1));
    late.await.unwrap_err();
    let spans = take_spans().into_iter();
    let outcomes = spans.filter_map(|span| {
        let (_, outcome) = span.split_once("outcome=")?;
        Some(outcome.split(' ').next()?.to_owned())
    });
    let outcomes: Vec<_> = outcomes.collect();
    assert_eq!(outcomes, ["\"ok\"", "\"given_up\"", "\"timed_out\""]);
}

#[tokio::test]
async fn a_refresh_is_no_part_of_the_span_of_the_hit_that_began_it() {
    capture(Level::TRACE);
    let policy = Policy::new(TTL, 10).refresh_after(0.5);
    let cache = fixture_with(policy, |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL / 2);
    let request = tracing::info_span!(target: "cache", "request");
    let read = cache.numbers.get_or_load(1, returns(11));
    value_of(read.instrument(request)).await;
    run_tasks().await;
    let loads = debug_lines()
        .into_iter()
        .filter(|line| line.starts_with("load "));
    let loads: Vec<_> = loads.collect();
    assert_eq!(loads, ["load region=\"numbers\" rows=1"]);
}
