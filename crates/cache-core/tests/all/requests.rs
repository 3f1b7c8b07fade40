//! Requests: timeouts, permits and fail-safe of a region and of one read.

use std::{convert::Infallible, fmt, time::Duration};

use cache_core::{LoadError, Policy, Source};

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

fn fail_safe() -> Policy {
    Policy::new(TTL, 100).fail_safe(TTL)
}

#[tokio::test]
async fn a_read_that_waits_too_long_ends_and_its_load_goes_on() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let numbers = cache.numbers.clone();
    let load = returns_after(pass, 10);
    let read = begin(async move { numbers.request(1).timeout(SECOND).load(load).await });
    gate.begun().await;
    cache.hand.advance(SECOND);
    assert!(matches!(read.await, Err(LoadError::TimedOut)));
    gate.open();
    run_tasks().await;
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_read_returns_the_expired_value_after_the_soft_timeout_and_the_load_goes_on() {
    for by_request in [false, true] {
        let policy = if by_request {
            fail_safe()
        } else {
            fail_safe().soft_timeout(SECOND)
        };
        let cache = fixture_with(policy, |builder| builder);
        cache.numbers.insert(1, 10);
        cache.hand.advance(TTL);
        let (mut gate, pass) = gate();
        let numbers = cache.numbers.clone();
        let load = returns_after(pass, 11);
        let read = begin(async move {
            let request = numbers.request(1);
            let request = if by_request {
                request.soft_timeout(SECOND)
            } else {
                request
            };
            request.load(load).await
        });
        gate.begun().await;
        cache.hand.advance(SECOND);
        assert_eq!(value_and_source(read).await, (Some(10), Source::Stale));
        gate.open();
        run_tasks().await;
        assert_eq!(cache.numbers.get(&1), Some(11));
    }
}

#[tokio::test]
async fn without_an_expired_value_the_soft_timeout_ends_nothing() {
    let cache = fixture_with(fail_safe().soft_timeout(SECOND), |builder| builder);
    let (mut gate, pass) = gate();
    let mut read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    cache.hand.advance(SECOND);
    run_tasks().await;
    assert!(futures_util::poll!(&mut read).is_pending());
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
}

#[tokio::test]
async fn a_load_that_failed_is_not_tried_again_while_an_expired_value_can_be_served() {
    let cache = fixture_with(fail_safe().retry_after(SECOND), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    let failed = cache.numbers.get_or_load(1, fails());
    assert_eq!(value_and_source(failed).await, (Some(10), Source::Stale));
    cache.hand.advance(just_before(SECOND));
    let throttled = cache.numbers.get_or_load(1, never_called());
    assert_eq!(value_and_source(throttled).await, (Some(10), Source::Stale));
    assert_eq!(
        cache.numbers.get(&1),
        None,
        "a plain look-up serves nothing stale"
    );
    cache.hand.advance(NANO);
    let again = cache.numbers.get_or_load(1, returns(11));
    assert_eq!(value_and_source(again).await, (Some(11), Source::Loaded));
    assert_eq!(
        (cache.stats().stale_served, cache.stats().load_failures),
        (2, 1)
    );
}

#[tokio::test]
async fn without_an_expired_value_a_load_that_failed_is_tried_again_at_once() {
    let cache = fixture_with(fail_safe(), |builder| builder);
    cache.numbers.get_or_load(1, fails()).await.unwrap_err();
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_load_may_have_a_timeout_of_its_own() {
    for by_request in [false, true] {
        let policy = Policy::new(TTL, 100);
        let policy = if by_request {
            policy
        } else {
            policy.load_timeout(SECOND)
        };
        let cache = fixture_with(policy, |builder| builder.load_timeout(SECOND * 9));
        let (mut gate, pass) = gate();
        let numbers = cache.numbers.clone();
        let load = returns_after(pass, 10);
        let read = begin(async move {
            let request = numbers.request(1);
            let request = if by_request {
                request.load_timeout(SECOND)
            } else {
                request
            };
            request.load(load).await
        });
        gate.begun().await;
        cache.hand.advance(SECOND);
        assert!(matches!(read.await, Err(LoadError::TimedOut)));
        assert!(gate.is_dropped());
    }
}

#[tokio::test]
async fn a_region_with_permits_of_its_own_waits_for_no_other_region() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    let policy = Policy::new(TTL, 100).load_permits(1);
    let others: Numbers = cache.manager.region("others", policy);
    let (mut gate, pass) = gate();
    let slow = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    assert_eq!(value_of(others.get_or_load(1, returns(11))).await, Some(11));
    let (mut second_gate, pass) = crate::support::gate();
    let slow_other = begin_read(&others, 2, returns_after(pass, 20));
    second_gate.begun().await;
    let waiting = begin_read(&others, 3, returns(30));
    second_gate.open();
    assert_eq!(
        (value_of(slow_other).await, value_of(waiting).await),
        (Some(20), Some(30))
    );
    gate.open();
    value_of(slow).await;
}

#[tokio::test]
async fn a_read_without_a_permit_waits_for_no_other_load() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    let (mut gate, pass) = gate();
    let slow = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    let urgent = cache.numbers.request(2).without_permit().load(returns(20));
    assert_eq!(value_of(urgent).await, Some(20));
    gate.open();
    value_of(slow).await;
}

