//! Unknown outcomes: the windows stay open, and their keys are read past the cache, until the store has settled them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Policy, SettleFn, Source, WriteError, Written};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};

use crate::support::*;

type Answer = Result<(), String>;

/// A store that settles as the test says: each call is announced and answered by hand.
struct Settling {
    calls: mpsc::UnboundedReceiver<oneshot::Sender<Answer>>,
    count: Arc<AtomicUsize>,
}

fn settling() -> (SettleFn, Settling) {
    let (announce, calls) = mpsc::unbounded_channel();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let settle: SettleFn = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let (sender, answer) = oneshot::channel();
        announce.send(sender).expect("the test listens");
        async move { answer.await.unwrap_or_else(|_| Err("given up".to_owned())) }.boxed()
    });
    (settle, Settling { calls, count })
}

impl Settling {
    async fn call(&mut self) -> oneshot::Sender<Answer> {
        tokio::time::timeout(PATIENCE, self.calls.recv())
            .await
            .expect("settling is called")
            .expect("a manager")
    }

    fn calls(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

fn unsettled() -> (Bench, Settling) {
    let (settle, settling) = settling();
    (
        bench_with(Policy::new(TTL, 100), |builder| {
            builder.settle(settle).write_timeout(Duration::from_secs(3))
        }),
        settling,
    )
}

#[tokio::test]
async fn a_write_of_unknown_outcome_keeps_its_window_open_until_it_is_settled() {
    let (bench, mut settling) = unsettled();
    bench.numbers.insert(1, 10);
    let answer = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores(&bench.numbers, 1))
        .await;
    assert_eq!(answer, Err(WriteError::Store(Down)));
    assert_eq!(
        (bench.stats().open_windows, bench.stats().unknown_windows),
        (1, 1)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert!(!bench.numbers.insert(1, 10));
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(
        (
            bench.stats().open_windows,
            bench.stats().unknown_windows,
            bench.stats().size
        ),
        (0, 0, 0)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::Loaded)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(20), Source::Hit)
    );
    assert_eq!(settling.calls(), 1);
}

#[tokio::test]
async fn a_load_that_began_before_or_while_the_outcome_was_unknown_is_not_stored() {
    let (bench, mut settling) = unsettled();
    let ((mut before, before_pass), (mut during, during_pass)) = (gate(), gate());
    let first = begin_read(&bench.numbers, 1, gives_after(before_pass, 10));
    before.begun().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    let second = begin_read(&bench.numbers, 1, gives_after(during_pass, 10));
    during.begun().await;
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    before.open();
    during.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(10), Some(10))
    );
    assert_eq!(bench.stats().size, 0);
}

#[tokio::test]
async fn settling_that_fails_is_tried_again_after_a_growing_pause() {
    let (bench, mut settling) = unsettled();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    for pause in [50, 100, 200] {
        settling
            .call()
            .await
            .send(Err("no connection".to_owned()))
            .unwrap();
        all_idle().await;
        bench
            .hand
            .advance(just_before(Duration::from_millis(pause)));
        all_idle().await;
        assert!(settling.calls.is_empty());
        assert_eq!(bench.stats().unknown_windows, 1);
        assert_eq!(
            told(bench.numbers.get_or_load(1, gives(10))).await,
            (Some(10), Source::DuringWrite)
        );
        bench.hand.advance(NANO);
    }
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        (bench.numbers.get(&1), bench.stats().unknown_windows),
        (Some(10), 0)
    );
}

#[tokio::test]
async fn a_write_that_became_unknown_after_settling_began_is_not_closed_by_it() {
    let (bench, mut settling) = unsettled();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    let first = settling.call().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 2)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    first.send(Ok(())).unwrap();
    let second = settling.call().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(2, gives(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert_eq!(bench.stats().unknown_windows, 1);
    second.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(
        told(bench.numbers.get_or_load(2, gives(20))).await,
        (Some(20), Source::Loaded)
    );
    assert_eq!(settling.calls(), 2);
}

#[tokio::test]
async fn two_unknown_writes_of_one_key_are_over_when_both_are() {
    let (bench, mut settling) = unsettled();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    let first = settling.call().await;
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    first.send(Ok(())).unwrap();
    let second = settling.call().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::DuringWrite)
    );
    second.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn writes_that_become_unknown_later_are_settled_by_a_task_of_their_own() {
    let (bench, mut settling) = unsettled();
    for _ in 0..3 {
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(is_unknown(), stores_nothing)
            .await
            .unwrap_err();
        settling.call().await.send(Ok(())).unwrap();
        all_idle().await;
        assert_eq!(bench.stats().unknown_windows, 0);
    }
}

