//! Tests that no read over HTTP is stale, with 2,000 writes and 40,000 reads by 16 clients. To
//! prove that the tests find stale reads, other runs plant a fault in the cache.

mod plan;
mod reads;
mod run;
mod world;
mod writes;

use std::time::Duration;

use cache_core::Fault;

use self::{
    plan::{Run, StoreKind},
    run::{READERS, READS},
};

/// The number of writes in a full run.
const WRITES: usize = 1_500;

/// The maximum number of writes in a run that must find a planted fault. A run ends as soon as it
/// finds one, usually after a few hundred writes.
const WRITES_TO_FIND_A_FAULT: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_over_http_is_stale_and_nine_of_ten_come_from_memory() {
    let report = Run {
        fault: Fault::None,
        store: StoreKind::Sqlite,
        writes: WRITES,
        bypass_percent: 3,
        ttl: None,
    }
    .play()
    .await;
    assert_eq!(report.wrong_read, None, "{report:?}");
    assert_eq!(
        (report.writes, report.reads),
        (WRITES, WRITES * READERS * READS)
    );
    assert!(report.hit_rate >= 90.0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_over_http_of_a_slow_store_is_stale() {
    let report = Run {
        fault: Fault::None,
        store: StoreKind::SlowMemory,
        writes: 400,
        bypass_percent: 20,
        ttl: None,
    }
    .play()
    .await;
    assert_eq!(report.wrong_read, None, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_invalidation_would_be_found() {
    assert_found(Fault::LateInvalidation, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_joined_older_load_would_be_found() {
    // Entries expire soon, so that loads often overlap with writes.
    assert_found(Fault::JoinedOlderLoad, Some(Duration::from_millis(60))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_blind_store_would_be_found() {
    assert_found(Fault::BlindStore, None).await;
}

/// Asserts that a run with this planted fault finds a stale read.
async fn assert_found(fault: Fault, ttl: Option<Duration>) {
    let report = Run {
        fault,
        store: StoreKind::SlowMemory,
        writes: WRITES_TO_FIND_A_FAULT,
        bypass_percent: 20,
        ttl,
    }
    .play()
    .await;
    assert!(
        report.is_stale(),
        "{fault:?} must cause a stale read: {report:?}"
    );
}
