//! Batches: one load reads just the missing keys, and is judged key by key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use cache_core::{LoadError, Policy, Read, Source};
use futures_util::{FutureExt, future::BoxFuture};

use crate::support::*;

type Requests = Arc<Mutex<Vec<Vec<u64>>>>;
type Rows = BoxFuture<'static, Result<Vec<(u64, u64)>, Down>>;

/// Returns ten times the key for keys below 100, and records the keys it was called with.
fn tens(requests: &Requests) -> impl FnOnce(Vec<u64>) -> Rows + Send + 'static {
    let requests = requests.clone();
    move |keys| {
        requests.lock().unwrap().push(keys.clone());
        async move {
            Ok(keys
                .into_iter()
                .filter(|key| *key < 100)
                .map(|key| (key, key * 10))
                .collect())
        }
        .boxed()
    }
}

fn tens_after(requests: &Requests, pass: Pass) -> impl FnOnce(Vec<u64>) -> Rows + Send + 'static {
    let load = tens(requests);
    move |keys| {
        let rows = load(keys);
        async move {
            pass.wait().await;
            rows.await
        }
        .boxed()
    }
}

fn values_and_sources(reads: Result<Vec<Read<u64>>, ReadError>) -> Vec<(Option<u64>, Source)> {
    reads
        .unwrap()
        .into_iter()
        .map(|read| (read.value, read.source))
        .collect()
}

fn begin_many(
    region: &Numbers,
    keys: &'static [u64],
    load: impl FnOnce(Vec<u64>) -> Rows + Send + 'static,
) -> BoxFuture<'static, Result<Vec<Read<u64>>, ReadError>> {
    let region = region.clone();
    let mut reads = async move { region.get_or_load_many(keys, load).await }.boxed();
    assert!(
        (&mut reads).now_or_never().is_none(),
        "the batch does not wait"
    );
    reads
}

#[tokio::test]
async fn a_batch_loads_just_the_missing_keys_and_returns_values_in_order() {
    let (cache, requests) = (fixture(), Requests::default());
    cache.numbers.insert(2, 21);
    let reads = cache
        .numbers
        .get_or_load_many(&[3, 2, 100, 1], tens(&requests))
        .await;
    assert_eq!(
        values_and_sources(reads),
        [
            (Some(30), Source::Loaded),
            (Some(21), Source::Hit),
            (None, Source::Loaded),
            (Some(10), Source::Loaded)
        ]
    );
    assert_eq!(*requests.lock().unwrap(), [[3, 100, 1]]);
    let again = cache
        .numbers
        .get_or_load_many(&[1, 2, 3, 100], tens(&requests))
        .await;
    assert_eq!(
        values_and_sources(again),
        [
            (Some(10), Source::Hit),
            (Some(21), Source::Hit),
            (Some(30), Source::Hit),
            (None, Source::Hit)
        ]
    );
    assert_eq!(
        (requests.lock().unwrap().len(), cache.stats().loads),
        (1, 1)
    );
}

#[tokio::test]
async fn a_batch_without_keys_loads_nothing() {
    let (cache, requests) = (fixture(), Requests::default());
    assert_eq!(
        values_and_sources(cache.numbers.get_or_load_many(&[], tens(&requests)).await),
        []
    );
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_named_twice_in_a_batch_is_loaded_once_and_returned_twice() {
    let (cache, requests) = (fixture(), Requests::default());
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2, 1, 1], tens(&requests))
        .await
        .unwrap();
    assert_eq!(
        reads.iter().map(|read| read.value).collect::<Vec<_>>(),
        [Some(10), Some(20), Some(10), Some(10)]
    );
    assert_eq!(*requests.lock().unwrap(), [[1, 2]]);
}

#[tokio::test]
async fn a_key_named_twice_in_a_batch_within_a_window_is_loaded_once() {
    let (cache, requests) = (fixture(), Requests::default());
    let (write, window) = cache.open_window(20).await;
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2, 1, 1], tens(&requests))
        .await
        .unwrap();
    assert_eq!(
        reads.iter().map(|read| read.value).collect::<Vec<_>>(),
        [Some(10), Some(20), Some(10), Some(10)]
    );
    let mut keys = requests.lock().unwrap().clone();
    keys[0].sort_unstable();
    assert_eq!(keys, [[1, 2]]);
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_key_named_twice_in_a_batch_of_a_switched_off_region_is_returned_twice() {
    let (cache, requests) = (fixture(), Requests::default());
    cache.manager.set_all_enabled(false);
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 1, 100], tens(&requests))
        .await;
    assert_eq!(
        values_and_sources(reads),
        [
            (Some(10), Source::Bypass),
            (Some(10), Source::Bypass),
            (None, Source::Bypass)
        ]
    );
    assert_eq!(cache.stats().size, 0);
}

