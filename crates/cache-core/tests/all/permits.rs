//! Permits and queues: how many loads and writes run at a time, how many wait, and for how long.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use cache_core::{LoadError, Manager, Policy, Runtime, Source, Unknown, WriteError, Written};
use futures_util::{FutureExt, future::BoxFuture};

use crate::support::*;

const TIMEOUT: Duration = Duration::from_secs(3);
const SECOND: Duration = Duration::from_secs(1);

/// A cache with one permit for loads and one for writes, and a bound on those that wait.
fn one_permit(queue: usize) -> Fixture {
    fixture_with(Policy::new(TTL, 1_000), |builder| {
        let builder = builder.permits(1, 1).queues(queue, queue);
        builder.load_timeout(TIMEOUT).write_timeout(TIMEOUT)
    })
}

/// Begins a load of key 100 that holds the permit until the gate is open.
async fn hold_load_permit(cache: &Fixture) -> (ReadFuture, Gate) {
    let (mut gate, pass) = gate();
    let read = begin_read(&cache.numbers, 100, returns_after(pass, 1));
    gate.begun().await;
    (read, gate)
}

#[tokio::test]
async fn waiting_for_a_permit_counts_towards_the_load_timeout() {
    let cache = one_permit(10);
    let (first, held) = hold_load_permit(&cache).await;
    let (mut load, pass) = gate();
    let second = begin_read(&cache.numbers, 2, returns_after(pass, 20));
    run_tasks().await;
    cache.hand.advance(2 * SECOND);
    held.open();
    value_of(first).await;
    load.begun().await;
    cache.hand.advance(just_before(SECOND));
    run_tasks().await;
    assert!(!load.is_dropped());
    cache.hand.advance(NANO);
    assert!(matches!(second.await, Err(LoadError::TimedOut)));
    assert!(load.is_dropped());
}

#[tokio::test]
async fn a_load_that_waited_is_given_up_if_all_its_readers_were_dropped() {
    let cache = one_permit(10);
    let (first, held) = hold_load_permit(&cache).await;
    for key in 2..7 {
        drop(begin_read(&cache.numbers, key, never_called()));
    }
    let last = begin_read(&cache.numbers, 7, returns(70));
    run_tasks().await;
    held.open();
    assert_eq!(value_of(first).await, Some(1));
    assert_eq!(value_of(last).await, Some(70));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (2, 0));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, returns(20))).await,
        (Some(20), Source::Loaded)
    );
}

#[tokio::test]
async fn a_load_that_waited_runs_if_one_of_its_readers_is_left() {
    let cache = one_permit(10);
    let (first, held) = hold_load_permit(&cache).await;
    drop(begin_read(&cache.numbers, 2, returns(20)));
    run_tasks().await;
    let joined = begin_read(&cache.numbers, 2, never_called());
    held.open();
    value_of(first).await;
    assert_eq!(value_and_source(joined).await, (Some(20), Source::Joined));
    assert_eq!(cache.numbers.get(&2), Some(20));
}

type Rows = BoxFuture<'static, Result<Vec<(u64, u64)>, Down>>;

/// Begins a read of keys 2 and 3 in one batch, and drops the reader.
async fn abandon_batch(cache: &Fixture, load: impl FnOnce(Vec<u64>) -> Rows + Send + 'static) {
    let batch = cache.numbers.get_or_load_many(&[2, 3], load);
    assert!(batch.now_or_never().is_none());
    run_tasks().await;
}

#[tokio::test]
async fn a_batch_that_waited_runs_if_a_reader_of_one_key_is_left() {
    let cache = one_permit(10);
    let (first, held) = hold_load_permit(&cache).await;
    abandon_batch(&cache, |_| async { Ok(vec![(2, 20), (3, 30)]) }.boxed()).await;
    let joined = begin_read(&cache.numbers, 3, never_called());
    held.open();
    value_of(first).await;
    assert_eq!(value_and_source(joined).await, (Some(30), Source::Joined));
    assert_eq!(cache.numbers.get(&2), Some(20));
}

#[tokio::test]
async fn a_batch_that_waited_is_given_up_if_no_key_has_a_reader() {
    let cache = one_permit(10);
    let (first, held) = hold_load_permit(&cache).await;
    abandon_batch(&cache, |_| panic!("the loader was called")).await;
    held.open();
    value_of(first).await;
    run_tasks().await;
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 0));
    for key in [2, 3] {
        assert_eq!(
            value_and_source(cache.numbers.get_or_load(key, returns(9))).await,
            (Some(9), Source::Loaded)
        );
    }
}

