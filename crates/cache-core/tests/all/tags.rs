//! Tags: entries are invalidated by them, by hand and by writes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use cache_core::{Entry, Policy, SettleError, Source, Unknown, Written};
use futures_util::future::BoxFuture;

use crate::support::*;

fn tagged(value: u64) -> Entry<u64> {
    Entry::new(value).tag("odd")
}

type TaggedLoad = BoxFuture<'static, Result<Option<Entry<u64>>, Down>>;

/// Returns a loader of a tagged value, which waits for the gate.
fn tagged_after(pass: Pass, value: u64) -> impl FnOnce() -> TaggedLoad + Send {
    move || {
        Box::pin(async move {
            pass.wait().await;
            Ok(Some(tagged(value)))
        })
    }
}

#[tokio::test]
async fn the_entries_that_carry_a_tag_are_removed_and_no_others() {
    let cache = fixture();
    let others = cache.manager.region("others", Policy::new(TTL, 100));
    assert!(cache.numbers.insert_entry(1, tagged(10).tag("small")));
    assert!(cache.numbers.insert_entry(2, Entry::new(20).tag("even")));
    assert!(others.insert_entry("one", Entry::new("eins").tag("odd")));
    assert_eq!(cache.numbers.remove_tagged("odd"), 1);
    assert_eq!(cache.manager.invalidate_tag("odd"), 1);
    assert_eq!(
        cache.manager.invalidate_tag("small"),
        0,
        "the entry is gone"
    );
    assert_eq!(
        (cache.numbers.get(&1), cache.numbers.get(&2)),
        (None, Some(20))
    );
    assert_eq!(cache.stats().invalidations, 1);
}

#[tokio::test]
async fn an_entry_that_replaces_another_carries_its_own_tags_only() {
    let cache = fixture();
    cache.numbers.insert_entry(1, tagged(10));
    cache.numbers.insert_entry(1, Entry::new(11).tag("prime"));
    assert_eq!(cache.manager.invalidate_tag("odd"), 0);
    assert_eq!(cache.numbers.get(&1), Some(11));
    assert_eq!(cache.manager.invalidate_tag("prime"), 1);
}

#[tokio::test]
async fn a_load_that_began_before_its_tag_was_invalidated_is_not_stored_nor_joined() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let numbers = cache.numbers.clone();
    let load = tagged_after(pass, 10);
    let old = begin(async move { numbers.request(1).load_entry(load).await });
    gate.begun().await;
    assert_eq!(cache.manager.invalidate_tag("odd"), 0);
    let read = value_and_source(cache.numbers.get_or_load(1, returns(11))).await;
    assert_eq!(read, (Some(11), Source::Loaded));
    gate.open();
    assert_eq!(value_of(old).await, Some(10), "its reader came before");
    assert_eq!(cache.numbers.get(&1), Some(11));
}

#[tokio::test]
async fn a_load_whose_tag_was_invalidated_is_not_stored_even_if_nobody_else_loads() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let numbers = cache.numbers.clone();
    let load = tagged_after(pass, 10);
    let old = begin(async move { numbers.request(1).load_entry(load).await });
    gate.begun().await;
    cache.manager.invalidate_tag("odd");
    gate.open();
    value_of(old).await;
    assert_eq!(
        (cache.numbers.get(&1), cache.stats().refused_stores),
        (None, 1)
    );
}

#[tokio::test]
async fn a_load_is_stored_if_another_tag_was_invalidated_meanwhile() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let numbers = cache.numbers.clone();
    let load = tagged_after(pass, 10);
    let read = begin(async move { numbers.request(1).load_entry(load).await });
    gate.begun().await;
    cache.manager.invalidate_tag("even");
    gate.open();
    value_of(read).await;
    assert_eq!(cache.numbers.get(&1), Some(10));
}

#[tokio::test]
async fn while_a_write_over_a_tag_is_open_no_entry_with_the_tag_is_stored() {
    let cache = fixture();
    cache.numbers.insert_entry(1, tagged(10));
    let (mut gate, pass) = gate();
    let guard = cache.manager.guard().tag(&cache.numbers, "odd");
    let write = begin_write(guard, commits_after(pass, 0));
    gate.begun().await;
    assert_eq!(cache.stats().open_windows, 1);
    assert_eq!(cache.numbers.get(&1), None);
    assert!(!cache.numbers.insert_entry(1, tagged(10)));
    let load = || async { Ok::<_, Down>(Some(tagged(30))) };
    let read = cache.numbers.request(3).load_entry(load).await.unwrap();
    assert_eq!(read.source, Source::DuringWrite);
    assert_eq!(cache.numbers.get(&3), None);
    assert!(
        cache.numbers.insert(2, 20),
        "an entry without the tag is stored"
    );
    gate.open();
    write.await.unwrap();
    assert!(cache.numbers.insert_entry(1, tagged(11)));
    assert_eq!(cache.stats().open_windows, 0);
}

