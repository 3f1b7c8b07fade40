//! Guards: what a write makes stale, over which keys and regions, and what it stores.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Policy, Region, Source, WriteError, Written};
use futures_util::future::join_all;

use crate::support::*;

#[tokio::test]
async fn a_load_that_a_write_overtakes_is_not_stored() {
    let bench = bench();
    let row = Row::holding(10);
    let (mut load, pass) = gate();
    let older = begin_read(&bench.numbers, 1, row.read_then(pass));
    load.begun().await;
    let written = row.clone();
    let write = async move {
        written.set(20);
        Written::<_, Infallible>::Committed(20)
    };
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(write, stores_nothing)
        .await
        .unwrap();
    let (mut fresh, fresh_pass) = gate();
    let newer = begin_read(&bench.numbers, 1, row.read_then(fresh_pass));
    fresh.begun().await;
    load.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(bench.numbers.look_up(&1), None);
    fresh.open();
    assert_eq!(told(newer).await, (Some(20), Source::Loaded));
    assert_eq!(bench.numbers.get(&1), Some(20));
    assert_eq!(bench.stats().refused_stores, 1);
}

#[tokio::test]
async fn a_load_that_ends_within_the_window_is_not_stored() {
    let bench = bench();
    let (mut load, pass) = gate();
    let older = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    load.begun().await;
    let (write, gate) = bench.open_window(20).await;
    load.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(bench.stats().size, 0);
    gate.open();
    assert_eq!(write.await, Ok(20));
    assert_eq!(bench.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn the_value_is_gone_before_the_write_begins() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    let numbers = bench.numbers.clone();
    let write = async move {
        Written::<_, Infallible>::Committed(u64::from(numbers.look_up(&1).is_none()))
    };
    assert_eq!(
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(write, stores_nothing)
            .await,
        Ok(1)
    );
}

#[tokio::test]
async fn a_write_that_returns_no_row_leaves_its_key_to_be_loaded() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), stores_nothing)
        .await
        .unwrap();
    assert_eq!(bench.numbers.look_up(&1), None);
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_lone_writer_stores_its_row() {
    let bench = bench();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(20), Source::Hit)
    );
}

#[tokio::test]
async fn contended_writers_store_nothing() {
    let bench = bench();
    let (first, first_gate) = bench.open_window(10).await;
    let (second, second_gate) = bench.open_window(20).await;
    second_gate.open();
    assert_eq!(second.await, Ok(20));
    assert_eq!(bench.stats().size, 0);
    first_gate.open();
    assert_eq!(first.await, Ok(10));
    assert_eq!(bench.stats().size, 0);
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(30), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!(bench.numbers.get(&1), Some(30));
}

#[tokio::test]
async fn a_writer_that_met_another_stores_nothing_even_if_it_ends_alone() {
    let bench = bench();
    let (first, first_gate) = bench.open_window(10).await;
    let (second, second_gate) = bench.open_window(20).await;
    first_gate.open();
    assert_eq!(first.await, Ok(10));
    second_gate.open();
    assert_eq!(second.await, Ok(20));
    assert_eq!(bench.stats().size, 0);
}

#[tokio::test]
async fn a_write_that_was_not_applied_stores_nothing_and_closes_its_window() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    let write = async { Written::<u64, _>::NotApplied(Down) };
    let answer = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(write, stores(&bench.numbers, 1))
        .await;
    assert_eq!(answer, Err(WriteError::Store(Down)));
    assert_eq!((bench.stats().size, bench.stats().open_windows), (0, 0));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(bench.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_panic_while_rows_are_named_stores_nothing_but_the_write_is_committed() {
    let bench = bench();
    let numbers = bench.numbers.clone();
    let answer = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), move |row, stores| {
            stores.put(&numbers, 1, *row);
            panic!("planted");
        })
        .await;
    assert_eq!(answer, Ok(20));
    let stats = bench.stats();
    assert_eq!(
        (stats.size, stats.open_windows, stats.unknown_windows),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_row_of_a_key_that_the_guard_does_not_hold_is_not_stored() {
    let bench = bench();
    let letters: Region<u64, u64> = bench.manager.region("letters", Policy::new(TTL, 10));
    let (numbers, others) = (bench.numbers.clone(), letters.clone());
    let store = move |row: &u64, stores: &mut cache_core::Stores<'_>| {
        stores.put(&numbers, 2, *row);
        stores.put(&others, 1, *row);
    };
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(20), store)
        .await
        .unwrap();
    assert_eq!((bench.stats().size, letters.stats().size), (0, 0));
}