#[test]
#[should_panic(expected = "a region needs permits")]
fn a_region_without_permits_is_refused() {
    let _ = Policy::new(TTL, 100).load_permits(0);
}

#[tokio::test]
async fn a_loader_may_fail_with_any_type_that_can_be_displayed() {
    let cache = fixture();
    let text = || async { Err::<Option<u64>, _>("no such table".to_owned()) };
    let error = cache.numbers.get_or_load(1, text).await.unwrap_err();
    assert_eq!(error.failed().map(String::as_str), Some("no such table"));
    assert_eq!(error.to_string(), "no such table");
    let boxed =
        || async { Err::<Option<u64>, Box<dyn std::error::Error + Send + Sync>>(Down.into()) };
    let error = cache.numbers.get_or_load(1, boxed).await.unwrap_err();
    assert!(error.failed().is_some_and(|error| error.is::<Down>()));
}

#[tokio::test]
async fn readers_with_other_error_types_that_share_a_load_get_its_text() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let first = begin_read(&cache.numbers, 1, fails_after(pass));
    gate.begun().await;
    let numbers = cache.numbers.clone();
    let second = tokio::spawn(async move {
        let load = || async { Ok::<_, Infallible>(Some(1)) };
        numbers.get_or_load(1, load).await
    });
    run_tasks().await;
    gate.open();
    assert_eq!(first.await.unwrap_err().failed(), Some(&Down));
    let error = second.await.unwrap().unwrap_err();
    assert!(matches!(error, LoadError::OtherType(_)));
    assert_eq!(error.to_string(), Down.to_string());
}

/// An error whose cause is [`Down`].
#[derive(Debug, thiserror::Error)]
#[error("the query failed")]
struct Query(#[source] Down);

#[tokio::test]
async fn the_chain_of_a_loaders_error_does_not_end_at_the_cache() {
    let cache = fixture();
    let load = || async { Err::<Option<u64>, _>(Query(Down)) };
    let error = cache.numbers.get_or_load(1, load).await.unwrap_err();
    let error: &dyn std::error::Error = &error;
    assert_eq!(error.to_string(), "the query failed");
    let source = error.source().expect("the query has a cause");
    assert!(source.is::<Down>());
}

#[tokio::test]
async fn a_key_is_looked_up_by_its_borrowed_form() {
    let cache = fixture();
    let names = cache
        .manager
        .region::<String, u64>("names", Policy::new(TTL, 100));
    names.insert("ada".to_owned(), 1);
    assert_eq!(names.look_up("ada").unwrap().value, Some(1));
    assert_eq!((names.get("ada"), names.get("grace")), (Some(1), None));
    assert!(names.contains_key("ada"));
    assert_eq!(names.listeners("ada"), 0);
    assert!(names.remove("ada") && !names.remove("ada"));
}

/// A key that can be neither printed nor parsed.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Pair(u64, &'static str);

#[tokio::test]
async fn keys_that_are_not_printed_are_reached_by_the_name_of_their_region() {
    let cache = fixture();
    let pairs = cache
        .manager
        .region::<Pair, u64>("pairs", Policy::new(TTL, 100));
    cache.numbers.insert(7, 70);
    pairs.insert(Pair(7, "a"), 1);
    pairs.insert(Pair(8, "b"), 2);
    assert_eq!(cache.manager.invalidate_key("pairs:7"), 0);
    assert_eq!(
        cache.manager.invalidate_glob("*:7"),
        1,
        "that of the numbers"
    );
    assert_eq!(cache.manager.invalidate_prefix("pairs:7"), 0);
    assert_eq!(cache.manager.invalidate_prefix("pairs:"), 2);
    pairs.insert(Pair(7, "a"), 1);
    assert_eq!(cache.manager.invalidate_glob("pairs:*"), 1);
}

#[tokio::test]
async fn a_known_absence_counts_as_a_hit_of_every_read() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns_none())).await;
    assert_eq!(cache.numbers.get(&1), None);
    value_of(cache.numbers.get_or_load(1, never_called())).await;
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 1));
    assert!(!cache.numbers.contains_key(&1), "there is no value");
}

