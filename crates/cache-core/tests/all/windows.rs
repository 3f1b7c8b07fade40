//! Windows: while a write is open its keys are read past the cache, one load at a time, and nobody stores.

use cache_core::Source;
use futures_util::FutureExt;

use crate::support::*;

#[tokio::test]
async fn a_reader_within_a_window_reads_past_the_cache() {
    let bench = bench();
    let (write, gate) = bench.open_window(20).await;
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::DuringWrite)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(20))).await,
        (Some(20), Source::DuringWrite)
    );
    assert_eq!(
        told(bench.numbers.get_or_load(2, gives(5))).await,
        (Some(5), Source::Loaded)
    );
    assert_eq!(
        (
            bench.numbers.get(&1),
            bench.stats().size,
            bench.stats().past_loads
        ),
        (None, 1, 2)
    );
    gate.open();
    write.await.unwrap();
    assert_eq!(
        told(bench.numbers.get_or_load(1, unused())).await,
        (Some(20), Source::Hit)
    );
}

#[tokio::test]
async fn readers_within_a_window_have_one_load_running_and_share_one_that_waits() {
    let bench = bench();
    let row = Row::holding(10);
    let (write, window) = bench.open_window(20).await;
    let ((mut running, running_pass), (mut waiting, waiting_pass)) = (gate(), gate());
    let first = begin_read(&bench.numbers, 1, row.read_then(running_pass));
    running.begun().await;
    row.set(11);
    let second = begin_read(&bench.numbers, 1, row.read_then(waiting_pass));
    let others: Vec<_> = (0..50)
        .map(|_| begin_read(&bench.numbers, 1, unused()))
        .collect();
    all_idle().await;
    assert!(!waiting.has_begun());
    assert_eq!(row.reads(), 1);
    running.open();
    assert_eq!(told(first).await, (Some(10), Source::DuringWrite));
    waiting.begun().await;
    row.set(12);
    let late = begin_read(&bench.numbers, 1, row.read());
    waiting.open();
    for read in std::iter::once(second).chain(others) {
        assert_eq!(told(read).await, (Some(11), Source::DuringWrite));
    }
    assert_eq!(told(late).await, (Some(12), Source::DuringWrite));
    assert_eq!(
        (row.reads(), bench.stats().past_loads, bench.stats().size),
        (3, 3, 0)
    );
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_load_past_the_cache_that_outlives_its_window_is_neither_stored_nor_joined() {
    let bench = bench();
    let ((write, window), (mut load, pass)) = (bench.open_window(20).await, gate());
    let reader = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    load.begun().await;
    window.open();
    write.await.unwrap();
    assert!(bench.numbers.remove(&1));
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(21))).await,
        (Some(21), Source::Loaded)
    );
    load.open();
    assert_eq!(told(reader).await, (Some(10), Source::DuringWrite));
    assert_eq!(bench.numbers.get(&1), Some(21));
}

#[tokio::test]
async fn a_reader_after_the_acknowledgement_does_not_join_a_load_past_the_cache_that_waits() {
    let bench = bench();
    let row = Row::holding(10);
    let (write, window) = bench.open_window(20).await;
    let (mut running, pass) = gate();
    let first = begin_read(&bench.numbers, 1, row.read_then(pass));
    running.begun().await;
    let second = begin_read(&bench.numbers, 1, row.read());
    row.set(20);
    window.open();
    write.await.unwrap();
    bench.numbers.remove(&1);
    assert_eq!(
        told(bench.numbers.get_or_load(1, row.read())).await,
        (Some(20), Source::Loaded)
    );
    running.open();
    assert_eq!(
        (value_of(first).await, value_of(second).await),
        (Some(10), Some(20))
    );
    assert_eq!(bench.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn a_load_past_the_cache_that_fails_is_reported_and_the_line_goes_on() {
    let bench = bench();
    let (write, window) = bench.open_window(20).await;
    let (mut running, pass) = gate();
    let first = begin_read(&bench.numbers, 1, fails_after(pass));
    running.begun().await;
    let second = begin_read(&bench.numbers, 1, || async {
        panic!("planted") as Result<Option<u64>, Down>
    });
    running.open();
    assert_eq!(first.await.unwrap_err().source_as(), Some(&Down));
    assert!(second.await.is_err());
    assert_eq!(
        told(bench.numbers.get_or_load(1, gives(10))).await,
        (Some(10), Source::DuringWrite)
    );
    window.open();
    write.await.unwrap();
}

#[tokio::test]
async fn a_plain_insert_is_refused_while_a_writer_is_open() {
    let bench = bench();
    let (write, window) = bench.open_window(20).await;
    assert!(!bench.numbers.insert(1, 10));
    assert!(bench.numbers.insert(2, 10));
    assert_eq!((bench.stats().size, bench.stats().refused_stores), (1, 1));
    window.open();
    write.await.unwrap();
    assert_eq!(bench.numbers.get(&1), Some(20));
    assert!(bench.numbers.insert(1, 30));
}

#[tokio::test]
async fn a_bulk_invalidation_during_a_window_prevents_its_store() {
    let invalidations: [fn(&Bench); 6] = [
        |bench| assert!(!bench.numbers.remove(&1)),
        |bench| assert_eq!(bench.manager.invalidate_key("numbers:1"), 0),
        |bench| assert_eq!(bench.manager.invalidate_prefix("numbers:1"), 0),
        |bench| assert_eq!(bench.manager.invalidate_glob("*:1"), 0),
        |bench| assert_eq!(bench.manager.clear_region("numbers"), Some(0)),
        |bench| assert_eq!(bench.manager.clear(), 0),
    ];
    for invalidate in invalidations {
        let bench = bench();
        let (write, window) = bench.open_window(20).await;
        invalidate(&bench);
        window.open();
        write.await.unwrap();
        assert_eq!(bench.stats().size, 0);
        let (write, window) = bench.open_window(30).await;
        window.open();
        write.await.unwrap();
        assert_eq!(
            bench.numbers.get(&1),
            Some(30),
            "a later write is alone again"
        );
    }
}

#[tokio::test]
async fn a_bulk_invalidation_of_other_keys_leaves_a_windows_store_alone() {
    let bench = bench();
    let (write, window) = bench.open_window(20).await;
    bench.manager.invalidate_prefix("numbers:2");
    bench.manager.invalidate_glob("letters:*");
    bench.numbers.remove(&3);
    window.open();
    write.await.unwrap();
    assert_eq!(bench.numbers.get(&1), Some(20));
}

#[tokio::test]
async fn the_answer_comes_after_the_window_is_closed() {
    let bench = bench();
    let (mut write, window) = bench.open_window(20).await;
    all_idle().await;
    assert!((&mut write).now_or_never().is_none());
    window.open();
    assert_eq!(write.await, Ok(20));
    assert_eq!(bench.stats().open_windows, 0);
}

/// Writers count a row up, readers on other tasks see it never going back, however they read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_a_row_going_back() {
    let bench = bench();
    let row = Row::holding(0);
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let (numbers, row, done) = (bench.numbers.clone(), row.clone(), done.clone());
            tokio::spawn(async move {
                let mut newest = 0;
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    let read = if reader == 0 && newest % 2 == 0 {
                        numbers.bypass(row.read()).await
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
        let guard = bench.manager.guard().key(&bench.numbers, 1);
        if value % 2 == 0 {
            guard.run(write, stores(&bench.numbers, 1)).await.unwrap();
        } else {
            guard.run(write, stores_nothing).await.unwrap();
        }
        assert_eq!(
            value_of(bench.numbers.get_or_load(1, row.read())).await,
            Some(value)
        );
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}
