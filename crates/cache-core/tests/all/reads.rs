//! Reads: all readers of a key share one load, which may fail, or be overtaken by a change.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{LoadError, Policy, Source};
use futures_util::{FutureExt, future::join_all};
use tokio::sync::Barrier;

use crate::support::*;

#[tokio::test]
async fn a_value_is_loaded_once_and_then_found() {
    let cache = fixture();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Hit)
    );
    assert_eq!(cache.numbers.look_up(&1).unwrap().value, Some(10));
    assert_eq!(cache.numbers.get(&1), Some(10));
    assert_eq!(cache.numbers.get(&2), None);
}

#[tokio::test]
async fn a_read_says_how_old_its_value_is() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let first = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    cache.hand.advance(Duration::from_secs(2));
    gate.open();
    assert_eq!(
        Duration::from(first.await.unwrap().age),
        Duration::from_secs(2)
    );
    cache.hand.advance(Duration::from_secs(3));
    assert_eq!(
        Duration::from(
            cache
                .numbers
                .get_or_load(1, never_called())
                .await
                .unwrap()
                .age
        ),
        Duration::from_secs(5)
    );
    assert_eq!(
        Duration::from(cache.numbers.look_up(&1).unwrap().age),
        Duration::from_secs(5)
    );
}

#[tokio::test]
async fn many_keys_are_looked_up_together_and_counted_only_if_all_are_in_memory() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    cache.numbers.insert(2, 20);
    cache.hand.advance(Duration::from_secs(2));
    let values = |keys: &[u64]| {
        cache.numbers.look_up_many(keys, |key, value, age| {
            (*key, value, Duration::from(age).as_secs())
        })
    };
    assert_eq!(values(&[2, 1]), Some(vec![(2, 20, 2), (1, 10, 2)]));
    assert_eq!(cache.numbers.stats().hits, 2);
    assert_eq!(values(&[1, 3]), None);
    cache.hand.advance(TTL);
    assert_eq!(values(&[1]), None);
    assert_eq!(
        (cache.numbers.stats().hits, cache.numbers.stats().misses),
        (2, 0)
    );
}

#[tokio::test]
async fn a_hundred_readers_share_one_load() {
    let cache = fixture();
    let row = Row::holding(10);
    let (mut gate, pass) = gate();
    let first = begin_read(&cache.numbers, 1, row.read_then(pass));
    let others: Vec<_> = (0..99)
        .map(|_| begin_read(&cache.numbers, 1, row.read()))
        .collect();
    gate.begun().await;
    gate.open();
    assert_eq!(value_and_source(first).await, (Some(10), Source::Loaded));
    for read in join_all(others).await {
        let read = read.unwrap();
        assert_eq!((read.value, read.source), (Some(10), Source::Joined));
    }
    assert_eq!(row.reads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_on_two_threads_share_one_load() {
    let Fixture { numbers, .. } = fixture();
    let (row, start) = (Row::holding(10), Arc::new(Barrier::new(100)));
    let readers = (0..100).map(|_| {
        let (numbers, row, start) = (numbers.clone(), row.clone(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            numbers.get_or_load(1, row.read()).await.unwrap().value
        })
    });
    for value in join_all(readers).await {
        assert_eq!(value.unwrap(), Some(10));
    }
    assert_eq!(row.reads(), 1);
}

#[tokio::test]
async fn loads_of_different_keys_run_at_the_same_time() {
    let cache = fixture();
    let ((mut first, first_pass), (mut second, second_pass)) = (gate(), gate());
    let one = begin_read(&cache.numbers, 1, returns_after(first_pass, 10));
    let two = begin_read(&cache.numbers, 2, returns_after(second_pass, 20));
    first.begun().await;
    second.begun().await;
    second.open();
    assert_eq!(value_of(two).await, Some(20));
    first.open();
    assert_eq!(value_of(one).await, Some(10));
}

#[tokio::test]
async fn a_failing_load_is_reported_once_to_each_of_ten_waiters() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let mut readers = vec![begin_read(&cache.numbers, 1, fails_after(pass))];
    readers.extend((0..9).map(|_| begin_read(&cache.numbers, 1, never_called())));
    gate.begun().await;
    gate.open();
    for read in join_all(readers).await {
        let error = read.unwrap_err();
        assert_eq!(error.failed(), Some(&Down));
        assert_eq!(error.to_string(), "the source is down");
    }
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn the_causes_of_a_failed_load_follow_those_of_its_loader() {
    #[derive(Debug, thiserror::Error)]
    #[error("the query failed")]
    struct Query(#[source] Down);
    let cache = fixture();
    let load = || async { Err(Query(Down)) };
    let error = cache.numbers.get_or_load(1, load).await.unwrap_err();
    assert_eq!(error.to_string(), "the query failed");
    let cause = std::error::Error::source(&error).expect("the loader named a cause");
    assert_eq!(cause.downcast_ref(), Some(&Down));
    assert!(matches!(error.failed(), Some(Query(Down))));
}

#[tokio::test]
async fn a_panicking_load_is_an_error_and_the_next_read_loads_anew() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let load = || async move {
        pass.wait().await;
        panic!("planted");
        #[expect(unreachable_code, reason = "determines the type of the future")]
        Ok::<_, Down>(None)
    };
    let readers = [
        begin_read(&cache.numbers, 1, load),
        begin_read(&cache.numbers, 1, never_called()),
    ];
    gate.begun().await;
    gate.open();
    for read in join_all(readers).await {
        assert!(matches!(read, Err(LoadError::Panicked)));
    }
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(10))).await,
        Some(10)
    );
    assert_eq!(cache.stats().load_failures, 1);
}

