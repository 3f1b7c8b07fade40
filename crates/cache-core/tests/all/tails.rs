//! The ends of logs: appended to on write, never served below what was acknowledged or seen.

use std::{convert::Infallible, sync::Arc};

use cache_core::{Policy, SettleFn, Source, TailRead, TailRegion, WriteError, Written, log::Fold};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use crate::support::{Bench, TTL, bench, bench_with};

/// The places of a log, from the first that is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Places(Vec<u64>);

impl Fold for Places {
    type Entry = u64;

    fn apply(&mut self, place: u64, entry: &u64) {
        assert_eq!(place, *entry);
        self.0.push(place);
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }
}

pub(crate) struct Setup {
    bench: Bench,
    pub(crate) logs: TailRegion<u64, Places>,
}

fn setup() -> Setup {
    setup_of(bench())
}

pub(crate) fn setup_of(bench: Bench) -> Setup {
    let logs = bench
        .manager
        .tail_region("logs", Policy::new(TTL, 1_000_000), 100);
    Setup { bench, logs }
}

impl Setup {
    pub(crate) async fn append(&self, key: u64, place: u64) {
        let logs = self.logs.clone();
        let write = async move { Written::<_, Infallible>::Committed(place) };
        let guard = self.bench.manager.guard().append(&self.logs, key);
        guard
            .run(write, move |place, stores| {
                stores.append(&logs, *place, *place);
            })
            .await
            .unwrap();
    }

    pub(crate) async fn fill(&self, key: u64, places: &[u64]) -> TailRead<Vec<u64>> {
        let (head, places) = (places.last().copied().unwrap_or(0), Places(places.to_vec()));
        let load = move || async move { Ok::<_, Infallible>(Some((head, places))) };
        self.logs
            .get_or_fill(key, load, |places| Some(places.0.clone()))
            .await
            .unwrap()
    }

    /// A fill of log 7 that has begun and reads what it is released with.
    pub(crate) fn held_fill(
        &self,
    ) -> (BoxFuture<'_, TailRead<Vec<u64>>>, oneshot::Sender<Vec<u64>>) {
        let (release, released) = oneshot::channel::<Vec<u64>>();
        let load = move || async move {
            let places = released.await.unwrap();
            Ok::<_, Infallible>(Some((*places.last().unwrap(), Places(places))))
        };
        let mut fill = self
            .logs
            .get_or_fill(7, load, |places| Some(places.0.clone()))
            .map(Result::unwrap)
            .boxed();
        assert!((&mut fill).now_or_never().is_none());
        (fill, release)
    }

    pub(crate) fn hit(&self, key: u64) -> Option<Vec<u64>> {
        self.logs
            .look_up(&key, |places| Some(places.0.clone()))?
            .value
    }
}

fn found<T>(read: TailRead<T>) -> T {
    match read {
        TailRead::Found(read) => read.value.unwrap(),
        TailRead::Absent(_) | TailRead::Elsewhere => panic!("not found"),
    }
}

#[tokio::test]
async fn an_append_joins_the_copy_in_memory() {
    let s = setup();
    s.fill(7, &[1, 2]).await;
    assert_eq!(s.logs.region().stats().weight, 2);
    s.append(7, 3).await;
    assert_eq!(s.hit(7), Some(vec![1, 2, 3]));
    assert_eq!(s.logs.region().stats().loads, 1);
    assert_eq!(s.logs.region().stats().weight, 3, "it is weighed anew");
}