#[tokio::test]
async fn a_guard_covers_all_its_keys_in_all_its_regions() {
    let bench = bench();
    let letters: Region<String, String> = bench.manager.region("letters", Policy::new(TTL, 10));
    (1..=3).for_each(|key| assert!(bench.numbers.insert(key, 10)));
    for key in ["a", "b"] {
        assert!(letters.insert(key.into(), "old".into()));
    }
    let (mut gate, pass) = gate();
    let guard = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .key(&letters, "a".into())
        .key(&bench.numbers, 2);
    let (numbers, others) = (bench.numbers.clone(), letters.clone());
    let write = begin_write(guard, commits_after(pass, 20), move |row, stores| {
        stores.put(&numbers, 2, *row);
        stores.put(&others, "a".into(), "new".into());
    });
    gate.begun().await;
    assert_eq!(
        (
            bench.numbers.get(&1),
            bench.numbers.get(&2),
            bench.numbers.get(&3)
        ),
        (None, None, Some(10))
    );
    assert_eq!(
        (letters.get(&"a".into()), letters.get(&"b".into())),
        (None, Some("old".into()))
    );
    assert_eq!(
        (bench.stats().open_windows, letters.stats().open_windows),
        (2, 1)
    );
    gate.open();
    write.await.unwrap();
    assert_eq!(
        (
            bench.numbers.get(&1),
            bench.numbers.get(&2),
            bench.numbers.get(&3)
        ),
        (None, Some(20), Some(10))
    );
    assert_eq!(
        (letters.get(&"a".into()), letters.get(&"b".into())),
        (Some("new".into()), Some("old".into()))
    );
    assert_eq!(
        (bench.stats().open_windows, letters.stats().open_windows),
        (0, 0)
    );
}