#[tokio::test]
async fn a_load_that_began_before_a_write_over_its_tag_ended_is_not_stored_nor_joined() {
    let cache = fixture();
    let (mut write_gate, pass) = gate();
    let guard = cache.manager.guard().tag(&cache.numbers, "odd");
    let write = begin_write(guard, commits_after(pass, 0));
    write_gate.begun().await;
    let (mut load_gate, pass) = gate();
    let numbers = cache.numbers.clone();
    let load = tagged_after(pass, 10);
    let old = begin(async move { numbers.request(1).load_entry(load).await });
    load_gate.begun().await;
    write_gate.open();
    write.await.unwrap();
    let load = || async { Ok::<_, Down>(Some(tagged(11))) };
    let read = cache.numbers.request(1).load_entry(load).await.unwrap();
    assert_eq!((read.value, read.source), (Some(11), Source::Loaded));
    load_gate.open();
    value_of(old).await;
    assert_eq!(cache.numbers.get(&1), Some(11));
}

#[tokio::test]
async fn a_row_whose_tag_was_invalidated_during_its_write_is_not_stored() {
    let cache = fixture();
    let (mut gate, pass) = gate();
    let guard = cache
        .manager
        .guard()
        .key_storing_entry(&cache.numbers, 1, |row| Some(tagged(*row)));
    let write = begin_write(guard, commits_after(pass, 10));
    gate.begun().await;
    cache.manager.invalidate_tag("odd");
    gate.open();
    write.await.unwrap();
    assert_eq!(cache.numbers.get(&1), None);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_keeps_its_tag_until_it_is_settled() {
    let is_back = Arc::new(AtomicBool::new(false));
    let store = is_back.clone();
    let settle = move || {
        let is_back = store.load(Ordering::SeqCst);
        async move {
            if is_back {
                Ok(())
            } else {
                Err(SettleError::failed(Down))
            }
        }
    };
    let policy = Policy::new(TTL, 100);
    let cache = fixture_of(policy, Unknown::settled_by(settle), |builder| builder);
    let guard = cache.manager.guard().tag(&cache.numbers, "odd");
    let lost = async { Written::<u64, _>::Unknown(Down) };
    guard.run(lost).await.unwrap_err();
    assert_eq!(cache.stats().unknown_windows, 1);
    assert!(!cache.numbers.insert_entry(1, tagged(10)));
    is_back.store(true, Ordering::SeqCst);
    cache.manager.settle().await.unwrap();
    assert_eq!(
        (cache.stats().unknown_windows, cache.stats().open_windows),
        (0, 0)
    );
    assert!(cache.numbers.insert_entry(1, tagged(10)));
}

#[tokio::test]
async fn evicted_expired_and_cleared_entries_leave_no_tag_behind() {
    let cache = fixture_with(Policy::new(TTL, 10), |builder| builder);
    for key in 0..100 {
        cache.numbers.insert_entry(key, tagged(key));
    }
    // The fixture checks at its end that each tag in the index belongs to an entry.
    assert!(cache.stats().evicted_by_capacity > 0);
    cache.hand.advance(TTL);
    cache.manager.cleanup().await;
    assert_eq!(cache.manager.invalidate_tag("odd"), 0);
    cache.numbers.insert_entry(1, tagged(1));
    cache.manager.clear();
    assert_eq!(cache.manager.invalidate_tag("odd"), 0);
}

#[tokio::test]
async fn a_write_over_a_tag_counts_the_entries_that_it_removes_and_its_window() {
    let cache = fixture();
    cache.numbers.insert_entry(1, tagged(10));
    cache.numbers.insert_entry(2, tagged(20));
    let (mut gate, pass) = gate();
    let guard = cache.manager.guard().tag(&cache.numbers, "odd");
    let write = begin_write(guard, commits_after(pass, 1));
    gate.begun().await;
    let stats = cache.stats();
    assert_eq!((stats.invalidations, stats.open_windows), (2, 1));
    #[cfg(feature = "internals")]
    assert_eq!(cache.manager.validate(), Ok(()));
    gate.open();
    write.await.unwrap();
    assert_eq!(cache.stats().open_windows, 0);
}
