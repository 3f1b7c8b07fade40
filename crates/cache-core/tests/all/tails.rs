//! The ends of logs: writes append to them, and no copy is served below its floor.

use std::{convert::Infallible, sync::Arc};

use cache_core::{
    Fold, LoadError, Policy, Source, TailRead, TailRegion, Unknown, WriteError, Written,
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use crate::support::{Fixture, PATIENCE, TTL, fixture, fixture_of};

/// The sequence numbers of the entries in a copy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seqs(Vec<u64>);

impl Seqs {
    pub(crate) fn last(&self) -> Option<u64> {
        self.0.last().copied()
    }
}

impl Fold for Seqs {
    type Entry = u64;

    fn apply(&mut self, seq: u64, entry: &u64) {
        assert_eq!(seq, *entry);
        self.0.push(seq);
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }
}

pub(crate) struct Setup {
    pub(crate) cache: Fixture,
    pub(crate) logs: TailRegion<u64, Seqs>,
}

pub(crate) fn setup() -> Setup {
    setup_of(fixture())
}

pub(crate) fn setup_of(cache: Fixture) -> Setup {
    let logs = cache
        .manager
        .tail_region("logs", Policy::new(TTL, 1_000_000), 100);
    Setup { cache, logs }
}

/// Returns the entry at a sequence number, as a guard takes it from the result of its write.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that a guard calls"
)]
fn entry(seq: &u64) -> [(u64, u64); 1] {
    [(*seq, *seq)]
}

impl Setup {
    pub(crate) async fn append(&self, key: u64, seq: u64) {
        let write = async move { Written::<_, Infallible>::Committed(seq) };
        let guard = self.cache.manager.guard();
        guard
            .append(&self.logs, key, entry)
            .run(write)
            .await
            .unwrap();
    }

    pub(crate) async fn fill(&self, key: u64, seqs: &[u64]) -> TailRead<Vec<u64>> {
        let head = seqs.last().copied().unwrap_or(0);
        let seqs = Seqs(seqs.to_vec());
        let load = move || async move { Ok::<_, Infallible>(Some((head, seqs))) };
        self.logs
            .get_or_fill(key, load, |seqs| Some(seqs.0.clone()))
            .await
            .unwrap()
    }

    /// Returns a fill of log 7 that has begun, and a sender of the entries that it is to read.
    pub(crate) fn held_fill(
        &self,
    ) -> (BoxFuture<'_, TailRead<Vec<u64>>>, oneshot::Sender<Vec<u64>>) {
        let (release, released) = oneshot::channel::<Vec<u64>>();
        let load = move || async move {
            let seqs = released.await.unwrap();
            Ok::<_, Infallible>(Some((*seqs.last().unwrap(), Seqs(seqs))))
        };
        let mut fill = self
            .logs
            .get_or_fill(7, load, |seqs| Some(seqs.0.clone()))
            .map(Result::unwrap)
            .boxed();
        assert!((&mut fill).now_or_never().is_none());
        (fill, release)
    }

    pub(crate) fn hit(&self, key: u64) -> Option<Vec<u64>> {
        self.logs.look_up(&key, |seqs| Some(seqs.0.clone()))?.value
    }
}

fn found<T>(read: TailRead<T>) -> T {
    match read {
        TailRead::Found(read) => read.value.unwrap(),
        TailRead::Absent(_) | TailRead::Elsewhere => panic!("not found"),
    }
}

#[tokio::test]
async fn an_append_is_applied_to_the_copy_in_memory() {
    let s = setup();
    s.fill(7, &[1, 2]).await;
    assert_eq!(s.logs.region().stats().weight, 2);
    s.append(7, 3).await;
    assert_eq!(s.hit(7), Some(vec![1, 2, 3]));
    assert_eq!(s.logs.region().stats().loads, 1);
    assert_eq!(
        s.logs.region().stats().weight,
        3,
        "the copy was not weighed anew"
    );
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
                let next = next.clone();
                // Sequence numbers follow the order of the commits, not the order of the appends.
                let write = async move {
                    let seq = {
                        let mut next = next.lock().await;
                        *next += 1;
                        *next
                    };
                    tokio::task::yield_now().await;
                    Written::<u64, Infallible>::Committed(seq)
                };
                let guard = s.cache.manager.guard().append(&s.logs, 7, entry);
                let seq = guard.run(write).await.unwrap();
                let seen = s
                    .logs
                    .look_up(&7, |seqs| seqs.0.last().copied())
                    .map(|read| read.value.unwrap());
                assert!(
                    seen.is_none_or(|seen| seen >= seq),
                    "{seen:?} was served after {seq} was acknowledged"
                );
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert!(s.hit(7).unwrap().into_iter().eq(1..=4_000));
    assert_eq!(s.logs.region().stats().loads, 1, "the log was filled again");
}

