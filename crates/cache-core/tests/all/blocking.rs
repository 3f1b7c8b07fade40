//! The cache without an executor: reads and writes on the caller's thread.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cache_core::{
    LoadError, Manager, Policy, Region, Runtime, Source, Unknown, WriteError, Written,
};

use crate::support::{Down, PATIENCE, TTL};

fn manager() -> (Manager, Region<u64, u64>) {
    let manager = Manager::new(Runtime::threads(), Unknown::Never);
    let numbers = manager.region("numbers", Policy::new(TTL, 100));
    (manager, numbers)
}

#[test]
fn threads_that_miss_a_key_share_one_load() {
    let (_, numbers) = manager();
    let (loads, together) = (AtomicUsize::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                together.wait();
                let read = numbers.get_or_load_blocking(1, || {
                    loads.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Down>(Some(10))
                });
                assert_eq!(read.unwrap().value, Some(10));
            });
        }
    });
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(numbers.get(&1), Some(10));
}

#[test]
fn failures_and_panics_of_a_load_are_errors() {
    let (_, numbers) = manager();
    let error = numbers.get_or_load_blocking(1, || Err(Down));
    assert_eq!(error.unwrap_err().failed(), Some(&Down));
    let error = numbers.get_or_load_blocking::<Down>(1, || panic!("planted"));
    assert!(matches!(error, Err(LoadError::Panicked)));
    let read = numbers.get_or_load_blocking(1, || Ok::<_, Down>(Some(10)));
    assert_eq!(read.unwrap().source, Source::Loaded);
    assert_eq!(numbers.stats().load_failures, 2);
}

#[test]
fn a_load_that_reads_its_own_key_is_an_error_and_may_read_others() {
    let (_, numbers) = manager();
    let read = numbers.get_or_load_blocking(1, || {
        let own = numbers.get_or_load_blocking(1, || Ok::<_, Down>(Some(1)));
        assert!(matches!(own, Err(LoadError::Nested)));
        let other = numbers.get_or_load_blocking(2, || Ok::<_, Down>(Some(20)));
        Ok::<_, Down>(other.unwrap().value)
    });
    assert_eq!(read.unwrap().value, Some(20));
}

/// Reads key 1 by a loader that reads key 1 by itself. Returns how often it ran.
fn own_key_again(numbers: &Region<u64, u64>) -> usize {
    let mut runs = 0;
    let read = numbers.get_or_load_blocking(1, || {
        runs += 1 + own_key_again_within(numbers);
        Ok::<_, Down>(Some(10))
    });
    assert_eq!(read.unwrap().value, Some(10));
    runs
}

fn own_key_again_within(numbers: &Region<u64, u64>) -> usize {
    let mut runs = 0;
    let own = numbers.get_or_load_blocking(1, || {
        runs += 1;
        Ok::<_, Down>(Some(1))
    });
    assert!(matches!(own, Err(LoadError::Nested)));
    runs
}

#[test]
fn a_load_that_reads_its_own_key_runs_once_in_a_window_and_in_a_region_that_is_switched_off() {
    let (manager, numbers) = manager();
    let guard = manager.guard().key(&numbers, 1);
    let runs = guard.run_blocking(|| Written::<_, Down>::Committed(own_key_again(&numbers)));
    assert_eq!(runs, Ok(1));
    manager.set_enabled("numbers", false);
    assert_eq!(own_key_again(&numbers), 1);
}

#[test]
fn a_load_is_not_stored_if_a_write_overlapped_it() {
    let (manager, numbers) = manager();
    let read = numbers.get_or_load_blocking(1, || {
        let write = || Written::<_, Down>::Committed(20);
        manager
            .guard()
            .key(&numbers, 1)
            .run_blocking(write)
            .unwrap();
        Ok::<_, Down>(Some(10))
    });
    assert_eq!(read.unwrap().value, Some(10));
    assert_eq!(numbers.get(&1), None);
}

