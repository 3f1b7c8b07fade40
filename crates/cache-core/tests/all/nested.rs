//! Loads and writes within others: they need no permit of their own, and none waits for itself.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    sync::{Arc, Mutex},
};

use cache_core::{
    LoadError, LoaderError, Manager, Policy, Read, Region, Runtime, Source, Unknown, WriteError,
    Written,
};
use futures_util::FutureExt;

use crate::support::*;

/// A cache with one permit for loads and one for writes.
fn one_permit() -> Fixture {
    fixture_with(Policy::new(TTL, 1_000), |builder| builder.permits(1, 1))
}

/// Returns a loader whose value `read` returns.
fn loads<E: LoaderError>(
    read: impl Future<Output = Result<Read<u64>, LoadError<E>>> + Send + 'static,
) -> impl FnOnce() -> LoadFuture<LoadError<E>> + Send + 'static {
    || async move { Ok(read.await?.value) }.boxed()
}

/// Returns a write of `key` that commits what `value` returns.
async fn write_with(
    manager: Manager,
    numbers: Numbers,
    key: u64,
    value: impl Future<Output = Option<u64>> + Send + 'static,
) -> Result<u64, WriteError<ReadError>> {
    let write = async move { Written::Committed(value.await.expect("the inner call succeeds")) };
    let guard = manager.guard().key_storing(&numbers, key, |row| Some(*row));
    guard.run(write).await
}

/// Runs `inner` within a load, while a write is open too: no permit is free.
async fn within_a_load(
    cache: &Fixture,
    inner: impl Future<Output = Option<u64>> + Send + 'static,
) -> Option<u64> {
    let (_write, _window) = cache.open_window(0).await;
    let load = || async move { Ok::<_, Infallible>(inner.await) };
    value_of(cache.numbers.get_or_load(10, load)).await
}

#[tokio::test]
async fn a_load_within_a_load_needs_no_permit() {
    let cache = one_permit();
    let numbers = cache.numbers.clone();
    let inner = async move { numbers.get_or_load(2, returns(20)).await.unwrap().value };
    assert_eq!(within_a_load(&cache, inner).await, Some(20));
    assert_eq!(
        (cache.numbers.get(&2), cache.numbers.get(&10)),
        (Some(20), Some(20))
    );
}

#[tokio::test]
async fn a_load_three_levels_deep_needs_no_permit() {
    let cache = one_permit();
    let (outer, inner) = (cache.numbers.clone(), cache.numbers.clone());
    let deepest = async move { inner.get_or_load(3, returns(30)).await };
    let middle = async move { outer.get_or_load(2, loads(deepest)).await.unwrap().value };
    assert_eq!(within_a_load(&cache, middle).await, Some(30));
}

#[tokio::test]
async fn a_batch_and_bypassing_reads_within_a_load_need_no_permit() {
    let cache = one_permit();
    let numbers = cache.numbers.clone();
    let inner = async move {
        let rows = |keys: Vec<u64>| async move {
            Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 1)).collect())
        };
        numbers.get_or_load_many(&[2, 3], rows).await.unwrap();
        numbers.bypass_many(&[2, 3], rows).await.unwrap();
        // Key 1 is being written.
        let read = numbers.get_or_load(1, returns(4)).await.unwrap();
        assert_eq!(read.source, Source::DuringWrite);
        numbers.bypass(2, returns(5)).await.unwrap().value
    };
    assert_eq!(within_a_load(&cache, inner).await, Some(5));
}

/// Reads key 1 in a batch whose loader reads `inner` in a batch. Returns both results.
async fn batch_within_a_batch(
    numbers: &Region<u64, u64>,
    inner: Vec<u64>,
) -> (Batch, Option<Batch>) {
    let seen = Arc::new(Mutex::new(None));
    let (into, within) = (seen.clone(), numbers.clone());
    let load = move |_| async move {
        let rows = |keys: Vec<u64>| async move {
            Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 1)).collect())
        };
        let read = within.get_or_load_many(&inner, rows).await;
        *into.lock().unwrap() = Some(values(read));
        Ok::<_, Infallible>(vec![(1, 10)])
    };
    let outer = tokio::time::timeout(PATIENCE, numbers.get_or_load_many(&[1], load));
    let outer = values(outer.await.expect("no batch waits for itself"));
    let inner = seen.lock().unwrap().take();
    (outer, inner)
}

