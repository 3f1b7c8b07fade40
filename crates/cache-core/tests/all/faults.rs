//! Planted faults: each disables one rule, and then a reader sees an old value after a new one.

use cache_core::{Policy, Written};

use crate::support::*;

fn faulty(fault: Fault) -> Fixture {
    fixture_with(Policy::new(TTL, 10), |builder| builder.fault(fault))
}

/// Returns what a cached read sees within a window after the commit, once a bypassing read has seen
/// the new value.
async fn seen_in_the_window_after_the_commit(fault: Fault) -> Option<u64> {
    let cache = faulty(fault);
    let row = Row::holding(10);
    value_of(cache.numbers.get_or_load(1, row.read())).await;
    let ((mut committed, pass), written) = (gate(), row.clone());
    let write = async move {
        written.set(20);
        pass.wait().await;
        Written::<_, Down>::Committed(20)
    };
    let writing = begin_write(cache.manager.guard().key(&cache.numbers, 1), write);
    committed.begun().await;
    assert_eq!(
        value_of(cache.numbers.bypass(1, row.read())).await,
        Some(20),
        "the bypassing reader did not see the new value"
    );
    let seen = value_of(cache.numbers.get_or_load(1, row.read())).await;
    committed.open();
    writing.await.unwrap();
    seen
}

/// Returns what a reader sees that begins after a write was acknowledged, while a load that began
/// before the write still runs.
async fn seen_while_an_older_load_runs(fault: Fault) -> Option<u64> {
    let (cache, row, older, load) = write_overtakes_load(fault).await;
    let mut newer = Box::pin(cache.numbers.get_or_load(1, row.read()));
    let early = futures_util::FutureExt::now_or_never(&mut newer);
    assert!(early.is_none());
    load.open();
    value_of(older).await;
    value_of(newer).await
}

/// Returns what a reader sees that begins after a write was acknowledged, and after a load that
/// began before the write has ended.
async fn seen_after_an_older_load_ended(fault: Fault) -> Option<u64> {
    let (cache, row, older, load) = write_overtakes_load(fault).await;
    load.open();
    value_of(older).await;
    value_of(cache.numbers.get_or_load(1, row.read())).await
}

async fn write_overtakes_load(fault: Fault) -> (Fixture, Row, ReadFuture, Gate) {
    let cache = faulty(fault);
    let row = Row::holding(10);
    let (mut load, pass) = gate();
    let older = begin_read(&cache.numbers, 1, row.read_then(pass));
    load.begun().await;
    let written = row.clone();
    let write = async move {
        written.set(20);
        Written::<_, Down>::Committed(20)
    };
    cache
        .manager
        .guard()
        .key(&cache.numbers, 1)
        .run(write)
        .await
        .unwrap();
    (cache, row, older, load)
}

#[tokio::test]
async fn without_a_fault_no_reader_sees_an_old_value() {
    assert_eq!(
        seen_in_the_window_after_the_commit(Fault::None).await,
        Some(20)
    );
    assert_eq!(seen_while_an_older_load_runs(Fault::None).await, Some(20));
    assert_eq!(seen_after_an_older_load_ended(Fault::None).await, Some(20));
}

#[tokio::test]
async fn with_a_late_invalidation_a_reader_sees_an_old_value_after_a_new_one() {
    assert_eq!(
        seen_in_the_window_after_the_commit(Fault::LateInvalidation).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_reader_that_joins_an_older_load_sees_an_old_value() {
    assert_eq!(
        seen_while_an_older_load_runs(Fault::JoinedOlderLoad).await,
        Some(10)
    );
}

#[tokio::test]
async fn after_a_blind_store_a_reader_sees_an_old_value() {
    assert_eq!(
        seen_after_an_older_load_ended(Fault::BlindStore).await,
        Some(10)
    );
}

#[tokio::test]
async fn each_fault_takes_out_its_own_rule_alone() {
    assert_eq!(
        seen_while_an_older_load_runs(Fault::LateInvalidation).await,
        Some(20)
    );
    assert_eq!(
        seen_after_an_older_load_ended(Fault::LateInvalidation).await,
        Some(20)
    );
    assert_eq!(
        seen_in_the_window_after_the_commit(Fault::JoinedOlderLoad).await,
        Some(20)
    );
    assert_eq!(
        seen_after_an_older_load_ended(Fault::JoinedOlderLoad).await,
        Some(20)
    );
    assert_eq!(
        seen_in_the_window_after_the_commit(Fault::BlindStore).await,
        Some(20)
    );
}
