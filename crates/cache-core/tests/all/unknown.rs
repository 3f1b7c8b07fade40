//! Unknown outcomes: the windows stay open, and reads bypass the cache, until the store has
//! settled.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Policy, SettleError, Source, Unknown, WriteError, Written};
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::support::*;

type Settled = Result<(), SettleError>;

/// The test's side of a settle function: it receives each call and answers it.
struct Settling {
    calls: mpsc::UnboundedReceiver<oneshot::Sender<Settled>>,
    count: Arc<AtomicUsize>,
}

fn settling() -> (Unknown, Settling) {
    let (announce, calls) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let settled = Unknown::settled_by(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let (sender, answer) = oneshot::channel();
        announce.send(sender).expect("the test receives the calls");
        async move {
            answer
                .await
                .unwrap_or_else(|_| Err(SettleError::failed("given up")))
        }
    });
    (settled, Settling { calls, count })
}

impl Settling {
    async fn call(&mut self) -> oneshot::Sender<Settled> {
        tokio::time::timeout(PATIENCE, self.calls.recv())
            .await
            .expect("settling was not called")
            .expect("the manager is there")
    }

    fn calls(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

fn unsettled() -> (Fixture, Settling) {
    let (settled, settling) = settling();
    let cache = fixture_of(Policy::new(TTL, 100), settled, |builder| {
        builder.write_timeout(Duration::from_secs(3))
    });
    (cache, settling)
}

#[tokio::test]
async fn a_write_of_unknown_outcome_keeps_its_window_open_until_it_is_settled() {
    let (cache, mut settling) = unsettled();
    cache.numbers.insert(1, 10);
    let answer = cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .run(unknown_outcome())
        .await;
    assert_eq!(answer, Err(WriteError::Unknown(Down)));
    assert_eq!(
        (cache.stats().open_windows, cache.stats().unknown_windows),
        (1, 1)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert!(!cache.numbers.insert(1, 10));
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(
        (
            cache.stats().open_windows,
            cache.stats().unknown_windows,
            cache.stats().size
        ),
        (0, 0, 0)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::Loaded)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(20), Source::Hit)
    );
    assert_eq!(settling.calls(), 1);
}

#[tokio::test]
async fn a_load_that_began_before_or_while_the_outcome_was_unknown_is_not_stored() {
    let (cache, mut settling) = unsettled();
    let ((mut before, before_pass), (mut during, during_pass)) = (gate(), gate());
    let first = begin_read(&cache.numbers, 1, returns_after(before_pass, 10));
    before.begun().await;
    cache.lose_write(1).await;
    let second = begin_read(&cache.numbers, 1, returns_after(during_pass, 10));
    during.begun().await;
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    before.open();
    during.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(10), Some(10))
    );
    assert_eq!(cache.stats().size, 0);
}

#[tokio::test]
async fn a_failed_settling_is_tried_again_after_a_growing_pause() {
    let (cache, mut settling) = unsettled();
    cache.lose_write(1).await;
    for pause in [50, 100, 200] {
        settling
            .call()
            .await
            .send(Err(SettleError::failed("no connection")))
            .unwrap();
        run_tasks().await;
        cache
            .hand
            .advance(just_before(Duration::from_millis(pause)));
        run_tasks().await;
        assert!(settling.calls.is_empty());
        assert_eq!(cache.stats().unknown_windows, 1);
        assert_eq!(
            value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
            (Some(10), Source::DuringWrite)
        );
        cache.hand.advance(NANO);
    }
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        (cache.numbers.get(&1), cache.stats().unknown_windows),
        (Some(10), 0)
    );
}

#[tokio::test]
async fn a_write_that_became_unknown_after_settling_began_is_not_closed_by_it() {
    let (cache, mut settling) = unsettled();
    cache.lose_write(1).await;
    let first = settling.call().await;
    cache.lose_write(2).await;
    first.send(Ok(())).unwrap();
    let second = settling.call().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, returns(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert_eq!(cache.stats().unknown_windows, 1);
    second.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, returns(20))).await,
        (Some(20), Source::Loaded)
    );
    assert_eq!(settling.calls(), 2);
}

