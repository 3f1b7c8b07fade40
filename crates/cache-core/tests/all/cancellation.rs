//! Cancellation: dropped callers and dropped tasks lose nothing, and no reader hangs.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{
    Clock, LoadError, Manager, Policy, Runtime, Source, Unknown, WriteError, Written,
};
use futures_util::FutureExt;

use crate::support::*;

#[tokio::test]
async fn a_load_goes_on_when_its_leader_is_dropped() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let leader = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    let follower = begin_read(&cache.numbers, 1, never_called());
    gate.begun().await;
    drop(leader);
    gate.open();
    assert_eq!(value_and_source(follower).await, (Some(10), Source::Joined));
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_load_goes_on_when_its_leader_is_dropped_before_it_has_begun() {
    let cache = fixture();
    let leader = begin_read(&cache.numbers, 1, returns(10));
    drop(leader);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(10), Source::Joined)
    );
}

#[tokio::test]
async fn a_load_goes_on_when_its_leader_is_never_polled_again() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let leader = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    let follower = begin_read(&cache.numbers, 1, never_called());
    gate.begun().await;
    gate.open();
    assert_eq!(value_of(follower).await, Some(10));
    assert_eq!(cache.numbers.get(&1), Some(10));
    assert_eq!(
        leader.now_or_never().unwrap().unwrap().value,
        Some(10),
        "the result waits for the reader"
    );
}

