//! Time: how long a value is fresh, when it is refreshed, how long it may be served stale, and when it is cleaned up.

use std::time::Duration;

use cache_core::{LoadError, Policy, Source};
use futures_util::FutureExt;

use crate::support::*;

const HALF: Duration = Duration::from_secs(30);
/// A tenth of the TTL, before which a failed refresh is not tried again.
const TENTH: Duration = Duration::from_secs(6);

fn refreshing() -> Policy {
    Policy {
        refresh_after: Some(0.5),
        ..Policy::new(TTL, 100)
    }
}

fn fail_safe() -> Policy {
    Policy {
        fail_safe: Some(HALF),
        ..Policy::new(TTL, 100)
    }
}

#[tokio::test]
async fn a_loaded_value_is_fresh_for_its_ttl_to_the_nanosecond() {
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    bench.hand.advance(just_before(TTL));
    assert_eq!(bench.numbers.get(&1), Some(10));
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Hit)
    );
    bench.hand.advance(NANO);
    assert_eq!(
        (bench.numbers.get(&1), bench.numbers.look_up(&1)),
        (None, None)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(11))).await,
        (Some(11), Source::Loaded)
    );
}

#[tokio::test]
async fn the_ttl_counts_from_the_start_of_the_load() {
    let bench = bench_with(Policy::new(Duration::from_secs(5), 10), |builder| builder);
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    bench.hand.advance(just_before(Duration::from_secs(5)));
    gate.open();
    value_of(read).await;
    assert_eq!(bench.numbers.get(&1), Some(10));
    bench.hand.advance(NANO);
    assert_eq!(bench.numbers.get(&1), None);
}

#[tokio::test]
async fn the_time_that_a_load_waits_for_its_permit_is_not_part_of_its_age() {
    let bench = bench_with(Policy::new(Duration::from_secs(5), 10), |builder| {
        builder.permits(1, 1)
    });
    let (mut gate, pass) = gate();
    let first = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    let second = begin_read(&bench.numbers, 2, gives(20));
    bench.hand.advance(Duration::from_secs(4));
    gate.open();
    value_of(first).await;
    assert_eq!(Duration::from(second.await.unwrap().age), Duration::ZERO);
    bench.hand.advance(just_before(Duration::from_secs(5)));
    assert_eq!(
        (bench.numbers.get(&1), bench.numbers.get(&2)),
        (None, Some(20))
    );
}

#[tokio::test]
async fn an_entry_may_have_a_ttl_of_its_own() {
    let bench = bench();
    assert!(bench.numbers.insert_with_ttl(1, 10, Duration::from_secs(1)));
    assert!(bench.numbers.insert_with_ttl(2, 20, TTL * 2));
    assert!(bench.numbers.insert_with_ttl(3, 30, Duration::ZERO));
    assert_eq!(bench.numbers.get(&3), None);
    bench.hand.advance(just_before(Duration::from_secs(1)));
    assert_eq!(bench.numbers.get(&1), Some(10));
    bench.hand.advance(NANO);
    assert_eq!(bench.numbers.get(&1), None);
    bench.hand.advance(just_before(Duration::from_secs(119)));
    assert_eq!(bench.numbers.get(&2), Some(20));
    bench.hand.advance(NANO);
    assert_eq!(bench.numbers.get(&2), None);
}

#[tokio::test]
async fn a_ttl_that_never_ends_does_not_overflow() {
    let bench = bench_with(
        Policy {
            jitter: 0.5,
            fail_safe: Some(Duration::MAX),
            ..Policy::new(Duration::MAX, 10)
        },
        |builder| builder,
    );
    bench.hand.advance(TTL);
    assert!(bench.numbers.insert(1, 10));
    bench.hand.advance(TTL * 1_000_000);
    assert_eq!(bench.numbers.get(&1), Some(10));
    assert_eq!(bench.manager.cleanup().await, 0);
}