#[test]
fn a_write_stores_its_row_and_reads_within_it_bypass_the_cache() {
    let (manager, numbers) = manager();
    numbers.insert(1, 10);
    let guard = manager.guard().key_storing(&numbers, 1, |row| Some(*row));
    let written = guard.run_blocking(|| {
        let read = numbers.get_or_load_blocking(1, || Ok::<_, Down>(Some(10)));
        assert_eq!(read.unwrap().source, Source::DuringWrite);
        Written::<_, Down>::Committed(20)
    });
    assert_eq!((written, numbers.get(&1)), (Ok(20), Some(20)));
}

#[test]
fn a_write_that_panics_is_of_unknown_outcome_and_is_settled() {
    let unknown = Unknown::settled_by(|| async { Ok(()) });
    let manager = Manager::new(Runtime::threads(), unknown);
    let numbers = manager.region("numbers", Policy::new(TTL, 100));
    let guard = manager.guard::<u64>().key(&numbers, 1);
    let written = guard.run_blocking::<Down>(|| panic!("planted"));
    assert_eq!(written, Err(WriteError::Panicked));
    let began = std::time::Instant::now();
    while numbers.stats().open_windows > 0 {
        assert!(began.elapsed() < PATIENCE, "the write is not settled");
        thread::yield_now();
    }
    assert!(numbers.insert(1, 10));
}

#[test]
fn a_region_that_is_switched_off_is_bypassed() {
    let (manager, numbers) = manager();
    manager.set_enabled("numbers", false);
    let read = numbers.get_or_load_blocking(1, || Ok::<_, Down>(Some(10)));
    assert_eq!(read.unwrap().source, Source::Bypass);
    assert_eq!((numbers.len(), numbers.stats().bypasses), (0, 1));
}

#[test]
fn asynchronous_reads_run_on_any_executor_and_end_by_their_timeout() {
    let builder = Manager::builder(Runtime::threads(), Unknown::Never);
    let manager = builder.load_timeout(Duration::from_millis(10)).build();
    let numbers = manager.region::<u64, u64>("numbers", Policy::new(TTL, 100));
    let read =
        futures_executor::block_on(numbers.get_or_load(1, || async { Ok::<_, Down>(Some(10)) }));
    assert_eq!(read.unwrap().value, Some(10));
    let forever = || std::future::pending::<Result<Option<u64>, Down>>();
    let read = futures_executor::block_on(numbers.get_or_load(2, forever));
    assert!(matches!(read, Err(LoadError::TimedOut)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleanup_in_the_background_ends_with_its_manager() {
    let (clock, hand) = cache_core::Clock::manual();
    let manager = Manager::new(Runtime::tokio_with(clock), Unknown::Never);
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = gone.clone();
    let numbers: Region<u64, u64> = manager
        .region_builder("numbers", Policy::new(Duration::from_secs(1), 100))
        .on_removal(move |_, _, _| {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .build();
    manager.spawn_cleanup(TTL);
    numbers.insert(1, 10);
    wait_until(|| hand.sleepers() == 1).await;
    hand.advance(TTL);
    wait_until(|| gone.load(Ordering::SeqCst) == 1).await;
    wait_until(|| hand.sleepers() == 1).await;
    drop(manager);
    hand.advance(TTL);
    wait_until(|| hand.sleepers() == 0).await;
}

async fn wait_until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

#[test]
fn a_write_within_a_write_of_its_thread_needs_no_permit_of_its_own() {
    // More than one, because each manager has a mark of its own.
    let managers = [(); 4].map(|()| {
        Manager::builder(Runtime::threads(), Unknown::Never)
            .permits(1, 1)
            .write_timeout(Duration::from_secs(5))
            .build()
    });
    for manager in managers {
        let inner = || {
            Written::<_, Down>::Committed(
                manager
                    .guard()
                    .run_blocking(|| Written::<_, Down>::Committed(7)),
            )
        };
        assert_eq!(manager.guard().run_blocking(inner), Ok(Ok(7)));
    }
}
