//! Cancellation: callers that go away or are never polled again, and tasks that are dropped, lose nothing and hang nobody.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{
    Clock, LoadError, Manager, Policy, Runtime, SettleFn, Source, WriteError, Written,
};
use futures_util::FutureExt;

use crate::support::*;

#[tokio::test]
async fn a_load_goes_on_when_its_leader_goes_away() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let leader = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    let follower = begin_read(&bench.numbers, 1, unused());
    gate.begun().await;
    drop(leader);
    gate.open();
    assert_eq!(told(follower).await, (Some(10), Source::Joined));
    assert_eq!(bench.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_load_goes_on_when_its_leader_goes_away_before_it_has_begun() {
    let bench = bench();
    let leader = begin_read(&bench.numbers, 1, gives(10));
    drop(leader);
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(10), Source::Joined)
    );
}

#[tokio::test]
async fn a_load_goes_on_when_its_leader_is_never_polled_again() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let leader = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    let follower = begin_read(&bench.numbers, 1, unused());
    gate.begun().await;
    gate.open();
    assert_eq!(value_of(follower).await, Some(10));
    assert_eq!(bench.numbers.get(&1), Some(10));
    assert_eq!(
        leader.now_or_never().unwrap().unwrap().value,
        Some(10),
        "it is answered whenever it asks"
    );
}

