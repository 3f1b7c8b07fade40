//! Guards: the keys and regions that a write makes stale, and the rows that it stores.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Policy, Region, Source, WriteError, Written};
use futures_util::{FutureExt, future::join_all};

use crate::support::*;

#[tokio::test]
async fn a_load_that_a_write_overtakes_is_not_stored() {
    let cache = fixture();
    let row = Row::holding(10);
    let (mut load, pass) = gate();
    let older = begin_read(&cache.numbers, 1, row.read_then(pass));
    load.begun().await;
    let written = row.clone();
    let write = async move {
        written.set(20);
        Written::<_, Infallible>::Committed(20)
    };
    cache
        .manager
        .guard()
        .key(&cache.numbers, 1)
        .run(write)
        .await
        .unwrap();
    let (mut fresh, fresh_pass) = gate();
    let newer = begin_read(&cache.numbers, 1, row.read_then(fresh_pass));
    fresh.begun().await;
    load.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(cache.numbers.look_up(&1), None);
    fresh.open();
    assert_eq!(value_and_source(newer).await, (Some(20), Source::Loaded));
    assert_eq!(cache.numbers.get(&1), Some(20));
    assert_eq!(cache.stats().refused_stores, 1);
}

#[tokio::test]
async fn a_load_that_ends_within_the_window_is_not_stored() {
    let cache = fixture();
    let (mut load, pass) = gate();
    let older = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    load.begun().await;
    let (write, gate) = cache.open_window(20).await;
    load.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(cache.stats().size, 0);
    gate.open();
    assert_eq!(write.await, Ok(20));
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn the_value_is_removed_before_the_write_begins() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    let numbers = cache.numbers.clone();
    let write = async move {
        Written::<_, Infallible>::Committed(u64::from(numbers.look_up(&1).is_none()))
    };
    assert_eq!(
        cache
            .manager
            .guard()
            .key(&cache.numbers, 1)
            .run(write)
            .await,
        Ok(1)
    );
}

#[tokio::test]
async fn a_write_that_returns_no_row_leaves_its_key_to_be_loaded() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    cache.write_without_row(1, 20).await;
    assert_eq!(cache.numbers.look_up(&1), None);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_lone_write_stores_its_row() {
    let cache = fixture();
    cache.write(1, 20).await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(20), Source::Hit)
    );
}

#[tokio::test]
async fn overlapping_writes_store_nothing() {
    let cache = fixture();
    let (first, first_gate) = cache.open_window(10).await;
    let (second, second_gate) = cache.open_window(20).await;
    second_gate.open();
    assert_eq!(second.await, Ok(20));
    assert_eq!(cache.stats().size, 0);
    first_gate.open();
    assert_eq!(first.await, Ok(10));
    assert_eq!(cache.stats().size, 0);
    cache.write(1, 30).await;
    assert_eq!(cache.numbers.get(&1), Some(30));
}

#[tokio::test]
async fn a_write_that_overlapped_another_stores_nothing_even_if_it_ends_last() {
    let cache = fixture();
    let (first, first_gate) = cache.open_window(10).await;
    let (second, second_gate) = cache.open_window(20).await;
    first_gate.open();
    assert_eq!(first.await, Ok(10));
    second_gate.open();
    assert_eq!(second.await, Ok(20));
    assert_eq!(cache.stats().size, 0);
}

#[tokio::test]
async fn a_write_that_was_not_applied_stores_nothing_and_closes_its_window() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    let write = async { Written::<u64, _>::NotApplied(Down) };
    let answer = cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .run(write)
        .await;
    assert_eq!(answer, Err(WriteError::NotApplied(Down)));
    assert_eq!((cache.stats().size, cache.stats().open_windows), (0, 0));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_panic_while_rows_are_named_stores_nothing_but_the_write_is_committed() {
    let cache = fixture();
    let answer = cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .key_storing(&cache.numbers, 2, |_| panic!("planted"))
        .run(commits(20))
        .await;
    assert_eq!(answer, Ok(20));
    let stats = cache.stats();
    assert_eq!(
        (stats.size, stats.open_windows, stats.unknown_windows),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_key_whose_row_the_write_does_not_return_is_left_to_be_loaded() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |_| None)
        .key_storing(&cache.numbers, 2, |row| Some(*row))
        .run(commits(20))
        .await
        .unwrap();
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (None, Some(20))
    );
}