#[tokio::test]
async fn two_unknown_writes_of_one_key_end_when_both_are_settled() {
    let (cache, mut settling) = unsettled();
    cache.lose_write(1).await;
    let first = settling.call().await;
    cache.lose_write(1).await;
    first.send(Ok(())).unwrap();
    let second = settling.call().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    second.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn writes_that_become_unknown_later_are_settled_by_another_task() {
    let (cache, mut settling) = unsettled();
    for _ in 0..3 {
        cache.lose_write(1).await;
        settling.call().await.send(Ok(())).unwrap();
        run_tasks().await;
        assert_eq!(cache.stats().unknown_windows, 0);
    }
}

#[tokio::test]
async fn a_later_write_of_the_same_key_stores_nothing_while_the_outcome_is_unknown() {
    let (cache, mut settling) = unsettled();
    cache.lose_write(1).await;
    cache.write(1, 30).await;
    assert_eq!(cache.stats().size, 0);
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(cache.stats().size, 0);
    cache.write(1, 30).await;
    assert_eq!(cache.numbers.get(&1), Some(30));
}

#[tokio::test]
async fn a_write_that_takes_too_long_is_of_unknown_outcome() {
    let (cache, mut settling) = unsettled();
    let (write, window) = cache.open_window(20).await;
    cache.hand.advance(just_before(Duration::from_secs(3)));
    run_tasks().await;
    assert!(!window.is_dropped());
    cache.hand.advance(NANO);
    assert_eq!(write.await, Err(WriteError::TimedOut));
    assert!(window.is_dropped());
    assert_eq!((cache.stats().unknown_windows, cache.stats().size), (1, 0));
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(cache.stats().open_windows, 0);
}

#[tokio::test]
async fn a_write_that_panics_is_of_unknown_outcome() {
    let (cache, mut settling) = unsettled();
    let write = async { panic!("planted") as Written<u64, Down> };
    let answer = cache
        .manager
        .guard()
        .key_storing(&cache.numbers, 1, |row| Some(*row))
        .run(write)
        .await;
    assert_eq!(answer, Err(WriteError::Panicked));
    assert_eq!(cache.stats().unknown_windows, 1);
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn without_a_settle_function_reads_bypass_the_cache_for_good() {
    let cache = fixture();
    for _ in 0..2 {
        cache.lose_write(1).await;
        run_tasks().await;
        cache.hand.advance(TTL * 1_000);
        run_tasks().await;
    }
    assert_eq!(cache.stats().unknown_windows, 2);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn an_unknown_write_over_regions_and_creates_keeps_all_of_them_open() {
    let (cache, mut settling) = unsettled();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL, 10));
    let created: Numbers = cache.manager.region("created", Policy::new(TTL, 10));
    let guard = cache
        .manager
        .guard()
        .key(&cache.numbers, 1)
        .key(&cache.numbers, 2)
        .region(&others)
        .creating(&created);
    guard.run(unknown_outcome()).await.unwrap_err();
    assert_eq!(
        (
            cache.stats().unknown_windows,
            others.stats().unknown_windows
        ),
        (2, 1)
    );
    for region in [&cache.numbers, &others, &created] {
        assert_eq!(
            value_and_source(region.get_or_load(1, returns_none())).await,
            (None, Source::DuringWrite)
        );
    }
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(
        (cache.stats().open_windows, others.stats().open_windows),
        (0, 0)
    );
    assert_eq!(
        (
            cache.stats().unknown_windows,
            others.stats().unknown_windows
        ),
        (0, 0)
    );
    for region in [&cache.numbers, &others, &created] {
        assert_eq!(
            value_and_source(region.get_or_load(1, returns_none())).await,
            (None, Source::Loaded)
        );
        assert_eq!(
            value_and_source(region.get_or_load(1, never_called())).await,
            (None, Source::Hit)
        );
    }
}

#[tokio::test]
async fn a_settling_that_panics_is_tried_again() {
    for at_once in [false, true] {
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let settled = Unknown::settled_by(move || {
            let call = {
                let mut calls = counted.lock().unwrap();
                *calls += 1;
                *calls
            };
            assert!(call > 1 || !at_once, "planted");
            async move {
                assert!(call > 1, "planted");
                Ok(())
            }
        });
        let cache = fixture_of(Policy::new(TTL, 100), settled, |builder| builder);
        cache.lose_write(1).await;
        run_tasks().await;
        assert_eq!(cache.stats().unknown_windows, 1);
        cache.hand.advance(Duration::from_millis(50));
        run_tasks().await;
        assert_eq!(
            (*calls.lock().unwrap(), cache.stats().unknown_windows),
            (2, 0),
            "at once: {at_once}"
        );
    }
}

#[tokio::test]
async fn settling_needs_no_permit() {
    let (settled, mut settling) = settling();
    let cache = fixture_of(Policy::new(TTL, 100), settled, |builder| {
        builder.permits(1, 1)
    });
    cache.lose_write(2).await;
    let (write, window) = cache.open_window(10).await;
    let (mut load, pass) = gate();
    let read = begin_read(&cache.numbers, 3, returns_after(pass, 30));
    load.begun().await;
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(cache.stats().unknown_windows, 0);
    window.open();
    load.open();
    write.await.unwrap();
    value_of(read).await;
}

#[tokio::test]
async fn settling_by_hand_waits_for_earlier_writes_and_then_asks_the_store() {
    let (cache, mut settling) = unsettled();
    let (write, window) = cache.open_window(20).await;
    let manager = cache.manager.clone();
    let mut settled = async move { manager.settle().await }.boxed();
    assert!((&mut settled).now_or_never().is_none());
    // A write that begins later is not waited for.
    let (mut later, pass) = gate();
    let second = begin_write(
        cache.manager.guard().key(&cache.numbers, 2),
        commits_after(pass, 30),
    );
    later.begun().await;
    run_tasks().await;
    assert!((&mut settled).now_or_never().is_none() && settling.calls() == 0);
    window.open();
    write.await.unwrap();
    assert!((&mut settled).now_or_never().is_none());
    settling
        .call()
        .await
        .send(Err(SettleError::failed("no connection")))
        .unwrap();
    assert_eq!(settled.await.unwrap_err().to_string(), "no connection");
    // The next call waits for that write.
    let mut settled = cache.manager.settle().boxed();
    run_tasks().await;
    assert!((&mut settled).now_or_never().is_none() && settling.calls() == 1);
    later.open();
    second.await.unwrap();
    assert!((&mut settled).now_or_never().is_none());
    settling.call().await.send(Ok(())).unwrap();
    settled.await.unwrap();
}

#[tokio::test]
async fn writes_go_on_after_settling_by_hand() {
    let settled = Unknown::settled_by(|| async { Ok(()) });
    let cache = fixture_of(Policy::new(TTL, 100), settled, |builder| builder);
    for value in [10, 20] {
        cache.manager.settle().await.unwrap();
        cache.write(1, value).await;
        assert_eq!(cache.numbers.get(&1), Some(value));
    }
}

#[tokio::test]
async fn settling_by_hand_closes_the_windows_of_earlier_unknown_writes() {
    let (cache, mut settling) = unsettled();
    cache.lose_write(1).await;
    let by_task = settling.call().await;
    let mut settled = cache.manager.settle().boxed();
    assert!((&mut settled).now_or_never().is_none());
    let by_hand = settling.call().await;
    // This one becomes unknown too late for it.
    cache.lose_write(2).await;
    by_hand.send(Ok(())).unwrap();
    settled.await.unwrap();
    assert_eq!(cache.stats().unknown_windows, 1);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
    assert!(!cache.numbers.insert(2, 20));
    by_task.send(Ok(())).unwrap();
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(cache.stats().unknown_windows, 0);
}

#[tokio::test]
async fn without_a_way_to_settle_settling_by_hand_is_an_error_and_creates_stay_open() {
    let cache = fixture();
    let settled = cache.manager.settle().await;
    assert!(matches!(settled, Err(SettleError::Unsettled)));
    // It may create any key of the region.
    let write = async { panic!("planted") as Written<u64, Down> };
    let guard = cache.manager.guard().creating(&cache.numbers);
    assert_eq!(guard.run(write).await, Err(WriteError::Panicked));
    let settled = cache.manager.settle().await;
    assert!(matches!(settled, Err(SettleError::Unsettled)));
    let stats = cache.stats();
    assert_eq!((stats.open_creates, stats.unknown_creates), (1, 1));
    for key in [1, 1, 2] {
        assert_eq!(
            value_and_source(cache.numbers.get_or_load(key, returns(10))).await,
            (Some(10), Source::DuringWrite)
        );
    }
}

#[tokio::test]
async fn a_create_of_unknown_outcome_is_counted_until_it_is_settled() {
    let (cache, mut settling) = unsettled();
    let guard = cache.manager.guard().creating(&cache.numbers);
    guard.run(unknown_outcome()).await.unwrap_err();
    let creates = || (cache.stats().open_creates, cache.stats().unknown_creates);
    assert_eq!(creates(), (1, 1));
    settling.call().await.send(Ok(())).unwrap();
    run_tasks().await;
    assert_eq!(creates(), (0, 0));
    let (mut gate, pass) = gate();
    let guard = cache.manager.guard().creating(&cache.numbers);
    let write = begin_write(guard, commits_after(pass, 1));
    gate.begun().await;
    assert_eq!(creates(), (1, 0));
    gate.open();
    write.await.unwrap();
    assert_eq!(creates(), (0, 0));
}

#[tokio::test]
async fn a_write_that_can_land_no_later_than_a_time_is_settled_then() {
    let minute = Duration::from_mins(1);
    let cache = fixture_of(Policy::new(TTL * 9, 100), Unknown::After(minute), |b| b);
    cache.lose_write(1).await;
    run_tasks().await;
    cache.hand.advance(Duration::from_secs(20));
    cache.lose_write(2).await;
    run_tasks().await;
    cache.hand.advance(just_before(Duration::from_secs(40)));
    run_tasks().await;
    assert_eq!(cache.stats().unknown_windows, 2);
    cache.hand.advance(NANO);
    run_tasks().await;
    assert_eq!(cache.stats().unknown_windows, 1);
    assert!(cache.numbers.insert(1, 10) && !cache.numbers.insert(2, 20));
    cache.hand.advance(minute);
    run_tasks().await;
    assert_eq!(cache.stats().unknown_windows, 0);
    assert!(cache.numbers.insert(2, 20));
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_store_that_settles_nothing() {
    let (cache, mut settling) = unsettled();
    cache.lose_write(1).await;
    let _unanswered = settling.call().await;
    assert!(cache.manager.shutdown(Duration::from_secs(5)).await);
}

#[test]
fn a_way_to_settle_is_printed_without_its_function() {
    let ways = [
        Unknown::settled_by(|| async { Ok(()) }),
        Unknown::After(Duration::from_secs(1)),
        Unknown::Never,
    ];
    assert_eq!(format!("{ways:?}"), "[Settle, After(1s), Never]");
}