#[tokio::test]
async fn entries_committed_during_a_fill_are_in_it() {
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
async fn no_copy_is_served_below_an_entry_that_a_reader_of_the_source_saw() {
    let s = setup();
    s.fill(7, &[1]).await;
    s.logs.saw(&7, 2);
    assert_eq!(s.hit(7), None);
    assert!(matches!(s.fill(7, &[]).await, TailRead::Elsewhere));
    s.append(7, 2).await;
    assert_eq!(s.hit(7), Some(vec![1, 2]));
}

#[tokio::test]
async fn a_fill_is_not_served_below_an_entry_that_a_reader_saw_meanwhile() {
    let s = setup();
    let (fill, release) = s.held_fill();
    s.logs.saw(&7, 2);
    release.send(vec![1]).unwrap();
    assert!(matches!(fill.await, TailRead::Elsewhere));
    assert_eq!(s.hit(7), None);
}

#[tokio::test]
async fn the_fill_that_replaces_an_expired_copy_keeps_its_floor() {
    let s = setup();
    s.fill(7, &[1]).await;
    s.logs.saw(&7, 2);
    s.cache.hand.advance(TTL);
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
        s.cache.hand.advance(TTL);
    }
}

#[tokio::test]
async fn no_copy_is_served_below_a_fill_that_was_returned_but_not_stored() {
    let s = setup();
    let (overtaken, release) = s.held_fill();
    s.logs.region().remove(&7);
    s.fill(7, &[1]).await;
    release.send(vec![1, 2]).unwrap();
    assert_eq!(found(overtaken.await), [1, 2]);
    assert_eq!(s.hit(7), None, "a copy without entry 2 was served");
}

#[tokio::test]
async fn many_logs_are_returned_in_order_and_filled_by_one_load() {
    let s = setup();
    s.fill(7, &[1, 2]).await;
    let load = |keys: Vec<u64>| async move {
        assert_eq!(keys, [8, 9]);
        Ok::<_, Infallible>(vec![(9, 1, Seqs(vec![1]))])
    };
    let reads = s
        .logs
        .get_or_fill_many(&[8, 7, 9], load, |seqs| Some(seqs.0.len()))
        .await
        .unwrap();
    let results = reads.into_iter().map(|read| match read {
        TailRead::Found(read) => (read.value, read.source),
        TailRead::Absent(source) => (None, source),
        TailRead::Elsewhere => panic!("a log was not filled"),
    });
    assert_eq!(
        results.collect::<Vec<_>>(),
        [
            (None, Source::Loaded),
            (Some(2), Source::Hit),
            (Some(1), Source::Loaded)
        ]
    );
    assert_eq!(s.hit(9), Some(vec![1]));
}

#[tokio::test]
async fn a_write_that_appends_to_two_regions_applies_to_each_its_own_entry() {
    let s = setup();
    let others: TailRegion<u64, Seqs> =
        s.cache
            .manager
            .tail_region("others", Policy::new(TTL, 1_000), 100);
    s.fill(7, &[1]).await;
    let load = || async { Ok::<_, Infallible>(Some((4, Seqs(vec![4])))) };
    others.get_or_fill(7, load, |_| Some(())).await.unwrap();
    let write = async { Written::<_, Infallible>::Committed(()) };
    s.cache
        .manager
        .guard()
        .append(&s.logs, 7, |()| [(2, 2)])
        .append(&others, 7, |()| [(5, 5)])
        .run(write)
        .await
        .unwrap();
    assert_eq!(s.hit(7), Some(vec![1, 2]));
    assert_eq!(
        others
            .look_up(&7, |seqs| Some(seqs.0.clone()))
            .unwrap()
            .value,
        Some(vec![4, 5])
    );
}

#[tokio::test]
async fn an_answer_that_the_copy_does_not_hold_is_a_miss_to_be_read_elsewhere() {
    let s = setup();
    s.fill(7, &[1, 2]).await;
    assert!(s.logs.look_up(&7, |_| None::<()>).is_none());
    let load = || async { unreachable!("the copy is in memory") };
    let read = s
        .logs
        .get_or_fill::<(), _, _, Infallible>(7, load, |_| None)
        .await
        .unwrap();
    assert!(matches!(read, TailRead::Elsewhere));
    let stats = s.logs.region().stats();
    assert_eq!(
        (stats.hits, stats.misses),
        (0, 2),
        "the misses of the fill and of this read"
    );
}

