//! Time: freshness, refreshes, fail-safe and cleanup.

use std::time::Duration;

use cache_core::{Entry, LoadError, Policy, Source};
use futures_util::FutureExt;

use crate::support::*;

const HALF: Duration = Duration::from_secs(30);
/// A tenth of the TTL: a failed refresh is not tried again before it has passed.
const TENTH: Duration = Duration::from_secs(6);

fn refreshing() -> Policy {
    Policy::new(TTL, 100).refresh_after(0.5)
}

fn fail_safe() -> Policy {
    Policy::new(TTL, 100).fail_safe(HALF)
}

#[tokio::test]
async fn a_loaded_value_is_fresh_for_its_ttl_to_the_nanosecond() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    cache.hand.advance(just_before(TTL));
    assert_eq!(cache.numbers.get(&1), Some(10));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Hit)
    );
    cache.hand.advance(NANO);
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.look_up(&1)),
        (None, None)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(11))).await,
        (Some(11), Source::Loaded)
    );
}

#[tokio::test]
async fn the_ttl_counts_from_the_start_of_the_load() {
    let cache = fixture_with(Policy::new(Duration::from_secs(5), 10), |builder| builder);
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    cache.hand.advance(just_before(Duration::from_secs(5)));
    gate.open();
    value_of(read).await;
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn the_time_that_a_load_waits_for_its_permit_is_not_part_of_its_age() {
    let cache = fixture_with(Policy::new(Duration::from_secs(5), 10), |builder| {
        builder.permits(1, 1)
    });
    let (mut gate, pass) = gate();
    let first = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    let second = begin_read(&cache.numbers, 2, returns(20));
    cache.hand.advance(Duration::from_secs(4));
    gate.open();
    value_of(first).await;
    assert_eq!(Duration::from(second.await.unwrap().age), Duration::ZERO);
    cache.hand.advance(just_before(Duration::from_secs(5)));
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (None, Some(20))
    );
}

#[tokio::test]
async fn an_entry_may_have_a_ttl_of_its_own() {
    let cache = fixture();
    assert!(
        cache
            .numbers
            .insert_entry(1, Entry::new(10).ttl(Duration::from_secs(1)))
    );
    assert!(cache.numbers.insert_entry(2, Entry::new(20).ttl(TTL * 2)));
    assert!(
        !cache
            .numbers
            .insert_entry(3, Entry::new(30).ttl(Duration::ZERO))
    );
    assert_eq!(cache.numbers.get(&3), None);
    cache.hand.advance(just_before(Duration::from_secs(1)));
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&1), None);
    cache.hand.advance(just_before(Duration::from_secs(119)));
    assert_eq!(cache.numbers.get(&2), Some(20));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&2), None);
}

#[tokio::test]
async fn a_ttl_that_never_ends_does_not_overflow() {
    let cache = fixture_with(
        Policy::new(Duration::MAX, 10)
            .jitter(0.5)
            .fail_safe(Duration::MAX),
        |builder| builder,
    );
    cache.hand.advance(TTL);
    assert!(cache.numbers.insert(1, 10));
    cache.hand.advance(TTL * 1_000_000);
    assert_eq!(cache.numbers.get(&1), Some(10));
    assert_eq!(cache.manager.cleanup().await, 0);
}

#[tokio::test]
async fn jitter_shortens_the_ttl_by_no_more_than_its_share() {
    let cache = fixture_with(Policy::new(TTL, 1_000).jitter(0.25), |builder| builder);
    (0..500).for_each(|key| assert!(cache.numbers.insert(key, key)));
    let fresh = || {
        (0..500)
            .filter(|key| cache.numbers.look_up(key).is_some())
            .count()
    };
    cache.hand.advance(just_before(Duration::from_secs(45)));
    assert_eq!(fresh(), 500);
    cache.hand.advance(Duration::from_millis(7_500));
    assert!(
        (150..350).contains(&fresh()),
        "{} of 500 are fresh at half of the jitter",
        fresh()
    );
    cache.hand.advance(Duration::from_millis(7_500));
    assert!(fresh() <= 1);
    cache.hand.advance(NANO);
    assert_eq!(fresh(), 0);
}