#[tokio::test]
async fn a_key_named_twice_is_one_window_and_its_writer_is_alone() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let guard = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .key(&bench.numbers, 1)
        .key(&bench.numbers.clone(), 1);
    let write = begin_write(guard, commits_after(pass, 20), stores(&bench.numbers, 1));
    gate.begun().await;
    assert_eq!(bench.stats().open_windows, 1);
    gate.open();
    write.await.unwrap();
    assert_eq!(bench.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn the_same_key_in_two_regions_of_one_type_is_two_windows() {
    let bench = bench();
    let others: Numbers = bench.manager.region("others", Policy::new(TTL, 10));
    let guard = bench.manager.guard().key(&bench.numbers, 1).key(&others, 1);
    let (one, other) = (bench.numbers.clone(), others.clone());
    guard
        .run(commits(20), move |row, stores| {
            stores.put(&one, 1, *row);
            stores.put(&other, 1, *row + 1);
        })
        .await
        .unwrap();
    assert_eq!(
        (bench.numbers.get(&1), others.get(&1)),
        (Some(20), Some(21))
    );
}

#[tokio::test]
async fn a_guard_without_keys_just_writes() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    assert_eq!(
        bench
            .manager
            .guard()
            .run(commits(20), stores(&bench.numbers, 1))
            .await,
        Ok(20)
    );
    assert_eq!(bench.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_region_guard_takes_every_value_and_bars_every_store() {
    let bench = bench();
    let others: Numbers = bench.manager.region("others", Policy::new(TTL, 10));
    (0..200).for_each(|key| assert!(bench.numbers.insert(key, 10)));
    others.insert(1, 10);
    let (mut load, load_pass) = gate();
    let older = begin_read(&bench.numbers, 1_000, gives_after(load_pass, 10));
    load.begun().await;
    let (mut gate, pass) = gate();
    let write = begin_write(
        bench.manager.guard().region(&bench.numbers),
        commits_after(pass, 20),
        stores(&bench.numbers, 1),
    );
    gate.begun().await;
    assert_eq!((bench.stats().size, bench.stats().open_windows), (0, 1));
    assert_eq!(others.get(&1), Some(10));
    load.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(
        told(bench.numbers.get_or_load(7, gives(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert!(!bench.numbers.insert(8, 20));
    assert_eq!(bench.stats().size, 0);
    gate.open();
    write.await.unwrap();
    assert_eq!((bench.stats().size, bench.stats().open_windows), (0, 0));
    assert_eq!(
        told(bench.numbers.get_or_load(7, gives(20))).await,
        (Some(20), Source::Loaded)
    );
    assert_eq!(bench.numbers.get(&7), Some(20));
}

#[tokio::test]
async fn a_write_to_a_key_of_a_guarded_region_is_contended() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let whole = begin_write(
        bench.manager.guard().region(&bench.numbers),
        commits_after(pass, 20),
        stores_nothing,
    );
    gate.begun().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(30), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!(bench.stats().size, 0);
    let (inner, inner_gate) = bench.open_window(40).await;
    gate.open();
    whole.await.unwrap();
    inner_gate.open();
    inner.await.unwrap();
    assert_eq!(
        bench.stats().size,
        0,
        "it began while the region was guarded"
    );
}

#[tokio::test]
async fn a_region_guard_that_opens_during_a_write_prevents_its_store() {
    let bench = bench();
    let (write, gate) = bench.open_window(10).await;
    bench
        .manager
        .guard()
        .region(&bench.numbers)
        .run(commits(20), stores_nothing)
        .await
        .unwrap();
    gate.open();
    write.await.unwrap();
    assert_eq!(bench.stats().size, 0);
}

#[tokio::test]
async fn a_region_guard_that_ends_during_a_write_leaves_its_window_open() {
    let bench = bench();
    let (write, gate) = bench.open_window(10).await;
    bench
        .manager
        .guard()
        .region(&bench.numbers)
        .run(commits(20), stores_nothing)
        .await
        .unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(5))).await,
        (Some(5), Source::DuringWrite)
    );
    assert!(!bench.numbers.insert(1, 5));
    gate.open();
    write.await.unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_guard_over_a_region_and_one_of_its_keys_stores_nothing_and_closes_both() {
    let bench = bench();
    let guard = bench
        .manager
        .guard()
        .region(&bench.numbers)
        .key(&bench.numbers, 1)
        .region(&bench.numbers);
    guard
        .run(commits(20), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!((bench.stats().size, bench.stats().open_windows), (0, 0));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_stored_row_is_fresh_from_before_its_commit() {
    let bench = bench();
    let (write, gate) = bench.open_window(20).await;
    bench.hand.advance(Duration::from_secs(20));
    gate.open();
    write.await.unwrap();
    bench.hand.advance(just_before(Duration::from_secs(40)));
    assert_eq!(bench.numbers.get(&1), Some(20));
    bench.hand.advance(NANO);
    assert_eq!(bench.numbers.get(&1), None);
}

#[tokio::test]
async fn no_more_writes_run_than_there_are_permits() {
    let bench = bench_with(Policy::new(TTL, 100), |builder| builder.permits(1, 3));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let writes = (0..20).map(|key| {
        let (running, most) = (running.clone(), most.clone());
        let write = async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all_idle().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Written::<_, Infallible>::Committed(key)
        };
        bench
            .manager
            .guard()
            .key(&bench.numbers, key)
            .run(write, stores(&bench.numbers, key))
    });
    assert!(
        join_all(writes)
            .await
            .into_iter()
            .all(|answer| answer.is_ok())
    );
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(bench.stats().size, 20);
}

#[tokio::test]
async fn a_write_that_waits_for_its_permit_has_no_window_yet() {
    let bench = bench_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    bench.numbers.insert(2, 20);
    let (first, gate) = bench.open_window(10).await;
    let second = begin_write(
        bench.manager.guard().key(&bench.numbers, 2),
        commits(21),
        stores(&bench.numbers, 2),
    );
    all_idle().await;
    assert_eq!(
        (bench.numbers.get(&2), bench.stats().open_windows),
        (Some(20), 1)
    );
    gate.open();
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(bench.numbers.get(&2), Some(21));
}
