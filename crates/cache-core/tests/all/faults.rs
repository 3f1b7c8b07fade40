//! Planted faults: each breaks one rule, and each then shows an old value to a reader that came after the acknowledgement.

use cache_core::{Fault, Policy, Written};

use crate::support::*;

fn faulty(fault: Fault) -> Bench {
    bench_with(Policy::new(TTL, 10), |builder| builder.fault(fault))
}

/// A load that ends within the window is refused, but a value that was there is found until the write ends, and a
/// load that ended just before it hides nothing afterwards. What a reader sees within the window after the commit.
async fn seen_after_the_commit_within_the_window(fault: Fault) -> Option<u64> {
    let bench = faulty(fault);
    let row = Row::holding(10);
    value_of(bench.numbers.get_or_load(1, row.read())).await;
    let ((mut committed, pass), written) = (gate(), row.clone());
    let write = async move {
        written.set(20);
        pass.wait().await;
        Written::<_, Down>::Committed(20)
    };
    let writing = begin_write(
        bench.manager.guard().key(&bench.numbers, 1),
        write,
        stores_nothing,
    );
    committed.begun().await;
    assert_eq!(
        value_of(bench.numbers.bypass(row.read())).await,
        Some(20),
        "the first reader sees the new value"
    );
    let seen = value_of(bench.numbers.get_or_load(1, row.read())).await;
    committed.open();
    writing.await.unwrap();
    seen
}

/// A load of the old value is under way when a write begins and is acknowledged. What a reader sees who comes then.
async fn seen_while_an_older_load_runs(fault: Fault) -> Option<u64> {
    let (bench, row, older, load) = write_overtakes_load(fault).await;
    let mut newer = Box::pin(bench.numbers.get_or_load(1, row.read()));
    let early = futures_util::FutureExt::now_or_never(&mut newer);
    assert!(early.is_none());
    load.open();
    value_of(older).await;
    value_of(newer).await
}

/// The same, but the reader comes after the older load has ended.
async fn seen_after_an_older_load_ended(fault: Fault) -> Option<u64> {
    let (bench, row, older, load) = write_overtakes_load(fault).await;
    load.open();
    value_of(older).await;
    value_of(bench.numbers.get_or_load(1, row.read())).await
}

async fn write_overtakes_load(fault: Fault) -> (Bench, Row, Reading, Gate) {
    let bench = faulty(fault);
    let row = Row::holding(10);
    let (mut load, pass) = gate();
    let older = begin_read(&bench.numbers, 1, row.read_then(pass));
    load.begun().await;
    let written = row.clone();
    let write = async move {
        written.set(20);
        Written::<_, Down>::Committed(20)
    };
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(write, stores_nothing)
        .await
        .unwrap();
    (bench, row, older, load)
}

#[tokio::test]
async fn without_a_fault_no_schedule_shows_an_old_value() {
    assert_eq!(
        seen_after_the_commit_within_the_window(Fault::None).await,
        Some(20)
    );
    assert_eq!(seen_while_an_older_load_runs(Fault::None).await, Some(20));
    assert_eq!(seen_after_an_older_load_ended(Fault::None).await, Some(20));
}

#[tokio::test]
async fn a_late_invalidation_shows_an_old_value_after_a_new_one() {
    assert_eq!(
        seen_after_the_commit_within_the_window(Fault::LateInvalidation).await,
        Some(10)
    );
}

#[tokio::test]
async fn joining_an_older_load_shows_an_old_value_after_the_acknowledgement() {
    assert_eq!(
        seen_while_an_older_load_runs(Fault::JoinedOlderLoad).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_blind_store_shows_an_old_value_after_the_acknowledgement() {
    assert_eq!(
        seen_after_an_older_load_ended(Fault::BlindStore).await,
        Some(10)
    );
}

#[tokio::test]
async fn each_fault_breaks_its_own_rule_alone() {
    assert_eq!(
        seen_while_an_older_load_runs(Fault::LateInvalidation).await,
        Some(20)
    );
    assert_eq!(
        seen_after_an_older_load_ended(Fault::LateInvalidation).await,
        Some(20)
    );
    assert_eq!(
        seen_after_the_commit_within_the_window(Fault::JoinedOlderLoad).await,
        Some(20)
    );
    assert_eq!(
        seen_after_an_older_load_ended(Fault::JoinedOlderLoad).await,
        Some(20)
    );
    assert_eq!(
        seen_after_the_commit_within_the_window(Fault::BlindStore).await,
        Some(20)
    );
}