#[tokio::test]
async fn a_load_beyond_the_queue_is_refused_at_once_and_the_key_works_again() {
    let cache = one_permit(1);
    let (first, held) = hold_load_permit(&cache).await;
    let second = begin_read(&cache.numbers, 2, returns(20));
    run_tasks().await;
    let refused = cache.numbers.get_or_load(3, never_called()).await;
    assert!(matches!(refused, Err(LoadError::Overloaded)));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
    held.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(1), Some(20))
    );
    assert_eq!(
        value_of(cache.numbers.get_or_load(3, returns(30))).await,
        Some(30)
    );
}

#[tokio::test]
async fn a_stale_value_is_served_while_too_many_loads_wait() {
    let policy = Policy::new(TTL, 1_000).fail_safe(TTL);
    let cache = fixture_with(policy, |builder| builder.permits(1, 1).queues(0, 0));
    cache.numbers.insert(2, 20);
    cache.hand.advance(TTL);
    let (first, held) = hold_load_permit(&cache).await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, never_called())).await,
        (Some(20), Source::Stale)
    );
    held.open();
    value_of(first).await;
}

#[tokio::test]
async fn a_write_beyond_the_queue_is_refused_at_once_and_changes_nothing() {
    let cache = one_permit(1);
    cache.numbers.insert(3, 30);
    let (first, window) = cache.open_window(10).await;
    let second = begin_write(cache.manager.guard().key(&cache.numbers, 2), commits(20));
    let guard = cache.manager.guard().key(&cache.numbers, 3);
    let refused = guard
        .run(async { panic!("the write was run") as Write })
        .await;
    assert_eq!(refused, Err(WriteError::Overloaded));
    assert_eq!(
        (cache.numbers.get(&3), cache.stats().open_windows),
        (Some(30), 1)
    );
    // A dropped caller leaves the queue.
    drop(second);
    let third = begin_write(cache.manager.guard().key(&cache.numbers, 3), commits(31));
    window.open();
    assert_eq!((first.await, third.await), (Ok(10), Ok(31)));
}

type Write = cache_core::Written<u64, Down>;

#[tokio::test]
async fn a_write_that_waits_in_vain_for_a_permit_is_refused_and_changes_nothing() {
    let cache = fixture_with(Policy::new(TTL, 1_000), |builder| {
        builder.permits(1, 1).write_timeout(TIMEOUT)
    });
    cache.numbers.insert(2, 20);
    let (_first, _window) = cache.open_window(10).await;
    let second = begin_write(cache.manager.guard().key(&cache.numbers, 2), async {
        panic!("the write was run") as Write
    });
    cache.hand.advance(TIMEOUT);
    assert_eq!(second.await, Err(WriteError::Overloaded));
    assert_eq!(cache.numbers.get(&2), Some(20));
}

#[tokio::test]
async fn waiting_for_a_permit_counts_towards_the_write_timeout() {
    let cache = one_permit(10);
    let (first, window) = cache.open_window(10).await;
    let (mut gate, pass) = gate();
    let write = async move {
        pass.wait().await;
        Written::<u64, Down>::Committed(20)
    };
    let second = begin_write(cache.manager.guard().key(&cache.numbers, 2), write);
    let second = tokio::spawn(second);
    cache.hand.advance(2 * SECOND);
    window.open();
    first.await.unwrap();
    gate.begun().await;
    cache.hand.advance(just_before(SECOND));
    run_tasks().await;
    assert!(!gate.is_dropped());
    cache.hand.advance(NANO);
    assert_eq!(second.await.unwrap(), Err(WriteError::TimedOut));
}

#[tokio::test]
async fn waiting_for_its_turn_counts_towards_the_timeout_of_an_upsert() {
    let cache = one_permit(10);
    let (mut first_gate, first_pass) = gate();
    let (mut second_gate, second_pass) = gate();
    let upsert = |pass: Pass| {
        let (manager, numbers) = (cache.manager.clone(), cache.numbers.clone());
        let write = |_| async move {
            pass.wait().await;
            Written::<u64, Down>::Committed(1)
        };
        tokio::spawn(async move { manager.upsert(&numbers, 1, write).await })
    };
    let first = upsert(first_pass);
    first_gate.begun().await;
    let second = upsert(second_pass);
    run_tasks().await;
    cache.hand.advance(2 * SECOND);
    first_gate.open();
    assert_eq!(first.await.unwrap(), Ok(1));
    second_gate.begun().await;
    cache.hand.advance(SECOND);
    assert_eq!(second.await.unwrap(), Err(WriteError::TimedOut));
}