#[tokio::test]
async fn a_loader_that_panics_before_its_first_await_is_an_error_too() {
    let cache = fixture();
    assert!(matches!(
        cache.numbers.get_or_load(1, never_called()).await,
        Err(LoadError::Panicked)
    ));
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_dropped_and_reported_to_every_waiter() {
    let cache = fixture_with(Policy::new(TTL, 10), |builder| {
        builder.load_timeout(Duration::from_secs(3))
    });
    let (mut gate, pass) = gate();
    let readers = [
        begin_read(&cache.numbers, 1, returns_after(pass, 1)),
        begin_read(&cache.numbers, 1, never_called()),
    ];
    gate.begun().await;
    cache.hand.advance(just_before(Duration::from_secs(3)));
    run_tasks().await;
    assert!(!gate.is_dropped());
    cache.hand.advance(NANO);
    for read in join_all(readers).await {
        assert!(matches!(read, Err(LoadError::TimedOut)));
    }
    assert!(gate.is_dropped());
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_load_that_a_removal_overtakes_is_not_stored() {
    overtaken(|cache| assert!(!cache.numbers.remove(&1)), None).await;
}

#[tokio::test]
async fn a_load_that_an_insert_overtakes_does_not_replace_what_was_inserted() {
    overtaken(|cache| assert!(cache.numbers.insert(1, 30)), Some(30)).await;
}

#[tokio::test]
async fn a_load_that_the_removal_of_its_printed_key_overtakes_is_not_stored() {
    overtaken(
        |cache| assert_eq!(cache.manager.invalidate_key("numbers:1"), 0),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_a_prefix_overtakes_is_not_stored() {
    overtaken(
        |cache| assert_eq!(cache.manager.invalidate_prefix("numbers:1"), 0),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_a_glob_overtakes_is_not_stored() {
    overtaken(
        |cache| assert_eq!(cache.manager.invalidate_glob("num*:?"), 0),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_the_clearing_of_its_region_overtakes_is_not_stored() {
    overtaken(
        |cache| assert_eq!(cache.manager.clear_region("numbers"), Some(0)),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_a_clear_overtakes_is_not_stored() {
    overtaken(|cache| assert_eq!(cache.manager.clear(), 0), None).await;
}

#[tokio::test]
async fn a_load_that_switching_off_and_on_overtakes_is_not_stored() {
    overtaken(
        |cache| {
            cache.manager.set_all_enabled(false);
            cache.manager.set_all_enabled(true);
        },
        None,
    )
    .await;
}

/// Begins a load of the old value and calls `change`. A later reader must neither join the load nor
/// find its value.
async fn overtaken(change: impl FnOnce(&Fixture), expected: Option<u64>) {
    let cache = fixture();
    let (mut old, old_pass) = gate();
    let older = begin_read(&cache.numbers, 1, returns_after(old_pass, 10));
    old.begun().await;
    change(&cache);
    let (mut new, new_pass) = gate();
    let newer = match expected {
        Some(found) => {
            assert_eq!(cache.numbers.look_up(&1).unwrap().value, Some(found));
            None
        }
        None => Some(begin_read(&cache.numbers, 1, returns_after(new_pass, 20))),
    };
    old.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(
        cache.numbers.look_up(&1).and_then(|read| read.value),
        expected
    );
    assert_eq!(cache.stats().refused_stores, 1);
    if let Some(newer) = newer {
        new.begun().await;
        new.open();
        assert_eq!(value_and_source(newer).await, (Some(20), Source::Loaded));
        assert_eq!(cache.numbers.get(&1), Some(20));
    }
}

#[tokio::test]
async fn invalidating_another_key_does_not_affect_a_load() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    cache.numbers.remove(&2);
    cache.manager.invalidate_prefix("numbers:10");
    cache.manager.invalidate_glob("numbers:1?");
    cache.write_without_row(2, 0).await;
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_bypassing_read_stores_nothing_and_counts_neither_hit_nor_miss() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    assert_eq!(
        value_and_source(cache.numbers.bypass(1, returns(20))).await,
        (Some(20), Source::Bypass)
    );
    assert_eq!(cache.numbers.look_up(&1).unwrap().value, Some(10));
    assert!(matches!(
        cache.numbers.bypass(1, fails()).await,
        Err(LoadError::Failed(_))
    ));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypasses), (1, 0, 2));
}

#[tokio::test]
async fn reads_bypass_a_switched_off_region_and_store_nothing() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    assert!(cache.manager.set_enabled("numbers", false));
    assert!(!cache.manager.set_enabled("letters", false));
    assert!(!cache.numbers.is_enabled());
    assert_eq!(cache.numbers.look_up(&1), None);
    assert_eq!(cache.numbers.get(&1), None);
    assert!(!cache.numbers.insert(1, 10));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::Bypass)
    );
    cache.write(1, 30).await;
    assert_eq!(cache.stats().size, 0);
    assert!(cache.manager.set_enabled("numbers", true));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(40))).await,
        (Some(40), Source::Loaded)
    );
    assert_eq!(cache.numbers.get(&1), Some(40));
}

#[tokio::test]
async fn a_load_that_ends_after_its_region_was_switched_off_is_not_stored() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    cache.manager.set_enabled("numbers", false);
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
    assert_eq!(cache.stats().size, 0);
}