#[tokio::test]
async fn jitter_only_shortens_and_by_no_more_than_its_share() {
    let bench = bench_with(
        Policy {
            jitter: 0.25,
            ..Policy::new(TTL, 1_000)
        },
        |builder| builder,
    );
    (0..500).for_each(|key| assert!(bench.numbers.insert(key, key)));
    let fresh = || {
        (0..500)
            .filter(|key| bench.numbers.look_up(key).is_some())
            .count()
    };
    bench.hand.advance(just_before(Duration::from_secs(45)));
    assert_eq!(fresh(), 500);
    bench.hand.advance(Duration::from_millis(7_500));
    assert!(
        (150..350).contains(&fresh()),
        "{} of 500 are fresh at half of the jitter",
        fresh()
    );
    bench.hand.advance(Duration::from_millis(7_500));
    assert!(fresh() <= 1);
    bench.hand.advance(NANO);
    assert_eq!(fresh(), 0);
}

#[tokio::test]
async fn a_read_after_its_share_of_the_ttl_refreshes_once_in_the_background() {
    let bench = bench_with(refreshing(), |builder| builder);
    let row = Row::holding(10);
    value_of(bench.numbers.get_or_load(1, row.read())).await;
    bench.hand.advance(just_before(HALF));
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Hit)
    );
    bench.hand.advance(NANO);
    assert_eq!(bench.numbers.look_up(&1), None, "a refresh is due");
    row.set(20);
    let (mut gate, pass) = gate();
    assert_eq!(
        told(bench.numbers.get_or_load(1, row.read_then(pass))).await,
        (Some(10), Source::Hit)
    );
    gate.begun().await;
    for _ in 0..5 {
        assert_eq!(
            told(bench.numbers.get_or_load(1, unused())).await,
            (Some(10), Source::Hit)
        );
    }
    assert_eq!(bench.numbers.get(&1), Some(10));
    gate.open();
    all_idle().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(20), Source::Hit)
    );
    assert_eq!(
        (
            row.reads(),
            bench.stats().loads,
            bench.stats().load_failures
        ),
        (2, 2, 0)
    );
    bench.hand.advance(just_before(TTL));
    assert_eq!(
        bench.numbers.get(&1),
        Some(20),
        "its TTL begins with the refresh"
    );
}

#[tokio::test]
async fn a_reader_whose_value_expires_during_a_refresh_joins_it() {
    let bench = bench_with(refreshing(), |builder| builder.load_timeout(TTL * 2));
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    let (mut gate, pass) = gate();
    value_of(bench.numbers.get_or_load(1, gives_after(pass, 20))).await;
    gate.begun().await;
    bench.hand.advance(HALF);
    let read = begin_read(&bench.numbers, 1, unused());
    gate.open();
    assert_eq!(told(read).await, (Some(20), Source::Joined));
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_value_and_is_tried_again_after_a_tenth_of_the_ttl() {
    let bench = bench_with(refreshing(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    assert_eq!(
        told(bench.numbers.get_or_load(1, fails())).await,
        (Some(10), Source::Hit)
    );
    all_idle().await;
    assert_eq!((bench.stats().loads, bench.stats().load_failures), (1, 1));
    bench.hand.advance(just_before(TENTH));
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Hit)
    );
    all_idle().await;
    assert_eq!(bench.stats().loads, 1);
    bench.hand.advance(NANO);
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(10), Source::Hit)
    );
    all_idle().await;
    assert_eq!(
        (
            bench.numbers.get(&1),
            bench.stats().loads,
            bench.stats().evicted_by_capacity
        ),
        (Some(20), 2, 0)
    );
}