#[tokio::test]
async fn a_guard_covers_all_its_keys_in_all_its_regions() {
    let cache = fixture();
    let letters: Region<String, String> = cache.manager.region("letters", Policy::new(TTL, 10));
    (1..=3).for_each(|key| assert!(cache.numbers.insert(key, 10)));
    for key in ["a", "b"] {
        assert!(letters.insert(key.into(), "old".into()));
    }
    let (mut gate, pass) = gate();
    let guard = cache
        .manager
        .guard()
        .key(&cache.numbers, 1)
        .key_storing(&letters, "a".into(), |_| Some("new".into()))
        .key_storing(&cache.numbers, 2, |row| Some(*row));
    let write = begin_write(guard, commits_after(pass, 20));
    gate.begun().await;
    assert_eq!(
        (
            cache.numbers.get(&1),
            cache.numbers.get(&2),
            cache.numbers.get(&3)
        ),
        (None, None, Some(10))
    );
    assert_eq!(
        (letters.get("a"), letters.get("b")),
        (None, Some("old".into()))
    );
    assert_eq!(
        (cache.stats().open_windows, letters.stats().open_windows),
        (2, 1)
    );
    gate.open();
    write.await.unwrap();
    assert_eq!(
        (
            cache.numbers.get(&1),
            cache.numbers.get(&2),
            cache.numbers.get(&3)
        ),
        (None, Some(20), Some(10))
    );
    assert_eq!(
        (letters.get("a"), letters.get("b")),
        (Some("new".into()), Some("old".into()))
    );
    assert_eq!(
        (cache.stats().open_windows, letters.stats().open_windows),
        (0, 0)
    );
}

#[tokio::test]
async fn a_key_named_twice_is_one_window_and_does_not_contend_with_itself() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let guard = cache
        .manager
        .guard()
        .key(&cache.numbers, 1)
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .key(&cache.numbers.clone(), 1);
    let write = begin_write(guard, commits_after(pass, 20));
    gate.begun().await;
    assert_eq!(cache.stats().open_windows, 1);
    gate.open();
    write.await.unwrap();
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn of_two_rows_that_are_named_for_one_key_the_last_is_stored() {
    let cache = fixture();
    cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .key_storing(&cache.numbers, 1, |row| Some(*row + 1))
        .run(commits(20))
        .await
        .unwrap();
    assert_eq!(cache.numbers.get(&1), Some(21));
    assert_eq!(cache.stats().contended_closes, 0);
}

#[tokio::test]
async fn the_same_key_in_two_regions_of_one_type_is_two_windows() {
    let cache = fixture();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL, 10));
    cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |row: &u64| Some(*row))
        .key_storing(&others, 1, |row| Some(*row + 1))
        .run(commits(20))
        .await
        .unwrap();
    assert_eq!(
        (cache.numbers.get(&1), others.get(&1)),
        (Some(20), Some(21))
    );
}