#[tokio::test]
async fn a_batch_is_judged_key_by_key() {
    let (cache, requests) = (fixture(), Requests::default());
    let (mut gate, pass) = gate();
    let reads = begin_many(&cache.numbers, &[1, 2, 3], tens_after(&requests, pass));
    gate.begun().await;
    cache.write_without_row(2, 0).await;
    gate.open();
    assert_eq!(
        values_and_sources(reads.await),
        [
            (Some(10), Source::Loaded),
            (Some(20), Source::Loaded),
            (Some(30), Source::Loaded)
        ]
    );
    assert_eq!(
        (
            cache.numbers.get(&1),
            cache.numbers.get(&2),
            cache.numbers.get(&3)
        ),
        (Some(10), None, Some(30))
    );
    assert_eq!(cache.stats().refused_stores, 1);
}

#[tokio::test]
async fn a_batch_bypasses_the_cache_for_keys_within_a_window() {
    let (cache, requests) = (fixture(), Requests::default());
    let (write, window) = cache.open_window(99).await;
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2], tens(&requests))
        .await;
    assert_eq!(
        values_and_sources(reads),
        [(Some(10), Source::DuringWrite), (Some(20), Source::Loaded)]
    );
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (None, Some(20))
    );
    window.open();
    write.await.unwrap();
    assert_eq!(cache.numbers.get(&1), Some(99));
}

#[tokio::test]
async fn batches_and_single_reads_join_each_others_loads() {
    let (cache, requests) = (fixture(), Requests::default());
    let ((mut single, single_pass), (mut many, many_pass)) = (gate(), gate());
    let first = begin_read(&cache.numbers, 1, returns_after(single_pass, 11));
    single.begun().await;
    let batch = begin_many(&cache.numbers, &[1, 2], tens_after(&requests, many_pass));
    many.begun().await;
    let last = begin_read(&cache.numbers, 2, never_called());
    many.open();
    assert_eq!(value_and_source(last).await, (Some(20), Source::Joined));
    single.open();
    assert_eq!(
        values_and_sources(batch.await),
        [(Some(11), Source::Joined), (Some(20), Source::Loaded)]
    );
    assert_eq!(value_of(first).await, Some(11));
    assert_eq!(*requests.lock().unwrap(), [[2]]);
}

#[tokio::test]
async fn a_batch_that_fails_is_reported_to_every_waiter_of_its_keys() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let load = |_| {
        async move {
            pass.wait().await;
            Err(Down)
        }
        .boxed()
    };
    let batch = begin_many(&cache.numbers, &[1, 2], load);
    gate.begun().await;
    let single = begin_read(&cache.numbers, 2, never_called());
    gate.open();
    assert_eq!(batch.await.unwrap_err().failed(), Some(&Down));
    assert_eq!(single.await.unwrap_err().failed(), Some(&Down));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
}

#[tokio::test]
async fn a_panicking_batch_is_an_error() {
    let cache = fixture();
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2], |_| -> Rows { panic!("planted") })
        .await;
    assert!(matches!(reads, Err(LoadError::Panicked)));
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn rows_that_were_not_requested_are_not_stored() {
    let cache = fixture();
    let load = |_| -> Rows { async { Ok(vec![(1, 10), (7, 70)]) }.boxed() };
    let reads = cache.numbers.get_or_load_many(&[1], load).await;
    assert_eq!(values_and_sources(reads), [(Some(10), Source::Loaded)]);
    assert_eq!((cache.numbers.get(&7), cache.stats().size), (None, 1));
}

#[tokio::test]
async fn a_batch_goes_on_when_its_caller_is_dropped() {
    let (cache, requests) = (fixture(), Requests::default());
    let (mut gate, pass) = gate();
    let reads = begin_many(&cache.numbers, &[1, 2], tens_after(&requests, pass));
    gate.begun().await;
    drop(reads);
    gate.open();
    run_tasks().await;
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (Some(10), Some(20))
    );
}

#[tokio::test]
async fn a_batch_takes_one_permit() {
    let cache = fixture_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    let keys: Vec<u64> = (0..50).collect();
    let requests = Requests::default();
    let reads = cache
        .numbers
        .get_or_load_many(&keys, tens(&requests))
        .await
        .unwrap();
    let values: HashMap<_, _> = keys.iter().zip(&reads).collect();
    assert!(
        values
            .iter()
            .all(|(key, read)| read.value == Some(**key * 10))
    );
}