#[tokio::test]
async fn a_later_write_of_the_same_key_stores_nothing_while_the_outcome_is_unknown() {
    let (bench, mut settling) = unsettled();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(30), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!(bench.stats().size, 0);
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
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
async fn a_write_that_takes_too_long_is_of_unknown_outcome() {
    let (bench, mut settling) = unsettled();
    let (write, window) = bench.open_window(20).await;
    bench.hand.advance(just_before(Duration::from_secs(3)));
    all_idle().await;
    assert!(!window.is_given_up());
    bench.hand.advance(NANO);
    assert_eq!(write.await, Err(WriteError::TimedOut));
    assert!(window.is_given_up());
    assert_eq!((bench.stats().unknown_windows, bench.stats().size), (1, 0));
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(bench.stats().open_windows, 0);
}

#[tokio::test]
async fn a_write_that_panics_is_of_unknown_outcome() {
    let (bench, mut settling) = unsettled();
    let write = async { panic!("planted") as Written<u64, Down> };
    let answer = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(write, stores(&bench.numbers, 1))
        .await;
    assert_eq!(answer, Err(WriteError::Panicked));
    assert_eq!(bench.stats().unknown_windows, 1);
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn without_settling_the_keys_are_read_past_the_cache_for_good() {
    let bench = bench();
    for _ in 0..2 {
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(is_unknown(), stores_nothing)
            .await
            .unwrap_err();
        all_idle().await;
        bench.hand.advance(TTL * 1_000);
        all_idle().await;
    }
    assert_eq!(bench.stats().unknown_windows, 2);
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(2, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn an_unknown_write_over_regions_and_creates_holds_them_all() {
    let (bench, mut settling) = unsettled();
    let others: Numbers = bench.manager.region("others", Policy::new(TTL, 10));
    let made: Numbers = bench.manager.region("made", Policy::new(TTL, 10));
    let guard = bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .key(&bench.numbers, 2)
        .region(&others)
        .creating(&made);
    guard.run(is_unknown(), stores_nothing).await.unwrap_err();
    assert_eq!(
        (
            bench.stats().unknown_windows,
            others.stats().unknown_windows
        ),
        (2, 1)
    );
    for region in [&bench.numbers, &others, &made] {
        assert_eq!(
            told(region.get_or_load(1, gives_nothing())).await,
            (None, Source::DuringWrite)
        );
    }
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(
        (bench.stats().open_windows, others.stats().open_windows),
        (0, 0)
    );
    assert_eq!(
        (
            bench.stats().unknown_windows,
            others.stats().unknown_windows
        ),
        (0, 0)
    );
    for region in [&bench.numbers, &others, &made] {
        assert_eq!(
            told(region.get_or_load(1, gives_nothing())).await,
            (None, Source::Loaded)
        );
        assert_eq!(
            told(region.get_or_load(1, unused())).await,
            (None, Source::Hit)
        );
    }
}

#[tokio::test]
async fn settling_that_panics_is_tried_again() {
    for at_once in [false, true] {
        let calls = Arc::new(Mutex::new(0));
        let settle: SettleFn = {
            let calls = calls.clone();
            Arc::new(move || -> BoxFuture<'static, Answer> {
                let call = {
                    let mut calls = calls.lock().unwrap();
                    *calls += 1;
                    *calls
                };
                assert!(call > 1 || !at_once, "planted");
                async move {
                    assert!(call > 1, "planted");
                    Ok(())
                }
                .boxed()
            })
        };
        let bench = bench_with(Policy::new(TTL, 100), |builder| builder.settle(settle));
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(is_unknown(), stores_nothing)
            .await
            .unwrap_err();
        all_idle().await;
        assert_eq!(bench.stats().unknown_windows, 1);
        bench.hand.advance(Duration::from_millis(50));
        all_idle().await;
        assert_eq!(
            (*calls.lock().unwrap(), bench.stats().unknown_windows),
            (2, 0),
            "at once: {at_once}"
        );
    }
}

#[tokio::test]
async fn settling_needs_no_permit() {
    let (settle, mut settling) = settling();
    let bench = bench_with(Policy::new(TTL, 100), |builder| {
        builder.settle(settle).permits(1, 1)
    });
    bench
        .manager
        .guard()
        .key(&bench.numbers, 2)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    let (write, window) = bench.open_window(10).await;
    let (mut load, pass) = gate();
    let read = begin_read(&bench.numbers, 3, gives_after(pass, 30));
    load.begun().await;
    settling.call().await.send(Ok(())).unwrap();
    all_idle().await;
    assert_eq!(bench.stats().unknown_windows, 0);
    window.open();
    load.open();
    write.await.unwrap();
    value_of(read).await;
}

#[tokio::test]
async fn settling_by_hand_waits_for_the_writes_begun_before_it_and_asks_the_store() {
    let (bench, mut settling) = unsettled();
    let (write, window) = bench.open_window(20).await;
    let manager = bench.manager.clone();
    let mut settled = async move { manager.settle().await }.boxed();
    assert!((&mut settled).now_or_never().is_none());
    // One that begins later is not waited for.
    let (mut later, pass) = gate();
    let second = begin_write(
        bench.manager.guard().key(&bench.numbers, 2),
        commits_after(pass, 30),
        stores_nothing,
    );
    later.begun().await;
    all_idle().await;
    assert!((&mut settled).now_or_never().is_none() && settling.calls() == 0);
    window.open();
    write.await.unwrap();
    assert!((&mut settled).now_or_never().is_none());
    settling
        .call()
        .await
        .send(Err("no connection".to_owned()))
        .unwrap();
    assert_eq!(settled.await, Err("no connection".to_owned()));
    // The next call waits for it.
    let mut settled = bench.manager.settle().boxed();
    all_idle().await;
    assert!((&mut settled).now_or_never().is_none() && settling.calls() == 1);
    later.open();
    second.await.unwrap();
    assert!((&mut settled).now_or_never().is_none());
    settling.call().await.send(Ok(())).unwrap();
    assert_eq!(settled.await, Ok(()));
}

#[tokio::test]
async fn writes_go_on_after_settling_by_hand() {
    let bench = bench();
    for value in [10, 20] {
        assert_eq!(bench.manager.settle().await, Ok(()));
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(commits(value), stores(&bench.numbers, 1))
            .await
            .unwrap();
        assert_eq!(bench.numbers.get(&1), Some(value));
    }
}
