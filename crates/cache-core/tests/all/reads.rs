//! Reads: one load for all who ask, and what becomes of a load that fails or that a change overtakes.

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
    let bench = bench();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Hit)
    );
    assert_eq!(bench.numbers.look_up(&1).unwrap().value, Some(10));
    assert_eq!(bench.numbers.get(&1), Some(10));
    assert_eq!(bench.numbers.get(&2), None);
}

#[tokio::test]
async fn a_read_says_how_old_its_value_is() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let first = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    bench.hand.advance(Duration::from_secs(2));
    gate.open();
    assert_eq!(
        Duration::from(first.await.unwrap().age),
        Duration::from_secs(2)
    );
    bench.hand.advance(Duration::from_secs(3));
    assert_eq!(
        Duration::from(bench.numbers.get_or_load(1, unused()).await.unwrap().age),
        Duration::from_secs(5)
    );
    assert_eq!(
        Duration::from(bench.numbers.look_up(&1).unwrap().age),
        Duration::from_secs(5)
    );
}

#[tokio::test]
async fn many_are_looked_up_together_and_counted_only_if_all_are_here() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    bench.numbers.insert(2, 20);
    bench.hand.advance(Duration::from_secs(2));
    let told = |keys: &[u64]| {
        bench.numbers.look_up_many(keys, |key, value, age| {
            (*key, value, Duration::from(age).as_secs())
        })
    };
    assert_eq!(told(&[2, 1]), Some(vec![(2, 20, 2), (1, 10, 2)]));
    assert_eq!(bench.numbers.stats().hits, 2);
    assert_eq!(told(&[1, 3]), None);
    bench.hand.advance(TTL);
    assert_eq!(told(&[1]), None);
    assert_eq!(
        (bench.numbers.stats().hits, bench.numbers.stats().misses),
        (2, 0)
    );
}