#[tokio::test]
async fn an_upsert_beyond_the_queue_of_its_key_is_refused_at_once() {
    let cache = one_permit(1);
    let (mut gate, pass) = gate();
    let upsert = |key, pass: Option<Pass>| {
        let write = |_| async move {
            if let Some(pass) = pass {
                pass.wait().await;
            }
            Written::<u64, Down>::Committed(1)
        };
        cache.manager.upsert(&cache.numbers, key, write).boxed()
    };
    let mut first = upsert(1, Some(pass));
    assert!((&mut first).now_or_never().is_none());
    gate.begun().await;
    let mut second = upsert(1, None);
    assert!((&mut second).now_or_never().is_none());
    let third = upsert(1, None).now_or_never();
    assert_eq!(third, Some(Err(WriteError::Overloaded)));
    gate.open();
    assert_eq!((first.await, second.await), (Ok(1), Ok(1)));
}

#[test]
fn a_thread_that_waits_in_vain_for_a_permit_gets_an_error() {
    let timeout = Duration::from_millis(10);
    let manager = Manager::builder(Runtime::threads(), Unknown::Never)
        .permits(1, 1)
        .load_timeout(timeout)
        .write_timeout(timeout)
        .build();
    let numbers = manager.region::<u64, u64>("numbers", Policy::new(TTL, 10));
    let load = || Ok::<_, Down>(Some(1));
    // A thread of its own is not within the load, whose permit it waits for.
    let in_vain = || {
        thread::scope(|scope| {
            let read = scope.spawn(|| numbers.get_or_load_blocking(2, load));
            let written = scope.spawn(|| {
                let write = || Written::<u64, Down>::Committed(1);
                manager.guard().key(&numbers, 3).run_blocking(write)
            });
            (read.join().unwrap(), written.join().unwrap())
        })
    };
    let read = numbers.get_or_load_blocking(1, || {
        let (read, written) = in_vain();
        assert!(matches!(read, Err(LoadError::TimedOut)), "{read:?}");
        assert_eq!(written, Ok(1));
        load()
    });
    assert_eq!(read.unwrap().value, Some(1));
    let write = || {
        let (read, written) = in_vain();
        assert_eq!(read.unwrap().value, Some(1));
        assert_eq!(written, Err(WriteError::Overloaded));
        Written::<u64, Down>::Committed(1)
    };
    assert_eq!(manager.guard().key(&numbers, 4).run_blocking(write), Ok(1));
}

#[tokio::test]
#[should_panic(expected = "a manager needs permits")]
async fn a_manager_without_load_permits_is_refused() {
    fixture_with(Policy::new(TTL, 10), |builder| builder.permits(0, 1));
}

#[tokio::test]
#[should_panic(expected = "a manager needs permits")]
async fn a_manager_without_write_permits_is_refused() {
    fixture_with(Policy::new(TTL, 10), |builder| builder.permits(1, 0));
}

/// Reads that bypass the cache: because its region is off, or because the caller asks for it.
async fn bypassing_reads(switched_off: bool) {
    let cache = one_permit(10);
    cache.manager.set_enabled("numbers", !switched_off);
    let read = |key, load: BoxLoader| {
        let numbers = cache.numbers.clone();
        begin(async move {
            if switched_off {
                numbers.get_or_load(key, load).await
            } else {
                numbers.bypass(key, load).await
            }
        })
    };
    let ((mut running, first_pass), (mut queued, second_pass)) = (gate(), gate());
    let first = read(1, Box::new(returns_after(first_pass, 10)));
    running.begun().await;
    // They share no load that has begun, and share the next one.
    let second = read(1, Box::new(returns_after(second_pass, 11)));
    let mut others: Vec<_> = (0..98)
        .map(|_| read(1, Box::new(|| panic!("the loader was called"))))
        .collect();
    // The reader of this one is dropped before a permit is free.
    drop(read(2, Box::new(|| panic!("the loader was called"))));
    run_tasks().await;
    assert!(!queued.has_begun());
    running.open();
    assert_eq!(value_and_source(first).await, (Some(10), Source::Bypass));
    queued.begun().await;
    others.truncate(50);
    queued.open();
    for read in std::iter::once(second).chain(others) {
        assert_eq!(value_and_source(read).await, (Some(11), Source::Bypass));
    }
    // The load timeout holds for them, too.
    let (mut slow, pass) = gate();
    let slow_read = read(3, Box::new(returns_after(pass, 30)));
    slow.begun().await;
    cache.hand.advance(TIMEOUT);
    assert!(matches!(slow_read.await, Err(LoadError::TimedOut)));
    let stats = cache.stats();
    assert_eq!((stats.bypasses, stats.hits, stats.misses), (102, 0, 0));
    assert_eq!((stats.loads, stats.load_failures, stats.size), (3, 1, 0));
}

