//! Windows: while a write is open, reads bypass the cache, one load at a time, and nothing is
//! stored.

use cache_core::Source;
use futures_util::FutureExt;

use crate::support::*;

#[tokio::test]
async fn a_reader_within_a_window_bypasses_the_cache() {
    let cache = fixture();
    let (write, gate) = cache.open_window(20).await;
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(2, returns(5))).await,
        (Some(5), Source::Loaded)
    );
    assert_eq!(
        (
            cache.numbers.get(&1),
            cache.stats().size,
            cache.stats().past_loads
        ),
        (None, 1, 2)
    );
    gate.open();
    write.await.unwrap();
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, never_called())).await,
        (Some(20), Source::Hit)
    );
}

#[tokio::test]
async fn readers_within_a_window_share_one_running_and_one_queued_load() {
    let cache = fixture();
    let row = Row::holding(10);
    let (write, window) = cache.open_window(20).await;
    let ((mut running, running_pass), (mut waiting, waiting_pass)) = (gate(), gate());
    let first = begin_read(&cache.numbers, 1, row.read_then(running_pass));
    running.begun().await;
    row.set(11);
    let second = begin_read(&cache.numbers, 1, row.read_then(waiting_pass));
    let others: Vec<_> = (0..50)
        .map(|_| begin_read(&cache.numbers, 1, never_called()))
        .collect();
    run_tasks().await;
    assert!(!waiting.has_begun());
    assert_eq!(row.reads(), 1);
    running.open();
    assert_eq!(
        value_and_source(first).await,
        (Some(10), Source::DuringWrite)
    );
    waiting.begun().await;
    row.set(12);
    let late = begin_read(&cache.numbers, 1, row.read());
    waiting.open();
    for read in std::iter::once(second).chain(others) {
        assert_eq!(
            value_and_source(read).await,
            (Some(11), Source::DuringWrite)
        );
    }
    assert_eq!(
        value_and_source(late).await,
        (Some(12), Source::DuringWrite)
    );
    assert_eq!(
        (row.reads(), cache.stats().past_loads, cache.stats().size),
        (3, 3, 0)
    );
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_bypassing_load_that_outlives_its_window_is_neither_stored_nor_joined() {
    let cache = fixture();
    let ((write, window), (mut load, pass)) = (cache.open_window(20).await, gate());
    let reader = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    load.begun().await;
    window.open();
    write.await.unwrap();
    assert!(cache.numbers.remove(&1));
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(21))).await,
        (Some(21), Source::Loaded)
    );
    load.open();
    assert_eq!(
        value_and_source(reader).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(cache.numbers.get(&1), Some(21));
}

#[tokio::test]
async fn a_reader_after_the_acknowledgement_does_not_join_a_queued_bypassing_load() {
    let cache = fixture();
    let row = Row::holding(10);
    let (write, window) = cache.open_window(20).await;
    let (mut running, pass) = gate();
    let first = begin_read(&cache.numbers, 1, row.read_then(pass));
    running.begun().await;
    let second = begin_read(&cache.numbers, 1, row.read());
    row.set(20);
    window.open();
    write.await.unwrap();
    cache.numbers.remove(&1);
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, row.read())).await,
        (Some(20), Source::Loaded)
    );
    running.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(10), Some(20))
    );
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn a_bypassing_load_that_fails_is_reported_and_the_queue_goes_on() {
    let cache = fixture();
    let (write, window) = cache.open_window(20).await;
    let (mut running, pass) = gate();
    let first = begin_read(&cache.numbers, 1, fails_after(pass));
    running.begun().await;
    let second = begin_read(&cache.numbers, 1, || async {
        panic!("planted") as Result<Option<u64>, Down>
    });
    running.open();
    assert_eq!(first.await.unwrap_err().failed(), Some(&Down));
    assert!(second.await.is_err());
    assert_eq!(
        value_and_source(cache.numbers.get_or_load(1, returns(10))).await,
        (Some(10), Source::DuringWrite)
    );
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_plain_insert_is_refused_while_a_writer_is_open() {
    let cache = fixture();
    let (write, window) = cache.open_window(20).await;
    assert!(!cache.numbers.insert(1, 10));
    assert!(cache.numbers.insert(2, 10));
    assert_eq!((cache.stats().size, cache.stats().refused_stores), (1, 1));
    window.open();
    write.await.unwrap();
    assert_eq!(cache.numbers.get(&1), Some(20));
    assert!(cache.numbers.insert(1, 30));
}

#[tokio::test]
async fn a_bulk_invalidation_during_a_window_prevents_its_store() {
    let invalidations: [fn(&Fixture); 6] = [
        |cache| assert!(!cache.numbers.remove(&1)),
        |cache| assert_eq!(cache.manager.invalidate_key("numbers:1"), 0),
        |cache| assert_eq!(cache.manager.invalidate_prefix("numbers:1"), 0),
        |cache| assert_eq!(cache.manager.invalidate_glob("*:1"), 0),
        |cache| assert_eq!(cache.manager.clear_region("numbers"), Some(0)),
        |cache| assert_eq!(cache.manager.clear(), 0),
    ];
    for invalidate in invalidations {
        let cache = fixture();
        let (write, window) = cache.open_window(20).await;
        invalidate(&cache);
        window.open();
        write.await.unwrap();
        assert_eq!(cache.stats().size, 0);
        let (write, window) = cache.open_window(30).await;
        window.open();
        write.await.unwrap();
        assert_eq!(
            cache.numbers.get(&1),
            Some(30),
            "a later write did not store its row"
        );
    }
}

#[tokio::test]
async fn a_bulk_invalidation_of_other_keys_does_not_prevent_a_windows_store() {
    let cache = fixture();
    let (write, window) = cache.open_window(20).await;
    cache.manager.invalidate_prefix("numbers:2");
    cache.manager.invalidate_glob("letters:*");
    cache.numbers.remove(&3);
    window.open();
    write.await.unwrap();
    assert_eq!(cache.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn a_write_returns_after_its_window_is_closed() {
    let cache = fixture();
    let (mut write, window) = cache.open_window(20).await;
    run_tasks().await;
    assert!((&mut write).now_or_never().is_none());
    window.open();
    assert_eq!(write.await, Ok(20));
    assert_eq!(cache.stats().open_windows, 0);
}

/// A writer counts a row up; readers on other tasks never see it going back, however they read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_row_going_back() {
    let cache = fixture();
    let row = Row::holding(0);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let (numbers, row, done) = (cache.numbers.clone(), row.clone(), done.clone());
            tokio::spawn(async move {
                let mut newest = 0;
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    let read = if reader == 0 && newest % 2 == 0 {
                        numbers.bypass(1, row.read()).await
                    } else {
                        numbers.get_or_load(1, row.read()).await
                    };
                    let seen = read.unwrap().value.unwrap();
                    assert!(seen >= newest, "{seen} after {newest}");
                    newest = seen;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for value in 1..=2_000 {
        let written = row.clone();
        let write = async move {
            tokio::task::yield_now().await;
            written.set(value);
            tokio::task::yield_now().await;
            cache_core::Written::<_, Down>::Committed(value)
        };
        // Every second write stores its row.
        let row_of = |row: &u64| row.is_multiple_of(2).then_some(*row);
        let guard = cache.manager.guard().key_storing(&cache.numbers, 1, row_of);
        guard.run(write).await.unwrap();
        assert_eq!(
            value_of(cache.numbers.get_or_load(1, row.read())).await,
            Some(value)
        );
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}