#[tokio::test]
async fn a_load_goes_on_when_every_reader_is_dropped() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let readers = [
        begin_read(&cache.numbers, 1, returns_after(pass, 10)),
        begin_read(&cache.numbers, 1, never_called()),
    ];
    gate.begun().await;
    drop(readers);
    gate.open();
    run_tasks().await;
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_bypassing_load_goes_on_when_its_leader_is_dropped() {
    let cache = fixture();
    let (write, window) = cache.open_window(20).await;
    let (mut running, pass) = gate();
    let first = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    running.begun().await;
    let second = begin_read(&cache.numbers, 1, returns(11));
    let third = begin_read(&cache.numbers, 1, never_called());
    drop((first, second));
    running.open();
    assert_eq!(
        value_and_source(third).await,
        (Some(11), Source::DuringWrite)
    );
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_reader_that_is_never_polled_starts_no_load() {
    let cache = fixture();
    drop(cache.numbers.get_or_load(1, never_called()));
    run_tasks().await;
    assert_eq!(cache.stats().total_requests(), 0);
}

/// Runs a write with an await before its effect and one after it, and drops its caller after
/// `polls` rounds. Returns `true` if the write was applied.
async fn dropped_after(polls: usize) -> (Fixture, bool) {
    let cache = fixture_with(Policy::new(TTL, 10), |builder| builder.permits(1, 1));
    cache.numbers.insert(1, 10);
    let (other, window) = {
        let (mut window, pass) = gate();
        let other = begin_write(
            cache.manager.guard().key(&cache.numbers, 2),
            commits_after(pass, 0),
        );
        window.begun().await;
        (other, window)
    };
    let row = Row::holding(10);
    let written = row.clone();
    let write = async move {
        tokio::task::yield_now().await;
        written.set(20);
        tokio::task::yield_now().await;
        Written::<_, Infallible>::Committed(20)
    };
    let mut caller = Box::pin(
        cache
            .manager
            .guard()
            .key_storing(&cache.numbers, 1, |row| Some(*row))
            .run(write),
    );
    // No permit is free during the first polls.
    for _ in 0..polls.min(2) {
        assert!((&mut caller).now_or_never().is_none());
    }
    window.open();
    other.await.unwrap();
    for _ in 2..polls {
        if (&mut caller).now_or_never().is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(caller);
    run_tasks().await;
    let mut seen = 0;
    if cache.numbers.get(&1) != Some(10) {
        seen = value_of(cache.numbers.get_or_load(1, row.read()))
            .await
            .unwrap();
    }
    let applied = value_of(cache.numbers.bypass(1, row.read())).await == Some(20);
    if applied {
        assert_eq!(seen, 20, "an old value after {polls} polls");
        assert_eq!(cache.numbers.get(&1), Some(20));
    } else {
        assert_eq!(
            cache.numbers.get(&1),
            Some(10),
            "the value was invalidated without a write"
        );
    }
    assert_eq!(
        (cache.stats().open_windows, cache.stats().unknown_windows),
        (0, 0)
    );
    cache.write(1, 30).await;
    assert_eq!(
        cache.numbers.get(&1),
        Some(30),
        "the permit was not returned"
    );
    (cache, applied)
}

#[tokio::test]
async fn a_write_whose_caller_is_dropped_completes_or_never_begins() {
    let mut outcomes = Vec::new();
    for polls in 0..12 {
        outcomes.push(
            tokio::time::timeout(PATIENCE, dropped_after(polls))
                .await
                .expect("the permit was not returned")
                .1,
        );
    }
    assert!(
        !outcomes[0] && !outcomes[1] && !outcomes[2],
        "a write began without a permit"
    );
    assert!(
        outcomes[3..].iter().all(|applied| *applied),
        "a write with a permit did not complete: {outcomes:?}"
    );
}

#[tokio::test]
async fn a_write_whose_caller_is_dropped_still_stores_and_closes() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    let (write, window) = cache.open_window(20).await;
    drop(write);
    assert_eq!(
        (cache.numbers.get(&1), cache.stats().open_windows),
        (None, 1)
    );
    window.open();
    run_tasks().await;
    assert_eq!(
        (cache.numbers.get(&1), cache.stats().open_windows),
        (Some(20), 0)
    );
}

#[tokio::test]
async fn a_write_of_unknown_outcome_whose_caller_was_dropped_is_settled() {
    let settled = Arc::new(AtomicUsize::new(0));
    let counted = settled.clone();
    let unknown = Unknown::settled_by(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(()))
    });
    let cache = fixture_of(Policy::new(TTL, 10), unknown, |builder| builder);
    let (mut gate, pass) = gate();
    let write = async move {
        pass.wait().await;
        Written::<u64, _>::Unknown(Down)
    };
    let caller = begin_write(cache.manager.guard().key(&cache.numbers, 1), write);
    gate.begun().await;
    drop(caller);
    gate.open();
    run_tasks().await;
    assert_eq!(
        (settled.load(Ordering::SeqCst), cache.stats().open_windows),
        (1, 0)
    );
}

#[tokio::test]
async fn bypassing_reads_and_cleanups_may_be_dropped() {
    let cache = fixture_with(Policy::new(TTL, 10_000), |builder| builder);
    let (_gate, pass) = gate();
    let numbers = cache.numbers.clone();
    drop(begin(async move {
        numbers.bypass(1, returns_after(pass, 10)).await
    }));
    (0..5_000).for_each(|key| assert!(cache.numbers.insert(key, key)));
    cache.hand.advance(TTL);
    let mut cleanup = Box::pin(cache.manager.cleanup());
    assert!(
        (&mut cleanup).now_or_never().is_none(),
        "the cleanup did not yield"
    );
    drop(cleanup);
    cache.manager.cleanup().await;
    assert_eq!(cache.stats().size, 0);
}

/// Returns a manager that settles at once, and a switch that lets its executor drop new tasks.
fn dropping() -> (Manager, Numbers, Arc<AtomicBool>) {
    testkit::events::install(tracing::Level::TRACE);
    let switch = Arc::new(AtomicBool::new(false));
    let handle = tokio::runtime::Handle::current();
    let dropping = switch.clone();
    let runtime = Runtime::new(Clock::manual().0, move |task| {
        if !dropping.load(Ordering::SeqCst) {
            drop(handle.spawn(task));
        }
    });
    let settled = Unknown::settled_by(|| std::future::ready(Ok(())));
    let manager = Manager::new(runtime, settled);
    let numbers = manager.region("numbers", Policy::new(TTL, 10));
    (manager, numbers, switch)
}

