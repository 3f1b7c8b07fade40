//! Batches: one load with just the missing keys, judged key by key.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use cache_core::{LoadError, Policy, Read, Source};
use futures_util::{FutureExt, future::BoxFuture};

use crate::support::*;

type Asked = Arc<Mutex<Vec<Vec<u64>>>>;
type Rows = BoxFuture<'static, Result<Vec<(u64, u64)>, Down>>;

/// Gives ten times the key for keys below 100 and writes down what it was asked for.
fn tens(asked: &Asked) -> impl FnOnce(Vec<u64>) -> Rows + Send + 'static {
    let asked = asked.clone();
    move |keys| {
        asked.lock().unwrap().push(keys.clone());
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

fn tens_after(asked: &Asked, pass: Pass) -> impl FnOnce(Vec<u64>) -> Rows + Send + 'static {
    let load = tens(asked);
    move |keys| {
        let rows = load(keys);
        async move {
            pass.wait().await;
            rows.await
        }
        .boxed()
    }
}

fn told_all(reads: Result<Vec<Read<u64>>, LoadError>) -> Vec<(Option<u64>, Source)> {
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
) -> BoxFuture<'static, Result<Vec<Read<u64>>, LoadError>> {
    let region = region.clone();
    let mut reads = async move { region.get_or_load_many(keys, load).await }.boxed();
    assert!(
        (&mut reads).now_or_never().is_none(),
        "the batch does not wait"
    );
    reads
}

#[tokio::test]
async fn a_batch_loads_just_the_missing_keys_at_once_and_answers_in_their_order() {
    let (bench, asked) = (bench(), Asked::default());
    bench.numbers.insert(2, 21);
    let reads = bench
        .numbers
        .get_or_load_many(&[3, 2, 100, 1], tens(&asked))
        .await;
    assert_eq!(
        told_all(reads),
        [
            (Some(30), Source::Loaded),
            (Some(21), Source::Hit),
            (None, Source::Loaded),
            (Some(10), Source::Loaded)
        ]
    );
    assert_eq!(*asked.lock().unwrap(), [[3, 100, 1]]);
    let again = bench
        .numbers
        .get_or_load_many(&[1, 2, 3, 100], tens(&asked))
        .await;
    assert_eq!(
        told_all(again),
        [
            (Some(10), Source::Hit),
            (Some(21), Source::Hit),
            (Some(30), Source::Hit),
            (None, Source::Hit)
        ]
    );
    assert_eq!((asked.lock().unwrap().len(), bench.stats().loads), (1, 1));
}