/// An error that is not an [`Error`](std::error::Error).
#[derive(Debug)]
struct Plain;

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain")
    }
}

#[tokio::test]
async fn a_bypass_and_a_batch_return_the_error_of_their_loader() {
    let cache = fixture();
    let load = || async { Err::<Option<u64>, _>(Plain) };
    let error = cache.numbers.bypass(1, load).await.unwrap_err();
    assert!(matches!(error.failed(), Some(Plain)));
    let load = |_| async { Err::<Vec<(u64, u64)>, _>(Plain) };
    let error = cache
        .numbers
        .get_or_load_many(&[1], load)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "plain");
}

#[tokio::test]
async fn a_batch_waits_once_for_the_soft_timeout() {
    let cache = fixture_with(fail_safe().soft_timeout(SECOND), |builder| builder);
    let keys: Vec<u64> = (0..10).collect();
    for key in &keys {
        cache.numbers.insert(*key, 10);
    }
    cache.hand.advance(TTL);
    let (mut gate, pass) = gate();
    let load = |_| async move {
        pass.wait().await;
        Ok::<_, Down>(Vec::new())
    };
    let numbers = cache.numbers.clone();
    let mut reads = Box::pin(async move { numbers.get_or_load_many(&keys, load).await });
    assert!(futures_util::poll!(&mut reads).is_pending());
    gate.begun().await;
    cache.hand.advance(SECOND);
    let reads = tokio::time::timeout(PATIENCE, reads).await.unwrap();
    let stale = |read: cache_core::Read<u64>| read.source == Source::Stale;
    assert!(reads.unwrap().into_iter().all(stale));
    drop(gate);
}

#[tokio::test]
async fn the_limits_of_a_request_hold_for_loads_that_bypass_the_cache() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 2));
    let (mut busy, pass) = gate();
    let slow = begin_read(&cache.numbers, 9, returns_after(pass, 90));
    busy.begun().await;
    let (write, window) = cache.open_window(20).await;
    let urgent = cache.numbers.request(1).without_permit().load(returns(10));
    assert_eq!(
        value_and_source(urgent).await,
        (Some(10), Source::DuringWrite)
    );
    busy.open();
    value_of(slow).await;
    let (mut gate, pass) = gate();
    let (numbers, load) = (cache.numbers.clone(), returns_after(pass, 10));
    let read = begin(async move { numbers.request(1).load_timeout(SECOND).load(load).await });
    gate.begun().await;
    cache.hand.advance(SECOND);
    assert!(matches!(read.await, Err(LoadError::TimedOut)));
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_request_of_a_region_that_is_switched_off_waits_no_longer_than_its_timeout() {
    let cache = fixture();
    cache.manager.set_enabled("numbers", false);
    let (mut gate, pass) = gate();
    let (numbers, load) = (cache.numbers.clone(), returns_after(pass, 10));
    let read = begin(async move { numbers.request(1).timeout(SECOND).load(load).await });
    gate.begun().await;
    cache.hand.advance(SECOND);
    assert!(matches!(read.await, Err(LoadError::TimedOut)));
}

#[test]
#[should_panic(expected = "is no share")]
fn a_jitter_above_one_is_refused() {
    let _ = Policy::new(TTL, 100).jitter(1.5);
}

#[test]
#[should_panic(expected = "is no share")]
fn a_refresh_that_is_never_due_is_refused() {
    let _ = Policy::new(TTL, 100).refresh_after(f64::NAN);
}

#[tokio::test]
#[should_panic(expected = "must not contain a colon")]
async fn a_region_whose_keys_could_not_be_named_is_refused() {
    let _: Numbers = fixture().manager.region("a:b", Policy::new(TTL, 100));
}
