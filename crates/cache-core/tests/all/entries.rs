//! Entries: values with their own TTL, and values that expire when nobody reads them.

use std::time::Duration;

use cache_core::{Entry, Policy, Source, Written};

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_load_decides_the_ttl_of_its_value() {
    let cache = fixture();
    let load = || async { Ok::<_, Down>(Some(Entry::new(10).ttl(SECOND))) };
    let read = cache.numbers.request(1).load_entry(load).await.unwrap();
    assert_eq!((read.value, read.source), (Some(10), Source::Loaded));
    cache.hand.advance(just_before(SECOND));
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn a_batch_decides_the_ttl_of_each_value() {
    let cache = fixture();
    let load =
        |_| async { Ok::<_, Down>(vec![(1, Entry::new(10).ttl(SECOND)), (2, Entry::new(20))]) };
    let reads = cache.numbers.get_or_load_entries(&[1, 2], load).await;
    assert_eq!(reads.unwrap()[1].value, Some(20));
    cache.hand.advance(SECOND);
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (None, Some(20))
    );
}

#[tokio::test]
async fn a_write_decides_the_ttl_of_its_row() {
    let cache = fixture();
    let guard = cache.manager.guard();
    let entry = |row: &u64| Some(Entry::new(*row).ttl(SECOND));
    let guard = guard.key_storing_entry(&cache.numbers, 1, entry);
    guard.run(commits(10)).await.unwrap();
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(SECOND);
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn a_value_with_a_ttl_of_zero_is_returned_and_not_stored() {
    let cache = fixture();
    cache.numbers.insert(1, 9);
    cache.hand.advance(TTL);
    let load = || async { Ok::<_, Down>(Some(Entry::new(10).ttl(Duration::ZERO))) };
    let read = cache.numbers.request(1).load_entry(load).await.unwrap();
    assert_eq!((read.value, cache.numbers.len()), (Some(10), 0));
    assert_eq!(cache.stats().refused_stores, 0);
}

#[tokio::test]
async fn a_value_expires_when_nobody_reads_it() {
    let cache = fixture_with(Policy::new(TTL, 100).time_to_idle(SECOND), |builder| {
        builder
    });
    cache.numbers.insert(1, 10);
    cache.numbers.insert(2, 20);
    for _ in 0..3 {
        cache.hand.advance(just_before(SECOND));
        let read = cache
            .numbers
            .look_up(&1)
            .expect("the value was read lately");
        assert_eq!(read.source, Source::Hit);
    }
    assert!(cache.numbers.contains_key(&1) && !cache.numbers.contains_key(&2));
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (Some(10), None)
    );
    assert_eq!(cache.numbers.iter().collect::<Vec<_>>(), [(1, 10)]);
    assert_eq!(cache.manager.cleanup().await, 1);
    cache.hand.advance(SECOND);
    assert_eq!(cache.numbers.look_up(&1), None);
}

#[tokio::test]
async fn reads_do_not_extend_the_ttl_of_a_value_with_a_time_to_idle() {
    let cache = fixture_with(
        Policy::new(SECOND * 3, 100).time_to_idle(SECOND * 2),
        |builder| builder,
    );
    cache.numbers.insert(1, 10);
    cache.hand.advance(SECOND);
    assert_eq!(cache.numbers.get(&1), Some(10));
    cache.hand.advance(SECOND);
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, never_called())).await,
        Some(10)
    );
    cache.hand.advance(SECOND);
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(11))).await,
        Some(11)
    );
}

#[tokio::test]
async fn a_value_with_a_time_to_idle_is_refreshed_ahead_and_gives_no_lease() {
    let policy = Policy::new(TTL, 100).time_to_idle(TTL).refresh_after(0.5);
    let cache = fixture_with(policy, |builder| builder);
    cache.numbers.insert(1, 10);
    assert!(cache.numbers.lease(&[1]).is_none());
    cache.hand.advance(TTL / 2);
    assert_eq!(cache.numbers.look_up(&1), None, "a refresh is due");
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(11))).await,
        Some(10)
    );
    run_tasks().await;
    assert_eq!(cache.numbers.look_up(&1).unwrap().value, Some(11));
    assert_eq!(cache.stats().refreshes, 1);
}

#[tokio::test]
async fn a_region_that_is_switched_off_serves_no_value_with_a_time_to_idle() {
    let cache = fixture_with(Policy::new(TTL, 100).time_to_idle(TTL), |builder| builder);
    cache.numbers.insert(1, 10);
    assert!(cache.manager.set_enabled("numbers", false));
    assert_eq!(cache.numbers.look_up(&1), None);
    assert!(!cache.numbers.contains_key(&1));
}