#[tokio::test]
async fn a_load_in_progress_is_counted_with_its_age_until_it_ends() {
    let cache = fixture();
    let region = || cache.manager.stats().remove(0);
    assert!(region().is_enabled);
    assert_eq!((region().loading, region().oldest_load), (0, None));
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    cache.hand.advance(Duration::from_secs(3));
    let (mut second_gate, second_pass) = crate::support::gate();
    let second = begin_read(&cache.numbers, 2, returns_after(second_pass, 20));
    second_gate.begun().await;
    let oldest = Some(Duration::from_secs(3));
    assert_eq!((region().loading, region().oldest_load), (2, oldest));
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
    assert_eq!(
        (region().loading, region().oldest_load),
        (1, Some(Duration::ZERO))
    );
    second_gate.open();
    assert_eq!(value_of(second).await, Some(20));
    assert_eq!((region().loading, region().oldest_load), (0, None));
    cache.manager.set_enabled("numbers", false);
    assert!(!region().is_enabled);
}

#[tokio::test]
async fn no_more_loads_run_than_there_are_permits() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(2, 1));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let readers = (0..20).map(|key| {
        let (running, most) = (running.clone(), most.clone());
        cache.numbers.get_or_load(key, move || async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            run_tasks().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Down>(Some(key))
        })
    });
    for (key, read) in join_all(readers).await.into_iter().enumerate() {
        assert_eq!(read.unwrap().value, Some(key as u64));
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_load_that_waits_for_its_permit_is_overtaken_like_any_other() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    let (mut gate, pass) = gate();
    let first = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    let second = begin_read(&cache.numbers, 2, returns(20));
    run_tasks().await;
    cache.numbers.remove(&2);
    gate.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(10), Some(20))
    );
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (Some(10), None)
    );
}