type Batch = Result<Vec<Option<u64>>, String>;

fn values(reads: Result<Vec<Read<u64>>, LoadError<Infallible>>) -> Batch {
    let reads = reads.map_err(|error| format!("{error:?}"))?;
    Ok(reads.into_iter().map(|read| read.value).collect())
}

#[tokio::test]
async fn a_batch_within_a_batch_does_not_wait_for_itself_in_a_window_or_a_switched_off_region() {
    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let numbers: Region<u64, u64> = manager.region("numbers", Policy::new(TTL, 100));
    let check = async |numbers: &Region<u64, u64>| {
        for (inner, expected) in [
            (vec![2, 3], Ok(vec![Some(1), Some(1)])),
            (vec![1], Err("Nested".to_owned())),
            (vec![2, 1], Err("Nested".to_owned())),
        ] {
            let read = batch_within_a_batch(numbers, inner).await;
            assert_eq!(read, (Ok(vec![Some(10)]), Some(expected)));
        }
    };
    let in_window = numbers.clone();
    let guard = manager
        .guard()
        .key(&numbers, 1)
        .key(&numbers, 2)
        .key(&numbers, 3);
    let written = guard.run(async move {
        check(&in_window).await;
        Written::<_, Infallible>::Committed(())
    });
    written.await.unwrap();
    manager.set_enabled("numbers", false);
    check(&numbers).await;
}

#[tokio::test]
async fn a_write_within_a_load_needs_no_permit() {
    let cache = one_permit();
    let (manager, numbers) = (cache.manager.clone(), cache.numbers.clone());
    let inner = async move {
        let written = write_with(manager, numbers, 2, async { Some(20) }).await;
        Some(written.unwrap())
    };
    assert_eq!(within_a_load(&cache, inner).await, Some(20));
    assert_eq!(cache.numbers.get(&2), Some(20));
}

#[tokio::test]
async fn loads_and_writes_within_a_write_need_no_permit() {
    let cache = one_permit();
    let (mut load, pass) = gate();
    let held = begin_read(&cache.numbers, 10, returns_after(pass, 1));
    load.begun().await;
    let (manager, numbers) = (cache.manager.clone(), cache.numbers.clone());
    let inner = async move {
        let read = numbers.get_or_load(2, returns(20)).await.unwrap();
        let value = async move { read.value };
        Some(write_with(manager, numbers, 3, value).await.unwrap())
    };
    let outer = write_with(cache.manager.clone(), cache.numbers.clone(), 1, inner);
    let written = tokio::time::timeout(PATIENCE, outer)
        .await
        .expect("the write ends");
    assert_eq!(written.unwrap(), 20);
    for key in 1..=3 {
        assert_eq!(cache.numbers.get(&key), Some(20));
    }
    assert_eq!(cache.stats().open_windows, 0);
    load.open();
    value_of(held).await;
}

#[tokio::test]
async fn a_nested_load_leaves_the_permits_to_the_others() {
    let cache = one_permit();
    let (numbers, (mut inner, pass)) = (cache.numbers.clone(), gate());
    let nested = async move { numbers.get_or_load(2, returns_after(pass, 20)).await };
    let outer = begin_read(&cache.numbers, 1, loads(nested));
    inner.begun().await;
    let (mut third, pass) = gate();
    let waiting = begin_read(&cache.numbers, 3, returns_after(pass, 30));
    run_tasks().await;
    assert!(
        !third.has_begun(),
        "a load that is not nested ran without a permit"
    );
    inner.open();
    assert_eq!(value_of(outer).await, Some(20));
    third.begun().await;
    third.open();
    assert_eq!(value_of(waiting).await, Some(30));
}