async fn given_up(numbers: &Numbers) {
    let read = tokio::time::timeout(Duration::from_secs(2), numbers.get_or_load(1, returns(10)))
        .await
        .expect("the read ends");
    assert!(matches!(read, Err(LoadError::GivenUp)));
}

#[tokio::test]
async fn a_load_whose_task_is_dropped_is_given_up_and_the_next_read_loads() {
    let (_manager, numbers, switch) = dropping();
    switch.store(true, Ordering::SeqCst);
    given_up(&numbers).await;
    switch.store(false, Ordering::SeqCst);
    assert_eq!(
        value_and_source(numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_bypassing_load_whose_task_is_dropped_is_given_up_and_the_next_read_loads() {
    let (manager, numbers, switch) = dropping();
    let (mut window, pass) = gate();
    let write = begin_write(manager.guard().key(&numbers, 1), commits_after(pass, 20));
    window.begun().await;
    switch.store(true, Ordering::SeqCst);
    given_up(&numbers).await;
    switch.store(false, Ordering::SeqCst);
    assert_eq!(
        value_and_source(numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_write_whose_task_is_dropped_before_it_begins_is_given_up_without_a_window() {
    let (manager, numbers, switch) = dropping();
    numbers.insert(1, 10);
    switch.store(true, Ordering::SeqCst);
    let answer = manager
        .guard()
        .key_storing(&numbers, 1, |row| Some(*row))
        .run(commits(20))
        .await;
    assert_eq!(answer, Err(WriteError::GivenUp));
    assert_eq!(
        (numbers.get(&1), numbers.stats().open_windows),
        (Some(10), 0)
    );
}

#[tokio::test]
async fn the_next_unknown_write_settles_again_after_the_settling_task_was_dropped() {
    let (manager, numbers, switch) = dropping();
    let (mut gate, pass) = gate();
    let write = async move {
        pass.wait().await;
        Written::<u64, _>::Unknown(Down)
    };
    let first = begin_write(manager.guard().key(&numbers, 1), write);
    gate.begun().await;
    switch.store(true, Ordering::SeqCst);
    gate.open();
    first.await.unwrap_err();
    switch.store(false, Ordering::SeqCst);
    assert_eq!(numbers.stats().unknown_windows, 1);
    manager
        .guard()
        .key(&numbers, 2)
        .run(unknown_outcome())
        .await
        .unwrap_err();
    run_tasks().await;
    assert_eq!(numbers.stats().unknown_windows, 0);
}

#[test]
fn readers_and_writers_end_when_the_runtime_of_the_tasks_is_gone() {
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let Fixture {
        manager, numbers, ..
    } = {
        let _entered = tasks.enter();
        fixture()
    };
    let callers = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    callers.block_on(async {
        let ((mut load, load_pass), (mut write, write_pass)) = (gate(), gate());
        let read = begin_read(&numbers, 1, returns_after(load_pass, 10));
        let writing = begin_write(
            manager.guard().key(&numbers, 2),
            commits_after(write_pass, 20),
        );
        load.begun().await;
        write.begun().await;
        let (mut bypass, bypass_pass) = gate();
        let late = begin_read(&numbers, 2, returns_after(bypass_pass, 10));
        bypass.begun().await;
        tasks.shutdown_background();
        let ended = async { (read.await, late.await, writing.await) };
        let (read, late, writing) = tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("all end");
        assert!(matches!(
            (read, late),
            (Err(LoadError::GivenUp), Err(LoadError::GivenUp))
        ));
        assert_eq!(writing, Err(WriteError::GivenUp));
        assert_eq!(numbers.stats().unknown_windows, 1);
    });
}