#[tokio::test]
async fn reads_bypass_the_copy_after_an_append_of_unknown_outcome_until_it_is_settled() {
    let (gate, opened) = oneshot::channel::<()>();
    let opened = opened.map(|_| ()).shared();
    let settled = Unknown::settled_by(move || opened.clone().map(Ok));
    let s = setup_of(fixture_of(Policy::new(TTL, 100), settled, |builder| {
        builder
    }));
    s.fill(7, &[1]).await;
    let mut listener = s.logs.region().listen(7);
    let guard = s.cache.manager.guard().append(&s.logs, 7, entry);
    let lost = guard
        .run(async { Written::<u64, _>::Unknown("lost") })
        .await;
    assert_eq!(lost, Err(WriteError::Unknown("lost")));
    assert_eq!(
        (s.hit(7), s.logs.region().stats().unknown_windows),
        (None, 1)
    );
    let TailRead::Found(read) = s.fill(7, &[1, 2]).await else {
        panic!("the read did not bypass the cache")
    };
    assert_eq!((read.source, s.hit(7)), (Source::DuringWrite, None));
    assert!(listener.rung().now_or_never().is_none());
    gate.send(()).unwrap();
    // Settling notifies the listener.
    listener.rung().await;
    assert_eq!(s.logs.region().stats().open_windows, 0);
    assert_eq!(found(s.fill(7, &[1, 2]).await), [1, 2]);
    assert_eq!(s.hit(7), Some(vec![1, 2]));
}

#[tokio::test]
async fn an_append_that_was_not_applied_leaves_the_copy_unchanged() {
    let s = setup();
    s.fill(7, &[1]).await;
    let refused = s
        .cache
        .manager
        .guard()
        .append(&s.logs, 7, entry)
        .run(async { Written::<u64, _>::NotApplied("no") })
        .await;
    assert_eq!(
        (refused, s.hit(7)),
        (Err(WriteError::NotApplied("no")), Some(vec![1]))
    );
}

#[tokio::test]
async fn an_append_whose_entries_cannot_be_named_removes_the_copy() {
    let s = setup();
    s.fill(7, &[1]).await;
    let write = async { Written::<_, Infallible>::Committed(2) };
    let written = s
        .cache
        .manager
        .guard()
        .append(&s.logs, 7, |_: &u64| -> [(u64, u64); 0] {
            panic!("planted")
        })
        .run(write)
        .await;
    assert_eq!((written, s.hit(7)), (Ok(2), None));
    assert_eq!(s.logs.region().stats().open_windows, 0);
}

#[tokio::test]
async fn a_listener_that_reads_after_listening_is_notified_and_finds_the_append() {
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
        "the write of another key notified the listener"
    );
    s.append(7, 1).await;
    assert_eq!(listener.rung().now_or_never(), Some(()));
    assert_eq!(s.hit(7), Some(vec![1]));
}

#[tokio::test]
async fn a_guard_over_the_key_removes_the_copy_and_notifies_listeners() {
    let s = setup();
    s.fill(7, &[1]).await;
    let mut listener = s.logs.region().listen(7);
    let clear = async { Written::<_, Infallible>::Committed(()) };
    s.cache
        .manager
        .guard()
        .key(s.logs.region(), 7)
        .run(clear)
        .await
        .unwrap();
    assert_eq!((listener.rung().now_or_never(), s.hit(7)), (Some(()), None));
}

#[tokio::test]
async fn a_fill_after_a_miss_serves_what_a_read_would_serve() {
    let s = setup();
    let fill = |seqs: Vec<u64>| {
        let load = move || async move { Ok::<_, Infallible>(Some((2, Seqs(seqs)))) };
        s.logs.fill_after_miss(7, load, |seqs| Some(seqs.0.clone()))
    };
    assert_eq!(found(fill(vec![1, 2]).await.unwrap()), [1, 2]);
    assert_eq!(found(fill(vec![]).await.unwrap()), [1, 2], "from memory");
    let stats = s.logs.region().stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (1, 1, 1));
    let load = || async { unreachable!("the copy is in memory") };
    let read = s
        .logs
        .fill_after_miss::<(), _, _, Infallible>(7, load, |_| None)
        .await
        .unwrap();
    assert!(matches!(read, TailRead::Elsewhere));
    s.cache.manager.set_all_enabled(false);
    assert_eq!(fill(vec![1, 2]).await.unwrap(), TailRead::Elsewhere);
}

#[tokio::test]
async fn a_switched_off_log_counts_bypasses_only() {
    let s = setup();
    s.fill(7, &[1]).await;
    assert_eq!(s.logs.region().stats().bypasses, 0);
    s.cache.manager.set_enabled("logs", false);
    assert_eq!(s.fill(7, &[1]).await, TailRead::Elsewhere);
    let stats = s.logs.region().stats();
    assert_eq!((stats.bypasses, stats.total_requests()), (1, 1));
}

#[tokio::test]
async fn a_fill_that_reads_its_own_log_gets_an_error_at_once() {
    let s = setup();
    let logs = s.logs.clone();
    let fill = move || async move {
        let inner = || async { Ok::<_, Infallible>(Some((1, Seqs(vec![1])))) };
        let found = logs
            .get_or_fill(7, inner, |seqs| Some(seqs.0.clone()))
            .await;
        found.map(|_| None)
    };
    let read = s.logs.get_or_fill(7, fill, |seqs| Some(seqs.0.clone()));
    let read = tokio::time::timeout(PATIENCE, read).await;
    let error = read.expect("the fill waits for itself").unwrap_err();
    assert_eq!(
        error.to_string(),
        LoadError::<Infallible>::Nested.to_string()
    );
}