#[tokio::test]
async fn a_hundred_readers_share_one_load() {
    let bench = bench();
    let row = Row::holding(10);
    let (mut gate, pass) = gate();
    let first = begin_read(&bench.numbers, 1, row.read_then(pass));
    let others: Vec<_> = (0..99)
        .map(|_| begin_read(&bench.numbers, 1, row.read()))
        .collect();
    gate.begun().await;
    gate.open();
    assert_eq!(told(first).await, (Some(10), Source::Loaded));
    for read in join_all(others).await {
        let read = read.unwrap();
        assert_eq!((read.value, read.source), (Some(10), Source::Joined));
    }
    assert_eq!(row.reads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_on_two_threads_share_one_load() {
    let Bench { numbers, .. } = bench();
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
    let bench = bench();
    let ((mut first, first_pass), (mut second, second_pass)) = (gate(), gate());
    let one = begin_read(&bench.numbers, 1, gives_after(first_pass, 10));
    let two = begin_read(&bench.numbers, 2, gives_after(second_pass, 20));
    first.begun().await;
    second.begun().await;
    second.open();
    assert_eq!(value_of(two).await, Some(20));
    first.open();
    assert_eq!(value_of(one).await, Some(10));
}

#[tokio::test]
async fn a_failing_load_is_reported_once_to_each_of_ten_waiters() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let mut readers = vec![begin_read(&bench.numbers, 1, fails_after(pass))];
    readers.extend((0..9).map(|_| begin_read(&bench.numbers, 1, unused())));
    gate.begun().await;
    gate.open();
    for read in join_all(readers).await {
        let error = read.unwrap_err();
        assert_eq!(error.source_as::<Down>(), Some(&Down));
        assert_eq!(error.to_string(), "the source is down");
    }
    assert_eq!((bench.stats().loads, bench.stats().load_failures), (1, 1));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_panicking_load_is_an_error_and_the_next_read_loads_anew() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let load = || async move {
        pass.wait().await;
        panic!("planted");
        #[expect(unreachable_code, reason = "gives the future its type")]
        Ok::<_, Down>(None)
    };
    let readers = [
        begin_read(&bench.numbers, 1, load),
        begin_read(&bench.numbers, 1, unused()),
    ];
    gate.begun().await;
    gate.open();
    for read in join_all(readers).await {
        assert!(matches!(read, Err(LoadError::Panicked)));
    }
    assert_eq!(
        value_of(bench.numbers.get_or_load(1, gives(10))).await,
        Some(10)
    );
    assert_eq!(bench.stats().load_failures, 1);
}

#[tokio::test]
async fn a_loader_that_panics_before_its_first_await_is_an_error_too() {
    let bench = bench();
    assert!(matches!(
        bench.numbers.get_or_load(1, unused()).await,
        Err(LoadError::Panicked)
    ));
    assert_eq!(
        value_of(bench.numbers.get_or_load(1, gives(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_load_that_takes_too_long_is_dropped_and_reported_to_all() {
    let bench = bench_with(Policy::new(TTL, 10), |builder| {
        builder.load_timeout(Duration::from_secs(3))
    });
    let (mut gate, pass) = gate();
    let readers = [
        begin_read(&bench.numbers, 1, gives_after(pass, 1)),
        begin_read(&bench.numbers, 1, unused()),
    ];
    gate.begun().await;
    bench.hand.advance(just_before(Duration::from_secs(3)));
    all_idle().await;
    assert!(!gate.is_given_up());
    bench.hand.advance(NANO);
    for read in join_all(readers).await {
        assert!(matches!(read, Err(LoadError::TimedOut)));
    }
    assert!(gate.is_given_up());
    assert_eq!(
        value_of(bench.numbers.get_or_load(1, gives(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_load_that_a_removal_overtakes_is_not_stored() {
    overtaken(|bench| assert!(!bench.numbers.remove(&1)), None).await;
}

#[tokio::test]
async fn a_load_that_an_insert_overtakes_does_not_replace_what_was_inserted() {
    overtaken(|bench| assert!(bench.numbers.insert(1, 30)), Some(30)).await;
}

#[tokio::test]
async fn a_load_that_the_removal_of_its_printed_key_overtakes_is_not_stored() {
    overtaken(
        |bench| assert_eq!(bench.manager.invalidate_key("numbers:1"), 0),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_a_prefix_overtakes_is_not_stored() {
    overtaken(
        |bench| assert_eq!(bench.manager.invalidate_prefix("numbers:1"), 0),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_a_glob_overtakes_is_not_stored() {
    overtaken(
        |bench| assert_eq!(bench.manager.invalidate_glob("num*:?"), 0),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_the_clearing_of_its_region_overtakes_is_not_stored() {
    overtaken(
        |bench| assert_eq!(bench.manager.clear_region("numbers"), Some(0)),
        None,
    )
    .await;
}

#[tokio::test]
async fn a_load_that_a_clear_overtakes_is_not_stored() {
    overtaken(|bench| assert_eq!(bench.manager.clear(), 0), None).await;
}

#[tokio::test]
async fn a_load_that_switching_off_and_on_overtakes_is_not_stored() {
    overtaken(
        |bench| {
            bench.manager.set_all_enabled(false);
            bench.manager.set_all_enabled(true);
        },
        None,
    )
    .await;
}

/// A load of the old value begins, `change` passes, and a reader comes who must neither join the load nor find it.
async fn overtaken(change: impl FnOnce(&Bench), expected: Option<u64>) {
    let bench = bench();
    let (mut old, old_pass) = gate();
    let older = begin_read(&bench.numbers, 1, gives_after(old_pass, 10));
    old.begun().await;
    change(&bench);
    let (mut new, new_pass) = gate();
    let newer = match expected {
        Some(found) => {
            assert_eq!(bench.numbers.look_up(&1).unwrap().value, Some(found));
            None
        }
        None => Some(begin_read(&bench.numbers, 1, gives_after(new_pass, 20))),
    };
    old.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(
        bench.numbers.look_up(&1).and_then(|read| read.value),
        expected
    );
    assert_eq!(bench.stats().refused_stores, 1);
    if let Some(newer) = newer {
        new.begun().await;
        new.open();
        assert_eq!(told(newer).await, (Some(20), Source::Loaded));
        assert_eq!(bench.numbers.get(&1), Some(20));
    }
}

#[tokio::test]
async fn invalidating_another_key_leaves_a_load_alone() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    bench.numbers.remove(&2);
    bench.manager.invalidate_prefix("numbers:10");
    bench.manager.invalidate_glob("numbers:1?");
    bench
        .manager
        .guard()
        .key(&bench.numbers, 2)
        .run(commits(0), stores_nothing)
        .await
        .unwrap();
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
    assert_eq!(bench.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_bypassing_read_stores_nothing_and_counts_neither_hit_nor_miss() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    assert_eq!(
        told(bench.numbers.bypass(gives(20))).await,
        (Some(20), Source::Bypass)
    );
    assert_eq!(bench.numbers.look_up(&1).unwrap().value, Some(10));
    assert!(matches!(
        bench.numbers.bypass(fails()).await,
        Err(LoadError::Failed(_))
    ));
    let stats = bench.stats();
    assert_eq!((stats.hits, stats.misses, stats.bypasses), (1, 0, 2));
}

#[tokio::test]
async fn a_region_that_is_switched_off_reads_past_memory_and_stores_nothing() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    assert!(bench.manager.set_enabled("numbers", false));
    assert!(!bench.manager.set_enabled("letters", false));
    assert!(!bench.numbers.is_enabled());
    assert_eq!(bench.numbers.look_up(&1), None);
    assert_eq!(bench.numbers.get(&1), None);
    assert!(!bench.numbers.insert(1, 10));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::Bypass)
    );
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(30), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!(bench.stats().size, 0);
    assert!(bench.manager.set_enabled("numbers", true));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(40))).await,
        (Some(40), Source::Loaded)
    );
    assert_eq!(bench.numbers.get(&1), Some(40));
}

#[tokio::test]
async fn a_load_that_ends_after_its_region_was_switched_off_is_not_stored() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let read = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    bench.manager.set_enabled("numbers", false);
    gate.open();
    assert_eq!(value_of(read).await, Some(10));
    assert_eq!(bench.stats().size, 0);
}

#[tokio::test]
async fn no_more_loads_run_than_there_are_permits() {
    let bench = bench_with(Policy::new(TTL, 100), |builder| builder.permits(2, 1));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let readers = (0..20).map(|key| {
        let (running, most) = (running.clone(), most.clone());
        bench.numbers.get_or_load(key, move || async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all_idle().await;
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
    let bench = bench_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    let (mut gate, pass) = gate();
    let first = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    let second = begin_read(&bench.numbers, 2, gives(20));
    all_idle().await;
    bench.numbers.remove(&2);
    gate.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(10), Some(20))
    );
    assert_eq!(
        (bench.numbers.get(&1), bench.numbers.get(&2)),
        (Some(10), None)
    );
}

#[tokio::test]
async fn a_shutdown_waits_for_loads_and_writes_to_end() {
    let bench = bench();
    let (mut load, load_pass) = gate();
    let read = begin_read(&bench.numbers, 2, gives_after(load_pass, 20));
    load.begun().await;
    let (write, gate) = bench.open_window(10).await;
    let mut shutdown = Box::pin(bench.manager.shutdown(Duration::from_secs(5)));
    assert!((&mut shutdown).now_or_never().is_none());
    load.open();
    all_idle().await;
    assert!((&mut shutdown).now_or_never().is_none());
    gate.open();
    assert!(shutdown.await);
    assert_eq!((value_of(read).await, write.await), (Some(20), Ok(10)));
}

#[tokio::test]
async fn a_shutdown_ends_at_its_deadline() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let _read = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    gate.begun().await;
    let shutdown = bench.manager.shutdown(Duration::from_secs(5));
    let mut shutdown = Box::pin(shutdown);
    assert!((&mut shutdown).now_or_never().is_none());
    bench.hand.advance(Duration::from_secs(5));
    assert!(!shutdown.await);
}

#[tokio::test]
async fn a_shutdown_of_an_idle_manager_ends_at_once() {
    assert!(bench().manager.shutdown(Duration::ZERO).await);
}

#[tokio::test]
async fn a_region_knows_its_name() {
    assert_eq!(bench().numbers.name(), "numbers");
}

#[tokio::test]
#[should_panic(expected = "region numbers is there already")]
async fn a_regions_name_is_unique() {
    let bench = bench();
    let _: Numbers = bench.manager.region("numbers", Policy::new(TTL, 10));
}