#[tokio::test]
async fn a_read_after_its_share_of_the_ttl_refreshes_once_in_the_background() {
    let cache = fixture_with(refreshing(), |builder| builder);
    let row = Row::holding(10);
    value_of(cache.numbers.get_or_load(1, row.read())).await;
    cache.hand.advance(just_before(HALF));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Hit)
    );
    cache.hand.advance(NANO);
    assert_eq!(
        cache.numbers.look_up(&1),
        None,
        "a value was returned although a refresh is due"
    );
    row.set(20);
    let (mut gate, pass) = gate();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, row.read_then(pass))).await,
        (Some(10), Source::Hit)
    );
    gate.begun().await;
    for _ in 0..5 {
        assert_eq!(
            value_and_source(cache.numbers.get_or_load(1, never_called())).await,
            (Some(10), Source::Hit)
        );
    }
    assert_eq!(cache.numbers.get(&1), Some(10));
    gate.open();
    run_tasks().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(20), Source::Hit)
    );
    assert_eq!(
        (
            row.reads(),
            cache.stats().loads,
            cache.stats().load_failures
        ),
        (2, 2, 0)
    );
    cache.hand.advance(just_before(TTL));
    assert_eq!(
        cache.numbers.get(&1),
        Some(20),
        "the TTL did not begin with the refresh"
    );
}

#[tokio::test]
async fn a_reader_whose_value_expires_during_a_refresh_joins_it() {
    let cache = fixture_with(refreshing(), |builder| builder.load_timeout(TTL * 2));
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    let (mut gate, pass) = gate();
    value_of(cache.numbers.get_or_load(1, returns_after(pass, 20))).await;
    gate.begun().await;
    cache.hand.advance(HALF);
    let read = begin_read(&cache.numbers, 1, never_called());
    gate.open();
    assert_eq!(value_and_source(read).await, (Some(20), Source::Joined));
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_value_and_is_tried_again_after_a_tenth_of_the_ttl() {
    let cache = fixture_with(refreshing(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, fails())).await,
        (Some(10), Source::Hit)
    );
    run_tasks().await;
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
    cache.hand.advance(just_before(TENTH));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Hit)
    );
    run_tasks().await;
    assert_eq!(cache.stats().loads, 1);
    cache.hand.advance(NANO);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(10), Source::Hit)
    );
    run_tasks().await;
    assert_eq!(
        (
            cache.numbers.get(&1),
            cache.stats().loads,
            cache.stats().evicted_by_capacity
        ),
        (Some(20), 2, 0)
    );
}

