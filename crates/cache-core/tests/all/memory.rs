//! Memory: a region never holds more than its capacity.

use cache_core::{Policy, Region};

use crate::support::*;

#[tokio::test]
async fn a_region_never_holds_more_entries_than_its_capacity() {
    for capacity in [1, 10, 100, 1_000] {
        let cache = fixture_with(Policy::new(TTL, capacity), |builder| builder);
        for key in 0..capacity * 10 {
            cache.numbers.insert(key, key);
            assert!(cache.stats().size <= capacity);
        }
        let stats = cache.stats();
        assert_eq!(stats.size, stats.weight);
        assert_eq!(stats.evicted_by_capacity, capacity * 10 - stats.size);
        assert!(
            stats.size > 0,
            "nothing is kept at a capacity of {capacity}"
        );
    }
}

#[tokio::test]
async fn loads_and_rows_of_writes_respect_the_capacity_too() {
    let cache = fixture_with(Policy::new(TTL, 50), |builder| builder);
    for key in 0..500 {
        value_of(cache.numbers.get_or_load(key, returns(key))).await;
        let guard = cache
            .manager
            .guard()
            .key_storing(&cache.numbers, key + 1_000, |row| Some(*row));
        guard.run(commits(key)).await.unwrap();
        assert!(cache.stats().size <= 50);
    }
}

fn texts(cache: &Fixture, capacity: u64, typical: u32) -> Region<u64, String> {
    let bytes = |_: &u64, text: &String| u32::try_from(text.len()).expect("a short text");
    let texts = cache
        .manager
        .region_builder("texts", Policy::new(TTL, capacity));
    texts.weigher(typical, bytes).build()
}

#[tokio::test]
async fn a_weighed_region_never_weighs_more_than_its_capacity() {
    let cache = fixture();
    let texts = texts(&cache, 10_000, 100);
    for key in 0..1_000 {
        texts.insert(key, "x".repeat(usize::try_from(key % 200).unwrap()));
        assert!(texts.stats().weight <= 10_000);
    }
    assert!(texts.stats().evicted_by_capacity > 0);
    assert!(texts.stats().size < 1_000);
}

#[tokio::test]
async fn values_without_weight_are_evicted_like_others() {
    let cache = fixture();
    let texts = texts(&cache, 100, 1);
    for key in 0..1_000 {
        texts.insert(key, String::new());
    }
    assert!(texts.stats().size <= 100, "{} entries", texts.stats().size);
}

#[tokio::test]
async fn a_value_heavier_than_the_region_is_not_kept_and_neither_is_its_older_value() {
    let cache = fixture();
    let texts = texts(&cache, 100, 10);
    assert!(texts.insert(1, "old".into()));
    texts.insert(1, "x".repeat(101));
    assert_eq!(texts.get(&1), None);
    assert_eq!(texts.stats().weight, 0);
}

#[tokio::test]
async fn a_heavier_value_of_a_key_replaces_the_weight_of_the_lighter_one() {
    let cache = fixture();
    let texts = texts(&cache, 1_000, 10);
    texts.insert(1, "x".repeat(10));
    texts.insert(1, "x".repeat(30));
    assert_eq!((texts.stats().size, texts.stats().weight), (1, 30));
    texts.remove(&1);
    assert_eq!((texts.stats().size, texts.stats().weight), (0, 0));
}

#[tokio::test]
async fn replacing_a_value_is_no_eviction() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    cache.numbers.insert(1, 11);
    cache.hand.advance(TTL);
    value_of(cache.numbers.get_or_load(1, returns(12))).await;
    assert_eq!(
        (cache.stats().size, cache.stats().evicted_by_capacity),
        (1, 0)
    );
}

#[tokio::test]
async fn an_evicted_value_is_loaded_again() {
    let cache = fixture_with(Policy::new(TTL, 1), |builder| builder);
    for key in 0..20 {
        assert_eq!(
            value_of(cache.numbers.get_or_load(key, returns(key))).await,
            Some(key)
        );
    }
    for key in 0..20 {
        assert_eq!(
            value_of(cache.numbers.get_or_load(key, returns(key))).await,
            Some(key)
        );
    }
    assert!(cache.stats().size <= 1);
}

#[tokio::test]
async fn dropped_entries_drop_their_values() {
    let cache = fixture();
    let region: Region<u64, std::sync::Arc<()>> =
        cache.manager.region("arcs", Policy::new(TTL, 100));
    let value = std::sync::Arc::new(());
    for key in 0..10 {
        region.insert(key, value.clone());
    }
    assert_eq!(std::sync::Arc::strong_count(&value), 11);
    region.remove(&0);
    cache
        .manager
        .guard()
        .key(&region, 1)
        .run(commits(1))
        .await
        .unwrap();
    assert_eq!(std::sync::Arc::strong_count(&value), 9);
    cache.hand.advance(TTL);
    assert_eq!(cache.manager.cleanup().await, 8);
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
}