#[tokio::test]
async fn a_shutdown_waits_for_loads_and_writes_to_end() {
    let cache = fixture();
    let (mut load, load_pass) = gate();
    let read = begin_read(&cache.numbers, 2, returns_after(load_pass, 20));
    load.begun().await;
    let (write, gate) = cache.open_window(10).await;
    let mut shutdown = Box::pin(cache.manager.shutdown(Duration::from_secs(5)));
    assert!((&mut shutdown).now_or_never().is_none());
    load.open();
    run_tasks().await;
    assert!((&mut shutdown).now_or_never().is_none());
    gate.open();
    assert!(shutdown.await);
    assert_eq!((value_of(read).await, write.await), (Some(20), Ok(10)));
}

#[tokio::test]
async fn a_shutdown_ends_at_its_deadline() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let _read = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    gate.begun().await;
    let shutdown = cache.manager.shutdown(Duration::from_secs(5));
    let mut shutdown = Box::pin(shutdown);
    assert!((&mut shutdown).now_or_never().is_none());
    cache.hand.advance(Duration::from_secs(5));
    assert!(!shutdown.await);
}

#[tokio::test]
async fn a_shutdown_of_an_idle_manager_ends_at_once() {
    assert!(fixture().manager.shutdown(Duration::ZERO).await);
}

#[tokio::test]
async fn a_region_has_a_name() {
    assert_eq!(fixture().numbers.name(), "numbers");
}

#[tokio::test]
#[should_panic(expected = "a region named \"numbers\" exists already")]
async fn a_regions_name_is_unique() {
    let cache = fixture();
    let _: Numbers = cache.manager.region("numbers", Policy::new(TTL, 10));
}

#[tokio::test]
async fn a_load_after_a_miss_serves_what_a_read_would_serve() {
    let cache = fixture_with(Policy::new(TTL, 100).refresh_after(0.5), |builder| builder);
    assert_eq!(
        value_and_source(cache.numbers.load_after_miss(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        value_and_source(cache.numbers.load_after_miss(1, never_called())).await,
        (Some(10), Source::Hit)
    );
    value_of(cache.numbers.load_after_miss(2, returns_none())).await;
    assert_eq!(
        value_and_source(cache.numbers.load_after_miss(2, never_called())).await,
        (None, Source::Hit),
        "the absence is cached"
    );
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (2, 2, 2));
    cache.hand.advance(TTL / 2);
    assert_eq!(cache.numbers.look_up(&1), None, "a refresh is due");
    assert_eq!(
        value_and_source(cache.numbers.load_after_miss(1, returns(11))).await,
        (Some(10), Source::Hit)
    );
    run_tasks().await;
    assert_eq!(cache.numbers.get(&1), Some(11), "the refresh ran");
    cache.manager.set_all_enabled(false);
    assert_eq!(
        value_and_source(cache.numbers.load_after_miss(1, returns(12))).await,
        (Some(12), Source::Bypass)
    );
}