#[tokio::test]
async fn a_guard_without_keys_just_writes() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    assert_eq!(cache.manager.guard().run(commits(20)).await, Ok(20));
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_region_guard_removes_every_value_and_refuses_every_store() {
    let cache = fixture();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL, 10));
    (0..200).for_each(|key| assert!(cache.numbers.insert(key, 10)));
    others.insert(1, 10);
    let (mut load, load_pass) = gate();
    let older = begin_read(&cache.numbers, 1_000, returns_after(load_pass, 10));
    load.begun().await;
    let (mut gate, pass) = gate();
    let write = begin_write(
        cache.manager.guard().region(&cache.numbers),
        commits_after(pass, 20),
    );
    gate.begun().await;
    assert_eq!((cache.stats().size, cache.stats().open_windows), (0, 1));
    assert_eq!(others.get(&1), Some(10));
    load.open();
    assert_eq!(value_of(older).await, Some(10));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(7, returns(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert!(!cache.numbers.insert(8, 20));
    assert_eq!(cache.stats().size, 0);
    gate.open();
    write.await.unwrap();
    assert_eq!((cache.stats().size, cache.stats().open_windows), (0, 0));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(7, returns(20))).await,
        (Some(20), Source::Loaded)
    );
    assert_eq!(cache.numbers.get(&7), Some(20));
}

#[tokio::test]
async fn a_write_to_a_key_of_a_guarded_region_is_contended() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let whole = begin_write(
        cache.manager.guard().region(&cache.numbers),
        commits_after(pass, 20),
    );
    gate.begun().await;
    cache.write(1, 30).await;
    assert_eq!(cache.stats().size, 0);
    let (inner, inner_gate) = cache.open_window(40).await;
    gate.open();
    whole.await.unwrap();
    inner_gate.open();
    inner.await.unwrap();
    assert_eq!(
        cache.stats().size,
        0,
        "a write that began while the region was guarded stored its row"
    );
}

#[tokio::test]
async fn a_region_guard_that_opens_during_a_write_prevents_its_store() {
    let cache = fixture();
    let (write, gate) = cache.open_window(10).await;
    cache
        .manager
        .guard()
        .region(&cache.numbers)
        .run(commits(20))
        .await
        .unwrap();
    gate.open();
    write.await.unwrap();
    assert_eq!(cache.stats().size, 0);
}

