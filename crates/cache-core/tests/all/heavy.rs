//! Heavy values: the policy says what is too heavy, the same on every machine, and no insert
//! reports a refused value as stored.

use std::convert::Infallible;

use cache_core::{Fold, Policy, Region, Source, TailRegion, Written};
use testkit::events::{Event, capture, take};
use tracing::Level;

use crate::support::*;

/// The values are their own weight.
fn weights(cache: &Fixture, policy: Policy) -> Region<u64, u32> {
    let weigher = |_: &u64, weight: &u32| *weight;
    cache
        .manager
        .region_builder("weights", policy)
        .weigher(1, weigher)
        .build()
}

fn heaviest(capacity: u64, max_weight: u64) -> Policy {
    Policy::new(TTL, capacity).max_weight(max_weight)
}

#[tokio::test]
async fn an_insert_says_whether_the_value_is_in_memory() {
    for capacity in [1, 2, 15, 16, 17, 100, 1_000, 64 << 20] {
        for max_weight in [
            1,
            capacity / 16,
            capacity / 3,
            capacity / 2,
            capacity,
            2 * capacity,
        ] {
            let cache = fixture();
            let weights = weights(&cache, heaviest(capacity, max_weight));
            let candidates = [
                1,
                max_weight / 2,
                max_weight,
                max_weight + 1,
                capacity,
                capacity + 1,
            ];
            for (key, weight) in (0..).zip(candidates) {
                let weight = u32::try_from(weight.max(1)).unwrap();
                let before = weights.stats();
                let stored = weights.insert(key, weight);
                let what = format!("{weight} of {max_weight} in {capacity}");
                assert_eq!(weights.get(&key), stored.then_some(weight), "{what}");
                let too_heavy = weights.stats().too_heavy - before.too_heavy;
                assert_eq!(too_heavy, u64::from(!stored), "{what}");
                assert!(!stored || u64::from(weight) <= max_weight.max(1), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_heaviest_value_that_the_policy_allows_is_stored_in_every_shard() {
    let cache = fixture();
    // As many bytes as a cache of pictures has.
    let capacity = 64 << 20;
    for (name, max_weight) in [
        ("fourth", 16 << 20),
        ("half", 32 << 20),
        ("default", 4 << 20),
    ] {
        let weigher = |_: &u64, weight: &u32| *weight;
        let region = cache
            .manager
            .region_builder(name, heaviest(capacity, max_weight))
            .weigher(65_536, weigher)
            .build();
        let weight = u32::try_from(max_weight).unwrap();
        for key in 0..1_000 {
            assert!(region.insert(key, weight), "{name}");
            assert_eq!(region.get(&key), Some(weight), "{name}: key {key}");
        }
        assert!(!region.insert(0, weight + 1), "{name}");
        assert!(region.stats().weight <= capacity);
    }
    assert_eq!(Policy::new(TTL, capacity).max_weight, 4 << 20);
}

#[tokio::test]
async fn a_value_that_takes_almost_the_whole_capacity_may_be_allowed() {
    let cache = fixture();
    let weights = weights(&cache, heaviest(1_000, u64::MAX));
    assert!(weights.insert(1, 970));
    assert!(!weights.insert(2, 971));
    assert_eq!((weights.get(&1), weights.get(&2)), (Some(970), None));
}

#[tokio::test]
async fn a_refused_value_removes_the_older_value_of_its_key_and_evicts_no_other() {
    let cache = fixture();
    let weights = weights(&cache, heaviest(100, 10));
    for key in 0..5 {
        assert!(weights.insert(key, 10));
    }
    assert!(!weights.insert(0, 11));
    let stats = weights.stats();
    assert_eq!(weights.get(&0), None);
    assert_eq!((stats.size, stats.weight, stats.too_heavy), (4, 40, 1));
    assert_eq!((stats.evicted_by_capacity, stats.refused_stores), (0, 0));
}

#[tokio::test]
async fn a_load_that_is_too_heavy_is_returned_to_its_readers_and_not_stored() {
    let cache = fixture();
    let weights = weights(&cache, heaviest(100, 10));
    for _ in 0..2 {
        let load = || async { Ok::<_, Infallible>(Some(11)) };
        let read = weights.get_or_load(1, load).await.unwrap();
        assert_eq!((read.value, read.source), (Some(11), Source::Loaded));
    }
    let stats = weights.stats();
    assert_eq!((stats.too_heavy, stats.loads, stats.size), (2, 2, 0));
}

#[tokio::test]
async fn a_written_row_that_is_too_heavy_is_not_stored_and_neither_is_the_older_one() {
    let cache = fixture();
    let weights = weights(&cache, heaviest(100, 10));
    weights.insert(1, 5);
    let guard = cache.manager.guard();
    let guard = guard.key_storing(&weights, 1, |row| Some(*row));
    let write = async { Written::<_, Infallible>::Committed(11) };
    assert_eq!(guard.run(write).await, Ok(11));
    let stats = weights.stats();
    assert_eq!(
        (weights.get(&1), stats.too_heavy, stats.open_windows),
        (None, 1, 0)
    );
}

/// A copy of a log that weighs what its entries weigh.
struct Weights(u32);

impl Fold for Weights {
    type Entry = u32;

    fn apply(&mut self, _seq: u64, entry: &u32) {
        self.0 += entry;
    }

    fn weight(&self) -> u32 {
        self.0
    }
}

type Logs = TailRegion<u64, Weights>;

fn logs(cache: &Fixture) -> Logs {
    cache.manager.tail_region("logs", heaviest(100, 10), 1)
}

async fn fill(logs: &Logs, head: u64, weight: u32) {
    let load = move || async move { Ok::<_, Infallible>(Some((head, Weights(weight)))) };
    logs.get_or_fill(7, load, |_| Some(())).await.unwrap();
}

async fn append(cache: &Fixture, logs: &Logs, seq: u64, weight: u32) {
    let write = async move { Written::<_, Infallible>::Committed((seq, weight)) };
    let guard = cache
        .manager
        .guard()
        .append(logs, 7, |entry: &(u64, u32)| [*entry]);
    guard.run(write).await.unwrap();
}

#[tokio::test]
async fn a_log_that_outgrows_the_policy_is_removed_and_its_next_fill_may_be_lighter() {
    let cache = fixture();
    let logs = logs(&cache);
    let weight = || {
        logs.look_up(&7, |copy| Some(copy.0))
            .and_then(|read| read.value)
    };
    fill(&logs, 1, 9).await;
    append(&cache, &logs, 2, 1).await;
    assert_eq!((weight(), logs.region().stats().weight), (Some(10), 10));
    append(&cache, &logs, 3, 1).await;
    let stats = logs.region().stats();
    assert_eq!((weight(), stats.size, stats.too_heavy), (None, 0, 1));
    fill(&logs, 3, 5).await;
    assert_eq!(weight(), Some(5));
    append(&cache, &logs, 4, 1).await;
    assert_eq!(weight(), Some(6));
}

#[tokio::test]
async fn a_fill_that_is_too_heavy_is_not_stored() {
    let cache = fixture();
    let logs = logs(&cache);
    fill(&logs, 1, 11).await;
    let stats = logs.region().stats();
    assert_eq!((stats.size, stats.too_heavy), (0, 1));
}

#[tokio::test]
async fn heavy_values_are_a_warning_once_a_minute() {
    capture(Level::WARN);
    let cache = fixture();
    let weights = weights(&cache, heaviest(100, 10));
    let warnings = || {
        let line = |event: Event| event.line;
        take().into_iter().map(line).collect::<Vec<_>>()
    };
    assert!(!weights.insert(1, 11) && !weights.insert(2, 12));
    let warning = "a value is too heavy to be cached; raise `max_weight` or the capacity \
                   region=\"weights\" weight=11 max_weight=10";
    assert_eq!(warnings(), [warning]);
    cache.hand.advance(just_before(TTL));
    assert!(!weights.insert(1, 11));
    assert_eq!(warnings(), [""; 0]);
    cache.hand.advance(NANO);
    assert!(!weights.insert(1, 11));
    assert_eq!(warnings(), [warning]);
    assert_eq!(weights.stats().too_heavy, 4);
}

#[tokio::test]
async fn a_region_without_capacity_stores_nothing_and_still_loads() {
    let cache = fixture_with(Policy::new(TTL, 0), |builder| builder);
    assert!(!cache.numbers.insert(1, 10));
    assert_eq!(
        value_of(cache.numbers.get_or_load(1, returns(10))).await,
        Some(10)
    );
    assert!(cache.numbers.is_empty());
}

#[tokio::test]
async fn entries_that_a_growing_copy_evicts_are_counted() {
    let cache = fixture();
    let logs = logs(&cache);
    for key in 0..100 {
        let load = || async { Ok::<_, Infallible>(Some((1, Weights(5)))) };
        logs.get_or_fill(key, load, |_| Some(())).await.unwrap();
    }
    let region = logs.region();
    for key in 0..100 {
        if region.contains_key(&key) {
            let before = region.stats();
            let write = async { Written::<_, Infallible>::Committed((2, 5)) };
            let guard = cache.manager.guard();
            let guard = guard.append(&logs, key, |row: &(u64, u32)| [*row]);
            guard.run(write).await.unwrap();
            let after = region.stats();
            let evicted = after.evicted_by_capacity - before.evicted_by_capacity;
            assert_eq!(before.size - after.size, evicted, "key {key}");
        }
    }
    let stats = region.stats();
    assert!(
        stats.evicted_by_capacity > 80 && stats.weight <= 100,
        "{stats:?}"
    );
}