#[tokio::test]
async fn a_failed_refresh_does_not_lengthen_the_ttl() {
    let bench = bench_with(refreshing(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    value_of(bench.numbers.get_or_load(1, fails())).await;
    all_idle().await;
    bench.hand.advance(just_before(HALF));
    assert_eq!(bench.numbers.get(&1), Some(10));
    bench.hand.advance(NANO);
    assert_eq!(bench.numbers.get(&1), None);
}

#[tokio::test]
async fn a_refresh_that_a_write_overtakes_is_not_stored() {
    let bench = bench_with(refreshing(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    let (mut gate, pass) = gate();
    value_of(bench.numbers.get_or_load(1, gives_after(pass, 10))).await;
    gate.begun().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), stores(&bench.numbers, 1))
        .await
        .unwrap();
    gate.open();
    all_idle().await;
    assert_eq!(
        (bench.numbers.get(&1), bench.stats().refused_stores),
        (Some(20), 1)
    );
}

#[tokio::test]
async fn a_failed_refresh_that_a_write_overtook_brings_nothing_back() {
    let bench = bench_with(refreshing(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    let (mut gate, pass) = gate();
    value_of(bench.numbers.get_or_load(1, fails_after(pass))).await;
    gate.begun().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), stores_nothing)
        .await
        .unwrap();
    gate.open();
    all_idle().await;
    assert_eq!((bench.numbers.look_up(&1), bench.stats().size), (None, 0));
}

#[tokio::test]
async fn a_failed_load_that_a_newer_value_overtook_leaves_its_refresh_alone() {
    let bench = bench_with(refreshing(), |builder| builder);
    let (mut load, pass) = gate();
    let read = begin_read(&bench.numbers, 1, fails_after(pass));
    load.begun().await;
    assert!(bench.numbers.insert(1, 10));
    load.open();
    read.await.unwrap_err();
    bench.hand.advance(HALF);
    let (mut refresh, pass) = gate();
    value_of(bench.numbers.get_or_load(1, fails_after(pass))).await;
    refresh.begun().await;
    assert!(bench.numbers.insert(1, 20));
    refresh.open();
    all_idle().await;
    bench.hand.advance(just_before(HALF));
    assert!(bench.numbers.look_up(&1).is_some(), "no refresh is due");
    bench.hand.advance(NANO);
    assert!(bench.numbers.look_up(&1).is_none());
}

#[tokio::test]
async fn a_refresh_that_finds_the_value_gone_remembers_that() {
    let bench = bench_with(refreshing(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    value_of(bench.numbers.get_or_load(1, gives_nothing())).await;
    all_idle().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn no_refresh_starts_while_a_create_is_open() {
    let bench = bench_with(refreshing(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    let (mut gate, pass) = gate();
    let write = begin_write(
        bench.manager.guard().creating(&bench.numbers),
        commits_after(pass, 1),
        stores_nothing,
    );
    gate.begun().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Hit)
    );
    all_idle().await;
    assert_eq!(bench.stats().loads, 0);
    gate.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_refresh_needs_no_permit() {
    let bench = bench_with(refreshing(), |builder| builder.permits(1, 1));
    bench.numbers.insert(1, 10);
    bench.hand.advance(HALF);
    let (mut gate, pass) = gate();
    let other = begin_read(&bench.numbers, 2, gives_after(pass, 20));
    gate.begun().await;
    value_of(bench.numbers.get_or_load(1, gives(11))).await;
    all_idle().await;
    assert_eq!(bench.numbers.get(&1), Some(11));
    gate.open();
    value_of(other).await;
}

#[tokio::test]
async fn a_stale_value_is_served_within_its_bound_when_the_load_fails() {
    let bench = bench_with(fail_safe(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    let read = bench.numbers.get_or_load(1, fails()).await.unwrap();
    assert_eq!(
        (read.value, read.source, Duration::from(read.age)),
        (Some(10), Source::Stale, TTL)
    );
    bench.hand.advance(just_before(HALF));
    assert_eq!(
        told(bench.numbers.get_or_load(1, fails())).await,
        (Some(10), Source::Stale)
    );
    assert_eq!(bench.stats().stale_served, 2);
    bench.hand.advance(NANO);
    assert_eq!(
        bench
            .numbers
            .get_or_load(1, fails())
            .await
            .unwrap_err()
            .source_as(),
        Some(&Down)
    );
    assert_eq!(bench.stats().stale_served, 2);
}

#[tokio::test]
async fn a_stale_value_is_never_served_while_its_load_succeeds_nor_by_a_plain_get() {
    let bench = bench_with(fail_safe(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    assert_eq!(
        (bench.numbers.get(&1), bench.numbers.look_up(&1)),
        (None, None)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_timed_out_and_a_panicked_load_are_answered_with_the_stale_value_too() {
    let bench = bench_with(fail_safe(), |builder| {
        builder.load_timeout(Duration::from_secs(1))
    });
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Stale)
    );
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, 20));
    gate.begun().await;
    bench.hand.advance(Duration::from_secs(1));
    assert_eq!(told(read).await, (Some(10), Source::Stale));
}

#[tokio::test]
async fn a_stale_value_is_never_served_after_a_write() {
    let bench = bench_with(fail_safe(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), stores_nothing)
        .await
        .unwrap();
    assert!(matches!(
        bench.numbers.get_or_load(1, fails()).await,
        Err(LoadError::Failed(_))
    ));
}

#[tokio::test]
async fn a_stale_value_is_never_served_within_a_window_nor_to_who_waited_when_it_opened() {
    let bench = bench_with(fail_safe(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    let (mut load, pass) = gate();
    let waiting = begin_read(&bench.numbers, 1, fails_after(pass));
    load.begun().await;
    let (write, window) = bench.open_window(20).await;
    load.open();
    assert!(waiting.await.is_err());
    assert!(bench.numbers.get_or_load(1, fails()).await.is_err());
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_stale_value_is_never_served_after_a_removal_by_hand() {
    let removals: [fn(&Bench); 4] = [
        |bench| assert!(bench.numbers.remove(&1)),
        |bench| assert_eq!(bench.manager.invalidate_prefix("numbers:1"), 1),
        |bench| assert_eq!(bench.manager.clear(), 1),
        |bench| bench.manager.set_all_enabled(true),
    ];
    for remove in removals {
        let bench = bench_with(fail_safe(), |builder| builder);
        bench.numbers.insert(1, 10);
        bench.hand.advance(TTL);
        remove(&bench);
        assert!(bench.numbers.get_or_load(1, fails()).await.is_err());
    }
}

#[tokio::test]
async fn without_a_bound_nothing_is_served_stale() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    assert!(bench.numbers.get_or_load(1, fails()).await.is_err());
}

#[tokio::test]
async fn a_cleanup_takes_what_has_expired_and_only_that() {
    let bench = bench_with(Policy::new(TTL, 10_000), |builder| builder);
    (0..3_000).for_each(|key| assert!(bench.numbers.insert(key, key)));
    value_of(bench.numbers.get_or_load(5_000, gives_nothing())).await;
    bench.hand.advance(just_before(Duration::from_secs(5)));
    assert_eq!(bench.manager.cleanup().await, 0);
    bench.hand.advance(NANO);
    assert_eq!(bench.manager.cleanup().await, 1, "the absence");
    (3_000..3_010).for_each(|key| assert!(bench.numbers.insert(key, key)));
    bench.hand.advance(just_before(Duration::from_secs(55)));
    assert_eq!(
        (bench.manager.cleanup().await, bench.stats().size),
        (0, 3_010)
    );
    bench.hand.advance(NANO);
    assert_eq!(
        (bench.manager.cleanup().await, bench.stats().size),
        (3_000, 10)
    );
    let stats = bench.stats();
    assert_eq!(
        (
            stats.evicted_by_expiry,
            stats.evicted_by_capacity,
            stats.invalidations
        ),
        (3_001, 0, 0)
    );
    assert!((3_000..3_010).all(|key| bench.numbers.get(&key) == Some(key)));
}

#[tokio::test]
async fn a_cleanup_of_few_entries_ends_at_once() {
    let bench = bench();
    (0..100).for_each(|key| assert!(bench.numbers.insert(key, key)));
    bench.hand.advance(TTL);
    assert_eq!(bench.manager.cleanup().now_or_never(), Some(100));
}

#[tokio::test]
async fn a_cleanup_goes_over_all_regions() {
    let bench = bench();
    let others: Numbers = bench.manager.region("others", Policy::new(TTL * 2, 10));
    bench.numbers.insert(1, 10);
    others.insert(1, 10);
    bench.hand.advance(TTL);
    assert_eq!(bench.manager.cleanup().await, 1);
    bench.hand.advance(TTL);
    assert_eq!(bench.manager.cleanup().await, 1);
}

#[tokio::test]
async fn a_cleanup_leaves_what_may_still_be_served_stale() {
    let bench = bench_with(fail_safe(), |builder| builder);
    bench.numbers.insert(1, 10);
    bench.hand.advance(just_before(TTL + HALF));
    assert_eq!(bench.manager.cleanup().await, 0);
    assert_eq!(
        told(bench.numbers.get_or_load(1, fails())).await,
        (Some(10), Source::Stale)
    );
    bench.hand.advance(NANO);
    assert_eq!(bench.manager.cleanup().await, 1);
}