#[tokio::test]
async fn a_region_guard_that_ends_during_a_write_leaves_its_window_open() {
    let cache = fixture();
    let (write, gate) = cache.open_window(10).await;
    cache
        .manager
        .guard()
        .region(&cache.numbers)
        .run(commits(20))
        .await
        .unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(5))).await,
        (Some(5), Source::DuringWrite)
    );
    assert!(!cache.numbers.insert(1, 5));
    gate.open();
    write.await.unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_guard_over_a_region_and_one_of_its_keys_stores_nothing_and_closes_both() {
    let cache = fixture();
    let guard = cache
        .manager
        .guard()
        .region(&cache.numbers)
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .region(&cache.numbers);
    guard.run(commits(20)).await.unwrap();
    assert_eq!((cache.stats().size, cache.stats().open_windows), (0, 0));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_guard_over_keys_that_are_recognized_removes_and_refuses_just_those() {
    let cache = fixture();
    (0..200).for_each(|key| assert!(cache.numbers.insert(key, 10)));
    value_of(cache.numbers.get_or_load(1_001, returns_none())).await;
    value_of(cache.numbers.get_or_load(1_002, returns_none())).await;
    let ((mut odd, odd_pass), (mut even, even_pass)) = (gate(), gate());
    let odd_load = begin_read(&cache.numbers, 2_001, returns_after(odd_pass, 10));
    let even_load = begin_read(&cache.numbers, 2_002, returns_after(even_pass, 10));
    odd.begun().await;
    even.begun().await;
    let (mut gate, pass) = gate();
    let guard = cache.manager.guard();
    let guard = guard.keys_where(&cache.numbers, |key| key % 2 == 1);
    let write = begin_write(guard, commits_after(pass, 20));
    gate.begun().await;
    let stats = cache.stats();
    // The even values, and one absence.
    assert_eq!(
        (stats.size, stats.invalidations, stats.open_windows),
        (101, 101, 1)
    );
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (None, Some(10))
    );
    // Loads, inserts and writes of the odd keys store nothing, and those of the others do.
    odd.open();
    even.open();
    assert_eq!(
        (value_of(odd_load).await, value_of(even_load).await),
        (Some(10), Some(10))
    );
    assert_eq!(
        (cache.numbers.get(&2_001), cache.numbers.get(&2_002)),
        (None, Some(10))
    );
    assert!(!cache.numbers.insert(3, 10) && cache.numbers.insert(4, 11));
    for (key, source) in [(1_001, Source::DuringWrite), (1_002, Source::Hit)] {
        let read = cache.numbers.get_or_load(key, returns_none());
        assert_eq!(value_and_source(read).await, (None, source));
    }
    cache.write(5, 20).await;
    cache.write(6, 20).await;
    assert_eq!(
        (cache.numbers.get(&5), cache.numbers.get(&6)),
        (None, Some(20))
    );
    assert_eq!(cache.stats().contended_closes, 1);
    gate.open();
    write.await.unwrap();
    assert_eq!(cache.stats().open_windows, 0);
    let read = cache.numbers.get_or_load(1, returns(20));
    assert_eq!(value_and_source(read).await, (Some(20), Source::Loaded));
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn guards_over_recognized_keys_overlap_like_others() {
    let cache = fixture();
    let ((mut first, first_pass), (mut second, second_pass)) = (gate(), gate());
    let below = |bound| move |key: &u64| *key < bound;
    let guard = || cache.manager.guard();
    let narrow = begin_write(
        guard().keys_where(&cache.numbers, below(3)),
        commits_after(first_pass, 1),
    );
    let wide = begin_write(
        guard()
            .keys_where(&cache.numbers, below(5))
            .region(&cache.numbers),
        commits_after(second_pass, 1),
    );
    first.begun().await;
    second.begun().await;
    assert_eq!(cache.stats().open_windows, 3);
    second.open();
    wide.await.unwrap();
    assert_eq!(cache.stats().open_windows, 1);
    assert!(!cache.numbers.insert(2, 20) && cache.numbers.insert(4, 40));
    first.open();
    narrow.await.unwrap();
    assert!(cache.numbers.insert(2, 20));
}

#[tokio::test]
async fn a_guard_over_recognized_keys_notifies_every_listener_of_the_region() {
    let cache = fixture();
    let mut listener = cache.numbers.listen(1);
    let guard = cache.manager.guard();
    let guard = guard.keys_where(&cache.numbers, |key| *key == 1);
    guard.run(commits(20)).await.unwrap();
    assert_eq!(listener.rung().now_or_never(), Some(()));
}

#[tokio::test]
async fn a_stored_row_is_fresh_from_before_its_commit() {
    let cache = fixture();
    let (write, gate) = cache.open_window(20).await;
    cache.hand.advance(Duration::from_secs(20));
    gate.open();
    write.await.unwrap();
    cache.hand.advance(just_before(Duration::from_secs(40)));
    assert_eq!(cache.numbers.get(&1), Some(20));
    cache.hand.advance(NANO);
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn no_more_writes_run_than_there_are_permits() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 3));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let writes = (0..20).map(|key| {
        let (running, most) = (running.clone(), most.clone());
        let write = async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            run_tasks().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Written::<_, Infallible>::Committed(key)
        };
        cache
            .manager
            .guard()
            .key_storing(&cache.numbers, key, |row| Some(*row))
            .run(write)
    });
    assert!(
        join_all(writes)
            .await
            .into_iter()
            .all(|answer| answer.is_ok())
    );
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(cache.stats().size, 20);
}

#[tokio::test]
async fn a_write_that_waits_for_its_permit_has_no_window_yet() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    cache.numbers.insert(2, 20);
    let (first, gate) = cache.open_window(10).await;
    let second = begin_write(
        cache
            .manager
            .guard()
            .key_storing(&cache.numbers, 2, |row| Some(*row)),
        commits(21),
    );
    run_tasks().await;
    assert_eq!(
        (cache.numbers.get(&2), cache.stats().open_windows),
        (Some(20), 1)
    );
    gate.open();
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(cache.numbers.get(&2), Some(21));
}