#[tokio::test]
async fn a_load_goes_on_when_everybody_goes_away() {
    let bench = bench();
    let (mut gate, pass) = gate();
    let readers = [
        begin_read(&bench.numbers, 1, gives_after(pass, 10)),
        begin_read(&bench.numbers, 1, unused()),
    ];
    gate.begun().await;
    drop(readers);
    gate.open();
    all_idle().await;
    assert_eq!(bench.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn a_load_past_the_cache_goes_on_when_its_leader_goes_away() {
    let bench = bench();
    let (write, window) = bench.open_window(20).await;
    let (mut running, pass) = gate();
    let first = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    running.begun().await;
    let second = begin_read(&bench.numbers, 1, gives(11));
    let third = begin_read(&bench.numbers, 1, unused());
    drop((first, second));
    running.open();
    assert_eq!(told(third).await, (Some(11), Source::DuringWrite));
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_reader_that_is_never_polled_has_no_load() {
    let bench = bench();
    drop(bench.numbers.get_or_load(1, unused()));
    all_idle().await;
    assert_eq!(bench.stats().total_requests(), 0);
}

/// A write with an await before its effect and one after it; its caller goes away after `polls` rounds.
async fn dropped_after(polls: usize) -> (Bench, bool) {
    let bench = bench_with(Policy::new(TTL, 10), |builder| builder.permits(1, 1));
    bench.numbers.insert(1, 10);
    let (other, window) = {
        let (mut window, pass) = gate();
        let other = begin_write(
            bench.manager.guard().key(&bench.numbers, 2),
            commits_after(pass, 0),
            stores_nothing,
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
        bench
            .manager
            .guard()
            .key(&bench.numbers, 1)
            .run(write, stores(&bench.numbers, 1)),
    );
    // The first polls find no permit.
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
    all_idle().await;
    let mut seen = 0;
    if bench.numbers.get(&1) != Some(10) {
        seen = value_of(bench.numbers.get_or_load(1, row.read()))
            .await
            .unwrap();
    }
    let applied = value_of(bench.numbers.bypass(row.read())).await == Some(20);
    if applied {
        assert_eq!(seen, 20, "an old value after {polls} polls");
        assert_eq!(bench.numbers.get(&1), Some(20));
    } else {
        assert_eq!(
            bench.numbers.get(&1),
            Some(10),
            "an invalidation without a write"
        );
    }
    assert_eq!(
        (bench.stats().open_windows, bench.stats().unknown_windows),
        (0, 0)
    );
    bench
        .manager
        .guard()
        .key(&bench.numbers, 1)
        .run(commits(30), stores(&bench.numbers, 1))
        .await
        .unwrap();
    assert_eq!(bench.numbers.get(&1), Some(30), "the permit is free again");
    (bench, applied)
}

#[tokio::test]
async fn a_write_whose_caller_goes_away_completes_or_never_begins() {
    let mut outcomes = Vec::new();
    for polls in 0..12 {
        outcomes.push(
            tokio::time::timeout(PATIENCE, dropped_after(polls))
                .await
                .expect("the permit comes back")
                .1,
        );
    }
    assert!(
        !outcomes[0] && !outcomes[1] && !outcomes[2],
        "without a permit nothing begins"
    );
    assert!(
        outcomes[3..].iter().all(|applied| *applied),
        "with a permit it completes: {outcomes:?}"
    );
}

#[tokio::test]
async fn a_write_whose_caller_goes_away_still_stores_and_closes() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    let (write, window) = bench.open_window(20).await;
    drop(write);
    assert_eq!(
        (bench.numbers.get(&1), bench.stats().open_windows),
        (None, 1)
    );
    window.open();
    all_idle().await;
    assert_eq!(
        (bench.numbers.get(&1), bench.stats().open_windows),
        (Some(20), 0)
    );
}

#[tokio::test]
async fn a_write_of_unknown_outcome_whose_caller_went_away_is_settled() {
    let settled = Arc::new(AtomicUsize::new(0));
    let settle: SettleFn = {
        let settled = settled.clone();
        Arc::new(move || {
            settled.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok(())).boxed()
        })
    };
    let bench = bench_with(Policy::new(TTL, 10), |builder| builder.settle(settle));
    let (mut gate, pass) = gate();
    let write = async move {
        pass.wait().await;
        Written::<u64, _>::Unknown(Down)
    };
    let caller = begin_write(
        bench.manager.guard().key(&bench.numbers, 1),
        write,
        stores_nothing,
    );
    gate.begun().await;
    drop(caller);
    gate.open();
    all_idle().await;
    assert_eq!(
        (settled.load(Ordering::SeqCst), bench.stats().open_windows),
        (1, 0)
    );
}

#[tokio::test]
async fn bypassing_reads_and_cleanups_may_be_dropped() {
    let bench = bench_with(Policy::new(TTL, 10_000), |builder| builder);
    let (_gate, pass) = gate();
    let numbers = bench.numbers.clone();
    drop(begin(
        async move { numbers.bypass(gives_after(pass, 10)).await },
    ));
    (0..5_000).for_each(|key| assert!(bench.numbers.insert(key, key)));
    bench.hand.advance(TTL);
    let mut cleanup = Box::pin(bench.manager.cleanup());
    assert!(
        (&mut cleanup).now_or_never().is_none(),
        "it lets others run"
    );
    drop(cleanup);
    bench.manager.cleanup().await;
    assert_eq!(bench.stats().size, 0);
}

/// A manager whose executor drops tasks unpolled while the switch is set, and settles at once.
fn dropping() -> (Manager, Numbers, Arc<AtomicBool>) {
    crate::events::install();
    let switch = Arc::new(AtomicBool::new(false));
    let handle = tokio::runtime::Handle::current();
    let dropping = switch.clone();
    let runtime = Runtime::new(Clock::manual().0, move |task| {
        if !dropping.load(Ordering::SeqCst) {
            drop(handle.spawn(task));
        }
    });
    let settle: SettleFn = Arc::new(|| std::future::ready(Ok(())).boxed());
    let manager = Manager::builder(runtime).settle(settle).build();
    let numbers = manager.region("numbers", Policy::new(TTL, 10));
    (manager, numbers, switch)
}

async fn given_up(numbers: &Numbers) {
    let read = tokio::time::timeout(Duration::from_secs(2), numbers.get_or_load(1, gives(10)))
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
        told(numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::Loaded)
    );
}

#[tokio::test]
async fn a_load_past_the_cache_whose_task_is_dropped_is_given_up_and_the_next_read_loads() {
    let (manager, numbers, switch) = dropping();
    let (mut window, pass) = gate();
    let write = begin_write(
        manager.guard().key(&numbers, 1),
        commits_after(pass, 20),
        stores_nothing,
    );
    window.begun().await;
    switch.store(true, Ordering::SeqCst);
    given_up(&numbers).await;
    switch.store(false, Ordering::SeqCst);
    assert_eq!(
        told(numbers.get_or_load(1, gives(10))).await,
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
        .key(&numbers, 1)
        .run(commits(20), stores(&numbers, 1))
        .await;
    assert_eq!(answer, Err(WriteError::GivenUp));
    assert_eq!(
        (numbers.get(&1), numbers.stats().open_windows),
        (Some(10), 0)
    );
}

#[tokio::test]
async fn settling_whose_task_is_dropped_is_begun_again_by_the_next_unknown_write() {
    let (manager, numbers, switch) = dropping();
    let (mut gate, pass) = gate();
    let write = async move {
        pass.wait().await;
        Written::<u64, _>::Unknown(Down)
    };
    let first = begin_write(manager.guard().key(&numbers, 1), write, stores_nothing);
    gate.begun().await;
    switch.store(true, Ordering::SeqCst);
    gate.open();
    first.await.unwrap_err();
    switch.store(false, Ordering::SeqCst);
    assert_eq!(numbers.stats().unknown_windows, 1);
    manager
        .guard()
        .key(&numbers, 2)
        .run(is_unknown(), stores_nothing)
        .await
        .unwrap_err();
    all_idle().await;
    assert_eq!(numbers.stats().unknown_windows, 0);
}

#[test]
fn readers_and_writers_end_when_the_runtime_of_the_tasks_is_gone() {
    let tasks = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let Bench {
        manager, numbers, ..
    } = {
        let _entered = tasks.enter();
        bench()
    };
    let callers = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    callers.block_on(async {
        let ((mut load, load_pass), (mut write, write_pass)) = (gate(), gate());
        let read = begin_read(&numbers, 1, gives_after(load_pass, 10));
        let writing = begin_write(
            manager.guard().key(&numbers, 2),
            commits_after(write_pass, 20),
            stores_nothing,
        );
        load.begun().await;
        write.begun().await;
        let (mut past, past_pass) = gate();
        let late = begin_read(&numbers, 2, gives_after(past_pass, 10));
        past.begun().await;
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