#[tokio::test]
async fn a_batch_without_keys_loads_nothing() {
    let (bench, asked) = (bench(), Asked::default());
    assert_eq!(
        told_all(bench.numbers.get_or_load_many(&[], tens(&asked)).await),
        []
    );
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_key_named_twice_in_a_batch_is_loaded_once_and_answered_twice() {
    let (bench, asked) = (bench(), Asked::default());
    let reads = bench
        .numbers
        .get_or_load_many(&[1, 2, 1, 1], tens(&asked))
        .await
        .unwrap();
    assert_eq!(
        reads.iter().map(|read| read.value).collect::<Vec<_>>(),
        [Some(10), Some(20), Some(10), Some(10)]
    );
    assert_eq!(*asked.lock().unwrap(), [[1, 2]]);
}

#[tokio::test]
async fn a_key_named_twice_in_a_batch_within_a_window_is_loaded_once_and_answered_twice() {
    let (bench, asked) = (bench(), Asked::default());
    let (write, window) = bench.open_window(20).await;
    let reads = bench
        .numbers
        .get_or_load_many(&[1, 2, 1, 1], tens(&asked))
        .await
        .unwrap();
    assert_eq!(
        reads.iter().map(|read| read.value).collect::<Vec<_>>(),
        [Some(10), Some(20), Some(10), Some(10)]
    );
    assert_eq!(*asked.lock().unwrap(), [[1, 2]]);
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_key_named_twice_in_a_batch_past_a_region_that_is_off_is_answered_twice() {
    let (bench, asked) = (bench(), Asked::default());
    bench.manager.set_all_enabled(false);
    let reads = bench
        .numbers
        .get_or_load_many(&[1, 1, 100], tens(&asked))
        .await;
    assert_eq!(
        told_all(reads),
        [
            (Some(10), Source::Bypass),
            (Some(10), Source::Bypass),
            (None, Source::Bypass)
        ]
    );
    assert_eq!(bench.stats().size, 0);
}

#[tokio::test]
async fn a_batch_is_judged_key_by_key() {
    let (bench, asked) = (bench(), Asked::default());
    let (mut gate, pass) = gate();
    let reads = begin_many(&bench.numbers, &[1, 2, 3], tens_after(&asked, pass));
    gate.begun().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 2)
        .run(commits(0), stores_nothing)
        .await
        .unwrap();
    gate.open();
    assert_eq!(
        told_all(reads.await),
        [
            (Some(10), Source::Loaded),
            (Some(20), Source::Loaded),
            (Some(30), Source::Loaded)
        ]
    );
    assert_eq!(
        (
            bench.numbers.get(&1),
            bench.numbers.get(&2),
            bench.numbers.get(&3)
        ),
        (Some(10), None, Some(30))
    );
    assert_eq!(bench.stats().refused_stores, 1);
}

#[tokio::test]
async fn a_batch_reads_keys_within_a_window_past_the_cache() {
    let (bench, asked) = (bench(), Asked::default());
    let (write, window) = bench.open_window(99).await;
    let reads = bench.numbers.get_or_load_many(&[1, 2], tens(&asked)).await;
    assert_eq!(
        told_all(reads),
        [(Some(10), Source::DuringWrite), (Some(20), Source::Loaded)]
    );
    assert_eq!(
        (bench.numbers.get(&1), bench.numbers.get(&2)),
        (None, Some(20))
    );
    window.open();
    write.await.unwrap();
    assert_eq!(bench.numbers.get(&1), Some(99));
}

#[tokio::test]
async fn batches_and_single_reads_join_each_others_loads() {
    let (bench, asked) = (bench(), Asked::default());
    let ((mut single, single_pass), (mut many, many_pass)) = (gate(), gate());
    let first = begin_read(&bench.numbers, 1, gives_after(single_pass, 11));
    single.begun().await;
    let batch = begin_many(&bench.numbers, &[1, 2], tens_after(&asked, many_pass));
    many.begun().await;
    let last = begin_read(&bench.numbers, 2, unused());
    many.open();
    assert_eq!(told(last).await, (Some(20), Source::Joined));
    single.open();
    assert_eq!(
        told_all(batch.await),
        [(Some(11), Source::Joined), (Some(20), Source::Loaded)]
    );
    assert_eq!(value_of(first).await, Some(11));
    assert_eq!(*asked.lock().unwrap(), [[2]]);
}

#[tokio::test]
async fn a_batch_that_fails_is_reported_to_all_who_wait_for_one_of_its_keys() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let load = |_| {
        async move {
            pass.wait().await;
            Err(Down)
        }
        .boxed()
    };
    let batch = begin_many(&bench.numbers, &[1, 2], load);
    gate.begun().await;
    let single = begin_read(&bench.numbers, 2, unused());
    gate.open();
    assert_eq!(batch.await.unwrap_err().source_as(), Some(&Down));
    assert_eq!(single.await.unwrap_err().source_as(), Some(&Down));
    assert_eq!((bench.stats().loads, bench.stats().load_failures), (1, 1));
}

#[tokio::test]
async fn a_panicking_batch_is_an_error() {
    let bench = bench();
    let reads = bench
        .numbers
        .get_or_load_many(&[1, 2], |_| -> Rows { panic!("planted") })
        .await;
    assert!(matches!(reads, Err(LoadError::Panicked)));
    assert_eq!(
        value_of(bench.numbers.get_or_load(1, gives(10))).await,
        Some(10)
    );
}

#[tokio::test]
async fn rows_that_nobody_asked_for_are_not_stored() {
    let bench = bench();
    let load = |_| -> Rows { async { Ok(vec![(1, 10), (7, 70)]) }.boxed() };
    let reads = bench.numbers.get_or_load_many(&[1], load).await;
    assert_eq!(told_all(reads), [(Some(10), Source::Loaded)]);
    assert_eq!((bench.numbers.get(&7), bench.stats().size), (None, 1));
}

#[tokio::test]
async fn a_batch_goes_on_when_its_caller_goes_away() {
    let (bench, asked) = (bench(), Asked::default());
    let (mut gate, pass) = gate();
    let reads = begin_many(&bench.numbers, &[1, 2], tens_after(&asked, pass));
    gate.begun().await;
    drop(reads);
    gate.open();
    all_idle().await;
    assert_eq!(
        (bench.numbers.get(&1), bench.numbers.get(&2)),
        (Some(10), Some(20))
    );
}

#[tokio::test]
async fn a_batch_takes_one_permit() {
    let bench = bench_with(Policy::new(TTL, 100), |builder| builder.permits(1, 1));
    let keys: Vec<u64> = (0..50).collect();
    let asked = Asked::default();
    let reads = bench
        .numbers
        .get_or_load_many(&keys, tens(&asked))
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
    let bench = bench_with(
        Policy {
            fail_safe: Some(TTL),
            ..Policy::new(TTL, 10)
        },
        |builder| builder,
    );
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    let reads = bench
        .numbers
        .get_or_load_many(&[1], |_| -> Rows { async { Err(Down) }.boxed() })
        .await;
    assert_eq!(told_all(reads), [(Some(10), Source::Stale)]);
    let reads = bench
        .numbers
        .get_or_load_many(&[1, 2], |_| -> Rows { async { Err(Down) }.boxed() })
        .await;
    assert_eq!(reads.unwrap_err().source_as(), Some(&Down));
}