#[tokio::test]
async fn a_batch_serves_stale_values_for_the_keys_that_have_one() {
    let cache = fixture_with(Policy::new(TTL, 10).fail_safe(TTL), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    let reads = cache
        .numbers
        .get_or_load_many(&[1], |_| -> Rows { async { Err(Down) }.boxed() })
        .await;
    assert_eq!(values_and_sources(reads), [(Some(10), Source::Stale)]);
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2], |_| -> Rows { async { Err(Down) }.boxed() })
        .await;
    assert_eq!(reads.unwrap_err().failed(), Some(&Down));
}

#[tokio::test]
async fn batches_within_a_window_share_one_load_that_runs_and_one_that_collects_keys() {
    let (cache, requests) = (fixture(), Requests::default());
    let (write, window) = cache.open_window(20).await;
    let (mut gate, pass) = gate();
    let first = begin_many(&cache.numbers, &[1], tens_after(&requests, pass));
    gate.begun().await;
    let others: Vec<_> = (0..100)
        .map(|_| begin_many(&cache.numbers, &[1], tens(&requests)))
        .collect();
    gate.open();
    for reads in others.into_iter().chain([first]) {
        assert_eq!(
            values_and_sources(reads.await),
            [(Some(10), Source::DuringWrite)]
        );
    }
    assert_eq!(*requests.lock().unwrap(), [[1], [1]]);
    assert_eq!(cache.stats().loads, 2);
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn batches_of_a_region_that_is_switched_off_share_a_load_and_take_a_permit() {
    let (cache, requests) = (
        fixture_with(Policy::new(TTL, 10), |builder| builder.permits(1, 1)),
        Requests::default(),
    );
    cache.manager.set_enabled("numbers", false);
    let (mut gate, pass) = gate();
    let first = begin_many(&cache.numbers, &[1], tens_after(&requests, pass));
    gate.begun().await;
    let second = begin_many(&cache.numbers, &[2], tens(&requests));
    let third = begin_many(&cache.numbers, &[3, 2], tens(&requests));
    gate.open();
    assert_eq!(
        values_and_sources(first.await),
        [(Some(10), Source::Bypass)]
    );
    assert_eq!(
        values_and_sources(second.await),
        [(Some(20), Source::Bypass)]
    );
    let third = values_and_sources(third.await);
    assert_eq!(
        third,
        [(Some(30), Source::Bypass), (Some(20), Source::Bypass)]
    );
    let mut keys = requests.lock().unwrap().clone();
    keys[1].sort_unstable();
    assert_eq!(keys, [vec![1], vec![2, 3]]);
}

#[tokio::test]
async fn a_batch_refreshes_the_values_that_are_due_and_returns_them_at_once() {
    let policy = Policy::new(TTL, 10).refresh_after(0.5);
    let (cache, requests) = (
        fixture_with(policy, |builder| builder.permits(1, 1)),
        Requests::default(),
    );
    cache.numbers.insert(1, 11);
    cache.numbers.insert(2, 21);
    cache.hand.advance(TTL / 2);
    cache.numbers.insert(3, 31);
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2, 3], tens(&requests))
        .await;
    let hits = [11, 21, 31].map(|value| (Some(value), Source::Hit));
    assert_eq!(values_and_sources(reads), hits);
    run_tasks().await;
    assert_eq!(*requests.lock().unwrap(), [[1, 2]]);
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (Some(10), Some(20))
    );
    assert_eq!((cache.stats().refreshes, cache.stats().loads), (2, 1));
}

#[tokio::test]
async fn a_batch_that_misses_a_key_refreshes_the_others_by_the_same_load() {
    let policy = Policy::new(TTL, 10).refresh_after(0.5);
    let (cache, requests) = (fixture_with(policy, |builder| builder), Requests::default());
    cache.numbers.insert(1, 11);
    cache.hand.advance(TTL / 2);
    let reads = cache
        .numbers
        .get_or_load_many(&[1, 2], tens(&requests))
        .await;
    assert_eq!(
        values_and_sources(reads),
        [(Some(11), Source::Hit), (Some(20), Source::Loaded)]
    );
    assert_eq!(*requests.lock().unwrap(), [[1, 2]]);
    assert_eq!(cache.numbers.get(&1), Some(10));
}