/// Expects that a load of key 1 fails because it waits for itself, and that the key works again.
async fn expect_nested<E: LoaderError + fmt::Debug>(
    cache: &Fixture,
    inner: impl Future<Output = Result<Read<u64>, LoadError<E>>> + Send + 'static,
) {
    let read = tokio::time::timeout(PATIENCE, cache.numbers.get_or_load(1, loads(inner)));
    let error = read.await.expect("the load waits for itself").unwrap_err();
    assert!(matches!(error, LoadError::Failed(_)));
    assert_eq!(error.to_string(), LoadError::<Down>::Nested.to_string());
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_gets_an_error_at_once() {
    let cache = one_permit();
    let numbers = cache.numbers.clone();
    expect_nested(
        &cache,
        async move { numbers.get_or_load(1, returns(1)).await },
    )
    .await;
    cache.numbers.remove(&1);
    let numbers = cache.numbers.clone();
    expect_nested(&cache, async move {
        numbers.load_after_miss(1, returns(1)).await
    })
    .await;
    cache.numbers.remove(&1);
    let numbers = cache.numbers.clone();
    let rows = |_| async { Ok::<_, Infallible>(vec![(1, 1), (2, 2)]) };
    let batch = async move { Ok(numbers.get_or_load_many(&[2, 1], rows).await?.remove(0)) };
    expect_nested(&cache, batch).await;
    cache.numbers.remove(&1);
    let numbers = cache.numbers.clone();
    expect_nested(&cache, async move { numbers.bypass(1, returns(1)).await }).await;
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_through_another_load_gets_an_error_at_once() {
    let cache = one_permit();
    let (first, second) = (cache.numbers.clone(), cache.numbers.clone());
    let own = async move { second.get_or_load(1, returns(1)).await };
    expect_nested(
        &cache,
        async move { first.get_or_load(2, loads(own)).await },
    )
    .await;
}

#[tokio::test]
async fn a_loader_that_reads_its_own_key_through_a_write_gets_an_error_at_once() {
    let cache = one_permit();
    let (manager, numbers) = (cache.manager.clone(), cache.numbers.clone());
    let through_write = async move {
        let reader = numbers.clone();
        let write = async move {
            match reader.get_or_load(1, returns(1)).await {
                Ok(read) => Written::Committed(read),
                Err(error) => Written::NotApplied(error),
            }
        };
        match manager.guard().key(&numbers, 2).run(write).await {
            Err(WriteError::NotApplied(error)) => Err(error),
            other => panic!("the write returned {other:?}"),
        }
    };
    expect_nested(&cache, through_write).await;
}

#[tokio::test]
async fn a_loader_within_a_window_that_reads_its_own_key_gets_an_error_at_once() {
    let cache = one_permit();
    let (write, window) = cache.open_window(20).await;
    let numbers = cache.numbers.clone();
    let own = async move { numbers.get_or_load(1, returns(1)).await };
    let read = tokio::time::timeout(PATIENCE, cache.numbers.get_or_load(1, loads(own)));
    let error = read.await.expect("the load waits for itself").unwrap_err();
    assert_eq!(error.to_string(), "a load waits for itself");
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_loader_may_read_its_key_of_another_region() {
    let cache = one_permit();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL, 10));
    let inner = async move { others.get_or_load(1, returns(10)).await };
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, loads(inner))).await,
        Some(10)
    );
}

#[tokio::test]
async fn a_reader_beside_a_nested_load_waits_for_it_as_for_any_other() {
    let cache = one_permit();
    let (numbers, (mut inner, pass)) = (cache.numbers.clone(), gate());
    let nested = async move { numbers.get_or_load(2, returns_after(pass, 20)).await };
    let outer = begin_read(&cache.numbers, 1, loads(nested));
    inner.begun().await;
    let beside = [
        begin_read(&cache.numbers, 1, never_called()),
        begin_read(&cache.numbers, 2, never_called()),
    ];
    inner.open();
    for read in beside {
        assert_eq!(value_and_source(read).await, (Some(20), Source::Joined));
    }
    assert_eq!(value_of(outer).await, Some(20));
}

#[test]
fn an_error_of_a_nested_load_names_no_cause() {
    assert!(LoadError::<Down>::Nested.source().is_none());
}

#[tokio::test]
async fn a_load_of_one_manager_needs_a_permit_of_another() {
    let (cache, other) = (one_permit(), one_permit());
    let (mut gate, pass) = gate();
    let held = begin_read(&other.numbers, 100, returns_after(pass, 1));
    gate.begun().await;
    let numbers = other.numbers.clone();
    let inner = async move { numbers.get_or_load(2, returns(20)).await };
    let mut waiting = cache.numbers.get_or_load(1, loads(inner)).boxed();
    assert!((&mut waiting).now_or_never().is_none());
    run_tasks().await;
    assert!(
        (&mut waiting).now_or_never().is_none(),
        "the load of one manager counts as admitted by the other"
    );
    gate.open();
    assert_eq!(value_of(held).await, Some(1));
    assert_eq!(value_of(waiting).await, Some(20));
}
