//! Statistics: exact numbers, as the fields of `Stats` define them.

use cache_core::{Entry, Policy, Stats};

use crate::support::*;

#[tokio::test]
async fn the_hit_rate_is_zero_without_requests() {
    let cache = fixture();
    assert_eq!(cache.stats(), Stats::default());
    assert_eq!(
        (
            cache.stats().total_requests(),
            cache.stats().hit_rate().to_bits()
        ),
        (0, 0.0_f64.to_bits())
    );
}

#[tokio::test]
async fn every_number_of_a_story_is_exact() {
    let cache = fixture();
    // One miss that loads and two that join it; then two hits.
    let (mut load, pass) = gate();
    let leader = begin_read(&cache.numbers, 1, returns_after(pass, 10));
    let followers = [
        begin_read(&cache.numbers, 1, never_called()),
        begin_read(&cache.numbers, 1, never_called()),
    ];
    load.begun().await;
    load.open();
    value_of(leader).await;
    for follower in followers {
        value_of(follower).await;
    }
    value_of(cache.numbers.get_or_load(1, never_called())).await;
    assert!(cache.numbers.look_up(&1).is_some());
    // A `get` without a result counts a miss; a `look_up` without a result counts nothing.
    assert_eq!(cache.numbers.get(&2), None);
    assert_eq!(cache.numbers.look_up(&2), None);
    // A load that fails; an absence that is loaded and then hit; a bypass.
    cache.numbers.get_or_load(2, fails()).await.unwrap_err();
    value_of(cache.numbers.get_or_load(3, returns_none())).await;
    value_of(cache.numbers.get_or_load(3, never_called())).await;
    value_of(cache.numbers.bypass(9, returns(0))).await;
    // A write removes one entry and stores its row. Its window causes one bypassing load and
    // refuses one insert.
    let (write, window) = cache.open_window(20).await;
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    assert!(!cache.numbers.insert(1, 10));
    let within = cache.stats();
    assert_eq!((within.open_windows, within.unknown_windows), (1, 0));
    window.open();
    write.await.unwrap();
    // A removal by hand of one entry, and of none.
    assert!(cache.numbers.remove(&3));
    assert!(!cache.numbers.remove(&3));
    // One entry expires.
    cache.numbers.insert_entry(4, Entry::new(40).ttl(NANO));
    cache.hand.advance(NANO);
    assert_eq!(cache.manager.cleanup().await, 1);

    let mut expected = Stats::default();
    expected.hits = 3;
    expected.misses = 7;
    expected.loads = 5;
    expected.joins = 2;
    expected.past_loads = 2;
    expected.bypasses = 1;
    expected.load_failures = 1;
    expected.refused_stores = 1;
    expected.invalidations = 2;
    expected.evicted_by_expiry = 1;
    expected.size = 1;
    expected.weight = 1;
    assert_eq!(cache.stats(), expected);
    assert_eq!(
        (expected.total_requests(), expected.hit_rate().to_bits()),
        (10, 30.0_f64.to_bits())
    );
}

#[tokio::test]
async fn the_hit_rate_has_two_decimals() {
    let cache = fixture();
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    for _ in 0..2 {
        assert_eq!(cache.numbers.get(&1), Some(10));
    }
    assert_eq!(cache.stats().hit_rate().to_bits(), 66.67_f64.to_bits());
}

#[tokio::test]
async fn a_batch_counts_each_of_its_keys() {
    let cache = fixture();
    cache.numbers.insert(1, 10);
    let load = |keys: Vec<u64>| async move {
        Ok::<_, Down>(keys.into_iter().map(|key| (key, key)).collect())
    };
    cache
        .numbers
        .get_or_load_many(&[1, 2, 3], load)
        .await
        .unwrap();
    let stats = cache.stats();
    assert_eq!(
        (stats.hits, stats.misses, stats.loads, stats.size),
        (1, 2, 1, 3)
    );
}

#[tokio::test]
async fn a_switched_off_region_counts_bypasses_only() {
    let cache = fixture();
    cache.manager.set_all_enabled(false);
    value_of(cache.numbers.get_or_load(1, returns(10))).await;
    let load = |keys: Vec<u64>| async move {
        Ok::<_, Down>(keys.into_iter().map(|key| (key, key)).collect())
    };
    cache
        .numbers
        .get_or_load_many(&[1, 2, 3], load)
        .await
        .unwrap();
    assert_eq!(
        (cache.stats().bypasses, cache.stats().total_requests()),
        (4, 0),
        "each key of a batch counts"
    );
}

#[tokio::test]
async fn a_stale_value_counts_as_a_miss() {
    let cache = fixture_with(Policy::new(TTL, 10).fail_safe(TTL), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL);
    value_of(cache.numbers.get_or_load(1, fails())).await;
    let stats = cache.stats();
    assert_eq!(
        (
            stats.hits,
            stats.misses,
            stats.stale_served,
            stats.load_failures
        ),
        (0, 1, 1, 1)
    );
}

#[tokio::test]
async fn a_refresh_counts_as_a_load_and_its_reader_as_a_hit() {
    let cache = fixture_with(Policy::new(TTL, 10).refresh_after(0.5), |builder| builder);
    cache.numbers.insert(1, 10);
    cache.hand.advance(TTL / 2);
    value_of(cache.numbers.get_or_load(1, returns(11))).await;
    run_tasks().await;
    let stats = cache.stats();
    assert_eq!(
        (
            stats.hits,
            stats.misses,
            stats.loads,
            stats.evicted_by_capacity
        ),
        (1, 0, 1, 0)
    );
}

#[tokio::test]
async fn the_manager_lists_each_region_with_its_policy_and_statistics_can_be_added() {
    let cache = fixture();
    let others: Numbers = cache.manager.region("others", Policy::new(TTL * 2, 10));
    cache.numbers.insert(1, 10);
    others.insert(1, 10);
    others.insert(2, 20);
    assert_eq!(
        (others.get(&1), others.get(&3), cache.numbers.get(&1)),
        (Some(10), None, Some(10))
    );
    let listed = cache.manager.stats();
    assert_eq!(
        listed
            .iter()
            .map(|region| (region.name, region.policy.ttl))
            .collect::<Vec<_>>(),
        [("numbers", TTL), ("others", TTL * 2)]
    );
    let mut total = Stats::default();
    for region in &listed {
        total.add(&region.stats);
    }
    assert_eq!(
        (total.hits, total.misses, total.size, total.weight),
        (2, 1, 3, 3)
    );
    assert_eq!(total.hit_rate().to_bits(), 66.67_f64.to_bits());
}

#[tokio::test]
async fn a_region_in_a_new_manager_counts_from_zero() {
    for _ in 0..3 {
        let cache = fixture();
        cache.numbers.insert(1, 10);
        assert_eq!(cache.numbers.get(&1), Some(10));
        assert_eq!(cache.stats().hits, 1);
    }
}