#[tokio::test]
async fn upserts_of_one_key_run_one_after_another_and_see_each_other() {
    let cache = fixture();
    let counting = |count: Option<u64>| async move {
        tokio::task::yield_now().await;
        Written::<_, Down>::Committed(count.unwrap_or(0) + 1)
    };
    let upserts = (0..20).map(|_| cache.manager.upsert(&cache.numbers, 1, counting));
    let counts = futures_util::future::join_all(upserts).await;
    let mut counts: Vec<_> = counts.into_iter().map(Result::unwrap).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=20).collect::<Vec<_>>());
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn an_upsert_is_passed_no_value_that_has_expired_or_that_another_write_makes_stale() {
    let cache = fixture_with(Policy::new(TTL, 100).fail_safe(TTL), |builder| builder);
    let current =
        |current: Option<u64>| async move { Written::<_, Down>::Committed(current.unwrap_or(99)) };
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    assert_eq!(
        cache.manager.upsert(&cache.numbers, 1, current).await,
        Ok(99)
    );
    let (write, window) = cache.open_window(20).await;
    assert_eq!(
        cache.manager.upsert(&cache.numbers, 1, current).await,
        Ok(99)
    );
    window.open();
    write.await.unwrap();
    assert_eq!(cache.numbers.get(&1), None, "two writes overlapped");
}

#[tokio::test]
async fn an_upsert_whose_turn_does_not_come_is_an_error() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| {
        builder.write_timeout(SECOND)
    });
    let (mut gate, pass) = gate();
    let slow = |_: Option<u64>| commits_after(pass, 10);
    let mut first = Box::pin(cache.manager.upsert(&cache.numbers, 1, slow));
    assert!(futures_util::poll!(&mut first).is_pending());
    gate.begun().await;
    let quick = |_: Option<u64>| commits(20);
    let mut second = Box::pin(cache.manager.upsert(&cache.numbers, 1, quick));
    assert!(futures_util::poll!(&mut second).is_pending());
    cache.hand.advance(SECOND);
    assert_eq!(second.await, Err(cache_core::WriteError::Overloaded));
    assert_eq!(first.await, Err(cache_core::WriteError::TimedOut));
    drop(gate);
}

#[tokio::test]
async fn an_idle_value_is_served_as_stale_when_its_load_fails_and_is_not_asked_for_again() {
    let policy = Policy::new(TTL, 100).time_to_idle(SECOND).fail_safe(TTL);
    let cache = fixture_with(policy, |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(SECOND);
    assert_eq!(cache.numbers.get(&1), None);
    let read = cache.numbers.get_or_load(1, fails());
    assert_eq!(value_and_source(read).await, (Some(10), Source::Stale));
    let read = cache.numbers.get_or_load(1, never_called());
    assert_eq!(value_and_source(read).await, (Some(10), Source::Stale));
    assert_eq!(cache.stats().stale_served, 2);
}

#[tokio::test]
async fn an_upsert_within_an_upsert_of_its_key_is_an_error_at_once() {
    let cache = fixture();
    let (manager, numbers) = (cache.manager.clone(), cache.numbers.clone());
    let nested = move |_: Option<u64>| async move {
        let inner = manager.upsert(&numbers, 1, |_| commits(1)).await;
        assert_eq!(inner, Err(cache_core::WriteError::Nested));
        let other = manager.upsert(&numbers, 2, |_| commits(2)).await;
        Written::<_, Down>::Committed(other.unwrap())
    };
    let outer = cache.manager.upsert(&cache.numbers, 1, nested);
    let outer = tokio::time::timeout(PATIENCE, outer).await.unwrap();
    assert_eq!(outer, Ok(2));
}

#[tokio::test]
async fn a_region_counts_its_entries_and_contains_a_value_until_it_expires() {
    let cache = fixture();
    let numbers = &cache.numbers;
    assert_eq!((numbers.len(), numbers.is_empty()), (0, true));
    numbers.insert(1, 10);
    value_of(numbers.get_or_load(2, returns_none())).await;
    assert_eq!((numbers.len(), numbers.is_empty()), (2, false));
    assert_eq!(
        (numbers.contains_key(&1), numbers.contains_key(&2)),
        (true, false)
    );
    cache.hand.advance(just_before(TTL));
    assert!(numbers.contains_key(&1));
    cache.hand.advance(NANO);
    assert!(!numbers.contains_key(&1));
    assert_eq!(numbers.len(), 2, "expired entries stay until a cleanup");
}

#[tokio::test]
async fn an_idle_value_is_no_entry_from_the_moment_at_which_it_expires() {
    let policy = Policy::new(TTL, 100).time_to_idle(SECOND);
    let cache = fixture_with(policy, |builder| builder);
    cache.numbers.insert(1, 10);
    let entries = || cache.numbers.iter();
    cache.hand.advance(just_before(SECOND));
    assert_eq!(entries().count(), 1);
    cache.hand.advance(NANO);
    assert_eq!(entries().count(), 0);
}