#[tokio::test]
async fn a_hot_log_stays_in_memory_under_concurrent_writers() {
    let s = Arc::new(setup());
    s.fill(7, &[]).await;
    let next = Arc::new(tokio::sync::Mutex::new(0));
    let writers = (0..8).map(|_| {
        let (s, next) = (s.clone(), next.clone());
        tokio::spawn(async move {
            for _ in 0..500 {
                let (logs, next) = (s.logs.clone(), next.clone());
                // Places are taken in the order of the commits; who committed first may apply last.
                let write = async move {
                    let place = {
                        let mut next = next.lock().await;
                        *next += 1;
                        *next
                    };
                    tokio::task::yield_now().await;
                    Written::<u64, Infallible>::Committed(place)
                };
                let guard = s.bench.manager.guard().append(&s.logs, 7);
                let place = guard
                    .run(write, move |place, stores| {
                        stores.append(&logs, *place, *place);
                    })
                    .await
                    .unwrap();
                let seen = s
                    .logs
                    .look_up(&7, |places| places.0.last().copied())
                    .map(|read| read.value.unwrap());
                assert!(
                    seen.is_none_or(|seen| seen >= place),
                    "{seen:?} was served after {place} was acknowledged"
                );
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert!(s.hit(7).unwrap().into_iter().eq(1..=4_000));
    assert_eq!(s.logs.region().stats().loads, 1, "one fill");
}

#[tokio::test]
async fn what_was_committed_during_a_fill_is_in_it() {
    let s = setup();
    let (fill, release) = s.held_fill();
    s.append(7, 2).await;
    s.append(7, 3).await;
    release.send(vec![1]).unwrap();
    assert_eq!(found(fill.await), [1, 2, 3]);
    assert_eq!(s.hit(7), Some(vec![1, 2, 3]));
}

#[tokio::test]
async fn a_fill_that_misses_an_acknowledged_entry_is_neither_served_nor_stored() {
    let s = setup();
    let (fill, release) = s.held_fill();
    s.append(7, 3).await;
    release.send(vec![1]).unwrap();
    assert!(matches!(fill.await, TailRead::Elsewhere));
    assert_eq!(
        (s.hit(7), s.logs.region().stats().refused_stores),
        (None, 1)
    );
}

#[tokio::test]
async fn nothing_older_is_served_than_what_a_reader_of_the_source_saw() {
    let s = setup();
    s.fill(7, &[1]).await;
    s.logs.saw(&7, 2);
    assert_eq!(s.hit(7), None);
    assert!(matches!(s.fill(7, &[]).await, TailRead::Elsewhere));
    s.append(7, 2).await;
    assert_eq!(s.hit(7), Some(vec![1, 2]));
}

#[tokio::test]
async fn a_fill_is_not_served_below_what_a_reader_saw_while_it_ran() {
    let s = setup();
    let (fill, release) = s.held_fill();
    s.logs.saw(&7, 2);
    release.send(vec![1]).unwrap();
    assert!(matches!(fill.await, TailRead::Elsewhere));
    assert_eq!(s.hit(7), None);
}

#[tokio::test]
async fn what_a_reader_saw_is_known_to_the_fill_that_replaces_an_expired_copy() {
    let s = setup();
    s.fill(7, &[1]).await;
    s.logs.saw(&7, 2);
    s.bench.hand.advance(TTL);
    assert!(matches!(s.fill(7, &[1]).await, TailRead::Elsewhere));
    assert_eq!(s.hit(7), None);
    assert_eq!(found(s.fill(7, &[1, 2]).await), [1, 2]);
}

#[tokio::test]
async fn an_expired_copy_of_an_empty_log_is_filled_again() {
    let s = setup();
    for _ in 0..2 {
        assert_eq!(found(s.fill(7, &[]).await), [0; 0]);
        assert_eq!(s.hit(7), Some(vec![]));
        s.bench.hand.advance(TTL);
    }
}

#[tokio::test]
async fn nothing_older_is_served_than_what_a_fill_that_was_not_stored_gave_its_reader() {
    let s = setup();
    let (overtaken, release) = s.held_fill();
    s.logs.region().remove(&7);
    s.fill(7, &[1]).await;
    release.send(vec![1, 2]).unwrap();
    assert_eq!(found(overtaken.await), [1, 2]);
    assert_eq!(s.hit(7), None, "place 2 was seen");
}

#[tokio::test]
async fn many_logs_are_answered_in_the_order_asked_and_filled_by_one_load() {
    let s = setup();
    s.fill(7, &[1, 2]).await;
    let load = |keys: Vec<u64>| async move {
        assert_eq!(keys, [8, 9]);
        Ok::<_, Infallible>(vec![(9, 1, Places(vec![1]))])
    };
    let reads = s
        .logs
        .get_or_fill_many(&[8, 7, 9], load, |places| Some(places.0.len()))
        .await
        .unwrap();
    let told = reads.into_iter().map(|read| match read {
        TailRead::Found(read) => (read.value, read.source),
        TailRead::Absent(source) => (None, source),
        TailRead::Elsewhere => panic!("each was filled"),
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (None, Source::Loaded),
            (Some(2), Source::Hit),
            (Some(1), Source::Loaded)
        ]
    );
    assert_eq!(s.hit(9), Some(vec![1]));
}

#[tokio::test]
async fn a_write_that_appends_to_two_regions_gives_each_its_own_entry() {
    let s = setup();
    let others: TailRegion<u64, Places> =
        s.bench
            .manager
            .tail_region("others", Policy::new(TTL, 1_000), 100);
    s.fill(7, &[1]).await;
    let load = || async { Ok::<_, Infallible>(Some((4, Places(vec![4])))) };
    others.get_or_fill(7, load, |_| Some(())).await.unwrap();
    let (logs, theirs) = (s.logs.clone(), others.clone());
    let write = async { Written::<_, Infallible>::Committed(()) };
    let store = move |(): &(), stores: &mut cache_core::Stores<'_>| {
        stores.append(&theirs, 5, 5);
        stores.append(&logs, 2, 2);
    };
    s.bench
        .manager
        .guard()
        .append(&s.logs, 7)
        .append(&others, 7)
        .run(write, store)
        .await
        .unwrap();
    assert_eq!(s.hit(7), Some(vec![1, 2]));
    assert_eq!(
        others
            .look_up(&7, |places| Some(places.0.clone()))
            .unwrap()
            .value,
        Some(vec![4, 5])
    );
}

#[tokio::test]
async fn what_the_copy_does_not_hold_is_a_miss_to_be_read_elsewhere() {
    let s = setup();
    s.fill(7, &[1, 2]).await;
    assert!(s.logs.look_up(&7, |_| None::<()>).is_none());
    let load = || async { unreachable!("the copy is there") };
    let read = s
        .logs
        .get_or_fill::<(), _, _, Infallible>(7, load, |_| None)
        .await
        .unwrap();
    assert!(matches!(read, TailRead::Elsewhere));
    let stats = s.logs.region().stats();
    assert_eq!((stats.hits, stats.misses), (0, 2), "the fill and this read");
}

#[tokio::test]
async fn an_append_of_unknown_outcome_is_read_past_the_copy_until_it_is_settled() {
    let (gate, opened) = oneshot::channel::<()>();
    let opened = opened.map(|_| ()).shared();
    let settle: SettleFn = Arc::new(move || opened.clone().map(Ok).boxed());
    let s = setup_of(bench_with(Policy::new(TTL, 100), |builder| {
        builder.settle(settle)
    }));
    s.fill(7, &[1]).await;
    let mut listener = s.logs.region().listen(7);
    let guard = s.bench.manager.guard().append(&s.logs, 7);
    let lost = guard
        .run(async { Written::<u64, _>::Unknown("lost") }, |_, _| {})
        .await;
    assert_eq!(lost, Err(WriteError::Store("lost")));
    assert_eq!(
        (s.hit(7), s.logs.region().stats().unknown_windows),
        (None, 1)
    );
    let TailRead::Found(read) = s.fill(7, &[1, 2]).await else {
        panic!("read past the cache")
    };
    assert_eq!((read.source, s.hit(7)), (Source::DuringWrite, None));
    assert!(listener.rung().now_or_never().is_none());
    gate.send(()).unwrap();
    // Who waits is woken when it is settled.
    listener.rung().await;
    assert_eq!(s.logs.region().stats().open_windows, 0);
    assert_eq!(found(s.fill(7, &[1, 2]).await), [1, 2]);
    assert_eq!(s.hit(7), Some(vec![1, 2]));
}

#[tokio::test]
async fn a_refused_append_leaves_the_copy_as_it_is() {
    let s = setup();
    s.fill(7, &[1]).await;
    let refused = s
        .bench
        .manager
        .guard()
        .append(&s.logs, 7)
        .run(async { Written::<u64, _>::NotApplied("no") }, |_, _| {})
        .await;
    assert_eq!(
        (refused, s.hit(7)),
        (Err(WriteError::Store("no")), Some(vec![1]))
    );
}

#[tokio::test]
async fn an_append_whose_entry_cannot_be_named_drops_the_copy() {
    let s = setup();
    s.fill(7, &[1]).await;
    let write = async { Written::<_, Infallible>::Committed(2) };
    let written = s
        .bench
        .manager
        .guard()
        .append(&s.logs, 7)
        .run(write, |_, _| panic!("no name"))
        .await;
    assert_eq!((written, s.hit(7)), (Ok(2), None));
    assert_eq!(s.logs.region().stats().open_windows, 0);
}

#[tokio::test]
async fn who_listens_before_it_reads_is_woken_by_the_append_and_finds_it() {
    let s = setup();
    s.fill(7, &[]).await;
    assert_eq!(s.logs.region().listeners(&7), 0);
    let mut listener = s.logs.region().listen(7);
    let _another = s.logs.region().listen(7);
    assert_eq!(s.logs.region().listeners(&7), 2);
    assert_eq!(s.hit(7), Some(vec![]));
    assert!(listener.rung().now_or_never().is_none());
    s.append(8, 1).await;
    assert!(
        listener.rung().now_or_never().is_none(),
        "another key's write wakes nobody"
    );
    s.append(7, 1).await;
    assert_eq!(listener.rung().now_or_never(), Some(()));
    assert_eq!(s.hit(7), Some(vec![1]));
}

#[tokio::test]
async fn a_guard_over_the_key_takes_the_copy_out_and_wakes_who_listens() {
    let s = setup();
    s.fill(7, &[1]).await;
    let mut listener = s.logs.region().listen(7);
    let clear = async { Written::<_, Infallible>::Committed(()) };
    s.bench
        .manager
        .guard()
        .key(s.logs.region(), 7)
        .run(clear, |(), _| {})
        .await
        .unwrap();
    assert_eq!((listener.rung().now_or_never(), s.hit(7)), (Some(()), None));
}
