//! Absences are cached for a short time, and never served after a create.

use std::{convert::Infallible, time::Duration};

use cache_core::{Policy, Source, Written};

use crate::support::*;

const ABSENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_absence_is_cached_for_its_own_ttl_and_not_a_nanosecond_longer() {
    let cache = fixture();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns_none())).await,
        (None, Source::Loaded)
    );
    cache.hand.advance(just_before(ABSENCE));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
    assert_eq!(cache.stats().size, 1);
    cache.hand.advance(NANO);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!((cache.numbers.get(&1), cache.stats().size), (Some(10), 1));
}

#[tokio::test]
async fn the_ttl_of_an_absence_counts_from_the_start_of_its_load() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, None));
    gate.begun().await;
    cache.hand.advance(just_before(ABSENCE));
    gate.open();
    assert_eq!(value_of(read).await, None);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
    cache.hand.advance(NANO);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_short_ttl_bounds_absences_too() {
    let cache = fixture_with(Policy::new(Duration::from_secs(1), 10), |builder| builder);
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    cache.hand.advance(Duration::from_secs(1));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn an_absence_is_not_served_after_a_create_of_an_unknown_key() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    cache
        .manager
        .guard()
        .creating(&cache.numbers)
        .run(commits(1))
        .await
        .unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn misses_bypass_the_cache_while_a_create_is_open_and_hits_stay() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    cache.numbers.insert(2, 20);
    let (mut gate, pass) = gate();
    let write = begin_write(
        cache.manager.guard().creating(&cache.numbers),
        commits_after(pass, 1),
    );
    gate.begun().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns_none())).await,
        (None, Source::DuringWrite)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, never_called())).await,
        (Some(20), Source::Hit)
    );
    gate.open();
    write.await.unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns_none())).await,
        (None, Source::Loaded)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn a_load_that_a_create_overtakes_stores_no_absence_and_is_not_joined() {
    let cache = fixture();
    let (mut load, pass) = gate();
    let older = begin_read(&cache.numbers, 1, returns_after(pass, None));
    load.begun().await;
    cache
        .manager
        .guard()
        .creating(&cache.numbers)
        .run(commits(1))
        .await
        .unwrap();
    let (mut fresh, fresh_pass) = gate();
    let newer = begin_read(&cache.numbers, 1, returns_after(fresh_pass, 10));
    fresh.begun().await;
    load.open();
    assert_eq!(value_of(older).await, None);
    assert_eq!(cache.stats().size, 0);
    fresh.open();
    assert_eq!(value_and_source(newer).await, (Some(10), Source::Loaded));
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn an_absence_loaded_while_a_create_was_open_is_not_stored() {
    for after in [false, true] {
        let cache = fixture();
        let (mut load, load_pass) = gate();
        let read = begin_read(&cache.numbers, 1, returns_after(load_pass, None));
        load.begun().await;
        let (mut gate, pass) = gate();
        let write = begin_write(
            cache.manager.guard().creating(&cache.numbers),
            commits_after(pass, 1),
        );
        gate.begun().await;
        if after {
            gate.open();
            write.await.unwrap();
            load.open();
            value_of(read).await;
        } else {
            load.open();
            value_of(read).await;
            gate.open();
            write.await.unwrap();
        }
        assert_eq!(cache.stats().size, 0);
        assert_eq!(
            value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
            (Some(10), Source::Loaded)
        );
    }
}

#[tokio::test]
async fn misses_bypass_the_cache_until_both_of_two_creates_have_ended() {
    let cache = fixture();
    let ((mut first, first_pass), (mut second, second_pass)) = (gate(), gate());
    let one = begin_write(
        cache.manager.guard().creating(&cache.numbers),
        commits_after(first_pass, 1),
    );
    let two = begin_write(
        cache.manager.guard().creating(&cache.numbers),
        commits_after(second_pass, 2),
    );
    first.begun().await;
    second.begun().await;
    first.open();
    one.await.unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns_none())).await,
        (None, Source::DuringWrite)
    );
    second.open();
    two.await.unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns_none())).await,
        (None, Source::Loaded)
    );
}

#[tokio::test]
async fn a_create_that_was_not_applied_ends_too() {
    let cache = fixture();
    let write = async { Written::<u64, _>::NotApplied(Down) };
    cache
        .manager
        .guard()
        .creating(&cache.numbers)
        .run(write)
        .await
        .unwrap_err();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns_none())).await,
        (None, Source::Loaded)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn a_create_in_one_region_leaves_absences_of_others_alone() {
    let cache = fixture();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL, 10));
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    cache
        .manager
        .guard()
        .creating(&others)
        .run(commits(1))
        .await
        .unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
}

#[tokio::test]
async fn a_write_of_its_key_removes_an_absence() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    cache.write_without_row(1, 10).await;
    assert_eq!((cache.stats().size, cache.stats().invalidations), (0, 1));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn an_insert_and_a_lone_writers_row_replace_an_absence() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    assert!(cache.numbers.insert(1, 10));
    assert_eq!((cache.numbers.get(&1), cache.stats().size), (Some(10), 1));
    value_of(cache.numbers.get_or_load(2, returns_none())).await;
    let guard =
        cache
            .manager
            .guard()
            .creating(&cache.numbers)
            .key_storing(&cache.numbers, 2, |row| Some(*row));
    guard
        .run(async { Written::<_, Infallible>::Committed(20) })
        .await
        .unwrap();
    assert_eq!((cache.numbers.get(&2), cache.stats().size), (Some(20), 2));
}

#[tokio::test]
async fn an_absence_is_removed_by_hand_in_bulk_and_by_a_region_guard() {
    let cache = fixture();
    for key in 1..=3 {
        value_of(cache.numbers.get_or_load(key, returns_none())).await;
    }
    assert!(cache.numbers.remove(&1));
    assert_eq!(cache.manager.invalidate_prefix("numbers:2"), 1);
    cache
        .manager
        .guard()
        .region(&cache.numbers)
        .run(commits(1))
        .await
        .unwrap();
    assert_eq!((cache.stats().size, cache.stats().invalidations), (0, 3));
}

#[tokio::test]
async fn an_absence_found_after_its_value_expired_replaces_the_value() {
    let cache = fixture_with(Policy::new(TTL, 10).fail_safe(TTL), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns_none())).await,
        None
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (None, Source::Hit)
    );
    cache.hand.advance(ABSENCE);
    assert!(
        cache.numbers.get_or_load(1, fails()).await.is_err(),
        "the old value came back as stale"
    );
}

#[tokio::test]
async fn no_more_absences_are_cached_than_the_policy_allows() {
    for absences in [0, 10] {
        let cache = fixture_with(Policy::new(TTL, 1_000).absences(absences), |builder| {
            builder
        });
        cache.numbers.insert(1_000, 10);
        for key in 0..100 {
            value_of(cache.numbers.get_or_load(key, returns_none())).await;
            assert!(cache.stats().size <= 1 + absences as u64);
        }
        assert_eq!(
            cache.numbers.get(&1_000),
            Some(10),
            "absences evicted a value"
        );
    }
}