type BoxLoader = Box<dyn FnOnce() -> LoadFuture<Down> + Send>;

#[tokio::test]
async fn reads_of_a_switched_off_region_share_loads_under_permits_and_the_timeout() {
    bypassing_reads(true).await;
}

#[tokio::test]
async fn reads_that_ask_to_bypass_share_loads_under_permits_and_the_timeout() {
    bypassing_reads(false).await;
}

/// A task whose references are counted.
struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn a_dropped_reader_leaves_no_waker_in_a_long_load() {
    let cache = fixture();
    let (_read, held) = hold_load_permit(&cache).await;
    let task = Arc::new(Task);
    let waker = Waker::from(task.clone());
    for _ in 0..1_000 {
        let mut read = Box::pin(cache.numbers.get_or_load(100, never_called()));
        let polled = read.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(Arc::strong_count(&task), 3, "the reader waits");
    }
    assert_eq!(Arc::strong_count(&task), 2);
    held.open();
}

#[tokio::test]
async fn by_default_more_than_a_thousand_loads_and_three_hundred_writes_wait_for_a_permit() {
    let cache = fixture();
    let (gate, opened) = tokio::sync::watch::channel(false);
    let opened = move || {
        let mut opened = opened.clone();
        async move { opened.wait_for(|is_open| *is_open).await.map(drop) }
    };
    // A load has 1,024 permits and a write 256.
    let loads = (0..1_024 + 1_100).map(|key| {
        let opened = opened();
        begin_read(&cache.numbers, key, move || async move {
            opened.await.expect("the gate stays");
            Ok::<_, Infallible>(Some(key))
        })
    });
    let loads: Vec<_> = loads.collect();
    let writes = (0..256 + 300).map(|key| {
        let (guard, opened) = (
            cache.manager.guard().key(&cache.numbers, 10_000 + key),
            opened(),
        );
        let write = async move {
            opened.await.expect("the gate stays");
            Written::<_, Infallible>::Committed(key)
        };
        begin_write(guard, write)
    });
    let writes: Vec<_> = writes.collect();
    run_tasks().await;
    gate.send_replace(true);
    for (key, load) in (0..).zip(loads) {
        assert_eq!(value_of(load).await, Some(key));
    }
    for (key, write) in (0..).zip(writes) {
        assert_eq!(write.await, Ok(key));
    }
}

#[tokio::test]
async fn a_bypassing_batch_that_waited_loads_for_its_reader_and_is_given_up_without_one() {
    for has_reader in [true, false] {
        let cache = one_permit(10);
        let (first, held) = hold_load_permit(&cache).await;
        let numbers = cache.numbers.clone();
        let load = |keys: Vec<u64>| async move {
            let rows = keys.into_iter().map(|key| (key, key * 10));
            Ok::<_, Infallible>(rows.collect::<Vec<_>>())
        };
        let reading = async move { numbers.bypass_many(&[2], load).await };
        let mut reading = Box::pin(reading);
        assert!((&mut reading).now_or_never().is_none());
        run_tasks().await;
        let reading = has_reader.then_some(reading);
        held.open();
        assert_eq!(value_of(first).await, Some(1));
        if let Some(reading) = reading {
            assert_eq!(reading.await.unwrap()[0].value, Some(20));
        }
        run_tasks().await;
        assert_eq!(cache.stats().loads, if has_reader { 2 } else { 1 });
        assert_eq!(cache.stats().load_failures, 0);
    }
}