#[tokio::test]
async fn a_failed_refresh_does_not_lengthen_the_ttl() {
    let cache = fixture_with(refreshing(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    value_of(cache.numbers.get_or_load(1, fails())).await;
    run_tasks().await;
    cache.hand.advance(just_before(HALF));
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn a_refresh_that_a_write_overtakes_is_not_stored() {
    let cache = fixture_with(refreshing(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    let (mut gate, pass) = gate();
    value_of(cache.numbers.get_or_load(1, returns_after(pass, 10))).await;
    gate.begun().await;
    cache.write(1, 20).await;
    gate.open();
    run_tasks().await;
    assert_eq!(
        (cache.numbers.get(&1), cache.stats().refused_stores),
        (Some(20), 1)
    );
}

#[tokio::test]
async fn a_failed_refresh_that_a_write_overtook_restores_nothing() {
    let cache = fixture_with(refreshing(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    let (mut gate, pass) = gate();
    value_of(cache.numbers.get_or_load(1, fails_after(pass))).await;
    gate.begun().await;
    cache.write_without_row(1, 20).await;
    gate.open();
    run_tasks().await;
    assert_eq!((cache.numbers.look_up(&1), cache.stats().size), (None, 0));
}

#[tokio::test]
async fn a_failed_load_that_a_newer_value_overtook_does_not_postpone_its_refresh() {
    let cache = fixture_with(refreshing(), |builder| builder);
    let (mut load, pass) = gate();
    let read = begin_read(&cache.numbers, 1, fails_after(pass));
    load.begun().await;
    assert!(cache.numbers.insert(1, 10));
    load.open();
    read.await.unwrap_err();
    cache.hand.advance(HALF);
    let (mut refresh, pass) = gate();
    value_of(cache.numbers.get_or_load(1, fails_after(pass))).await;
    refresh.begun().await;
    assert!(cache.numbers.insert(1, 20));
    refresh.open();
    run_tasks().await;
    cache.hand.advance(just_before(HALF));
    assert!(
        cache.numbers.look_up(&1).is_some(),
        "a refresh is due too early"
    );
    cache.hand.advance(NANO);
    assert!(cache.numbers.look_up(&1).is_none());
}

#[tokio::test]
async fn a_refresh_that_finds_no_value_stores_the_absence() {
    let cache = fixture_with(refreshing(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    run_tasks().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn no_refresh_starts_while_a_create_is_open() {
    let cache = fixture_with(refreshing(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    let (mut gate, pass) = gate();
    let write = begin_write(
        cache.manager.guard().creating(&cache.numbers),
        commits_after(pass, 1),
    );
    gate.begun().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Hit)
    );
    run_tasks().await;
    assert_eq!(cache.stats().loads, 0);
    gate.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_refresh_needs_no_permit() {
    let cache = fixture_with(refreshing(), |builder| builder.permits(1, 1));
    cache.numbers.insert(1, 10);
    cache.hand.advance(HALF);
    let (mut gate, pass) = gate();
    let other = begin_read(&cache.numbers, 2, returns_after(pass, 20));
    gate.begun().await;
    value_of(cache.numbers.get_or_load(1, returns(11))).await;
    run_tasks().await;
    assert_eq!(cache.numbers.get(&1), Some(11));
    gate.open();
    value_of(other).await;
}

#[tokio::test]
async fn a_stale_value_is_served_within_its_bound_when_the_load_fails() {
    let cache = fixture_with(fail_safe(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    let read = cache.numbers.get_or_load(1, fails()).await.unwrap();
    assert_eq!(
        (read.value, read.source, Duration::from(read.age)),
        (Some(10), Source::Stale, TTL)
    );
    cache.hand.advance(just_before(HALF));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, fails())).await,
        (Some(10), Source::Stale)
    );
    assert_eq!(cache.stats().stale_served, 2);
    cache.hand.advance(NANO);
    assert_eq!(
        cache
            .numbers
            .get_or_load(1, fails())
            .await
            .unwrap_err()
            .failed(),
        Some(&Down)
    );
    assert_eq!(cache.stats().stale_served, 2);
}

#[tokio::test]
async fn a_stale_value_is_never_served_while_its_load_succeeds_nor_by_a_plain_get() {
    let cache = fixture_with(fail_safe(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.look_up(&1)),
        (None, None)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_stale_value_is_served_after_a_timeout_and_a_panic_too() {
    let policy = fail_safe().retry_after(Duration::ZERO);
    let cache = fixture_with(policy, |builder| {
        builder.load_timeout(Duration::from_secs(1))
    });
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Stale)
    );
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 20));
    gate.begun().await;
    cache.hand.advance(Duration::from_secs(1));
    assert_eq!(value_and_source(read).await, (Some(10), Source::Stale));
}

#[tokio::test]
async fn a_stale_value_is_never_served_after_a_write() {
    let cache = fixture_with(fail_safe(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    cache.write_without_row(1, 20).await;
    assert!(matches!(
        cache.numbers.get_or_load(1, fails()).await,
        Err(LoadError::Failed(_))
    ));
}

#[tokio::test]
async fn a_stale_value_is_never_served_within_a_window_nor_to_earlier_waiters() {
    let cache = fixture_with(fail_safe(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    let (mut load, pass) = gate();
    let waiting = begin_read(&cache.numbers, 1, fails_after(pass));
    load.begun().await;
    let (write, window) = cache.open_window(20).await;
    load.open();
    assert!(waiting.await.is_err());
    assert!(cache.numbers.get_or_load(1, fails()).await.is_err());
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_stale_value_is_never_served_after_a_removal_by_hand() {
    let removals: [fn(&Fixture); 4] = [
        |cache| assert!(cache.numbers.remove(&1)),
        |cache| assert_eq!(cache.manager.invalidate_prefix("numbers:1"), 1),
        |cache| assert_eq!(cache.manager.clear(), 1),
        |cache| cache.manager.set_all_enabled(true),
    ];
    for remove in removals {
        let cache = fixture_with(fail_safe(), |builder| builder);
        cache.numbers.insert(1, 10);
        cache.hand.advance(TTL);
        remove(&cache);
        assert!(cache.numbers.get_or_load(1, fails()).await.is_err());
    }
}

#[tokio::test]
async fn without_fail_safe_nothing_is_served_stale() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    assert!(cache.numbers.get_or_load(1, fails()).await.is_err());
}

#[tokio::test]
async fn a_cleanup_removes_expired_entries_alone() {
    let cache = fixture_with(Policy::new(TTL, 10_000), |builder| builder);
    (0..3_000).for_each(|key| assert!(cache.numbers.insert(key, key)));
    value_of(cache.numbers.get_or_load(5_000, returns_none())).await;
    cache.hand.advance(just_before(Duration::from_secs(5)));
    assert_eq!(cache.manager.cleanup().await, 0);
    cache.hand.advance(NANO);
    assert_eq!(
        cache.manager.cleanup().await,
        1,
        "the absence was not removed"
    );
    (3_000..3_010).for_each(|key| assert!(cache.numbers.insert(key, key)));
    cache.hand.advance(just_before(Duration::from_secs(55)));
    assert_eq!(
        (cache.manager.cleanup().await, cache.stats().size),
        (0, 3_010)
    );
    cache.hand.advance(NANO);
    assert_eq!(
        (cache.manager.cleanup().await, cache.stats().size),
        (3_000, 10)
    );
    let stats = cache.stats();
    assert_eq!(
        (
            stats.evicted_by_expiry,
            stats.evicted_by_capacity,
            stats.invalidations
        ),
        (3_001, 0, 0)
    );
    assert!((3_000..3_010).all(|key| cache.numbers.get(&key) == Some(key)));
}

#[tokio::test]
async fn a_cleanup_of_few_entries_ends_at_once() {
    let cache = fixture();
    (0..100).for_each(|key| assert!(cache.numbers.insert(key, key)));
    cache.hand.advance(TTL);
    assert_eq!(cache.manager.cleanup().now_or_never(), Some(100));
}

#[tokio::test]
async fn a_cleanup_covers_all_regions() {
    let cache = fixture();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL * 2, 10));
    cache.numbers.insert(1, 10);
    others.insert(1, 10);
    cache.hand.advance(TTL);
    assert_eq!(cache.manager.cleanup().await, 1);
    cache.hand.advance(TTL);
    assert_eq!(cache.manager.cleanup().await, 1);
}

#[tokio::test]
async fn a_cleanup_keeps_values_that_may_still_be_served_stale() {
    let cache = fixture_with(fail_safe(), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(just_before(TTL + HALF));
    assert_eq!(cache.manager.cleanup().await, 0);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, fails())).await,
        (Some(10), Source::Stale)
    );
    cache.hand.advance(NANO);
    assert_eq!(cache.manager.cleanup().await, 1);
}
