//! Statistics: golden values, as the page of statistics defines them.

use cache_core::{Policy, Stats};

use crate::support::*;

#[tokio::test]
async fn nothing_asked_is_a_hit_rate_of_nought() {
    let bench = bench();
    assert_eq!(bench.stats(), Stats::default());
    assert_eq!(
        (
            bench.stats().total_requests(),
            bench.stats().hit_rate().to_bits()
        ),
        (0, 0.0_f64.to_bits())
    );
}

#[tokio::test]
async fn a_story_is_counted_to_the_last_digit() {
    let bench = bench();
    // A miss that loads, two that join, then two hits.
    let (mut load, pass) = gate();
    let leader = begin_read(&bench.numbers, 1, gives_after(pass, 10));
    let followers = [
        begin_read(&bench.numbers, 1, unused()),
        begin_read(&bench.numbers, 1, unused()),
    ];
    load.begun().await;
    load.open();
    value_of(leader).await;
    for follower in followers {
        value_of(follower).await;
    }
    value_of(bench.numbers.get_or_load(1, unused())).await;
    assert!(bench.numbers.look_up(&1).is_some());
    // A plain get that finds nothing, and a lookup that finds nothing and counts nothing.
    assert_eq!(bench.numbers.get(&2), None);
    assert_eq!(bench.numbers.look_up(&2), None);
    // A failing load; an absence, found again; a bypass.
    bench.numbers.get_or_load(2, fails()).await.unwrap_err();
    value_of(bench.numbers.get_or_load(3, gives_nothing())).await;
    value_of(bench.numbers.get_or_load(3, unused())).await;
    value_of(bench.numbers.bypass(gives(0))).await;
    // A write takes one entry, its window one read past the cache and one refused insert; it stores its row.
    let (write, window) = bench.open_window(20).await;
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    assert!(!bench.numbers.insert(1, 10));
    let within = bench.stats();
    assert_eq!((within.open_windows, within.unknown_windows), (1, 0));
    window.open();
    write.await.unwrap();
    // By hand: one entry, then nothing.
    assert!(bench.numbers.remove(&3));
    assert!(!bench.numbers.remove(&3));
    // One expires.
    bench.numbers.insert_with_ttl(4, 40, NANO);
    bench.hand.advance(NANO);
    assert_eq!(bench.manager.cleanup().await, 1);

    let expected = Stats {
        contended_closes: 0,
        hits: 3,
        misses: 7,
        loads: 4,
        joins: 2,
        past_loads: 1,
        bypasses: 1,
        load_failures: 1,
        refused_stores: 1,
        stale_served: 0,
        invalidations: 2,
        evicted_by_capacity: 0,
        evicted_by_expiry: 1,
        open_windows: 0,
        unknown_windows: 0,
        size: 1,
        weight: 1,
    };
    assert_eq!(bench.stats(), expected);
    assert_eq!(
        (expected.total_requests(), expected.hit_rate().to_bits()),
        (10, 30.0_f64.to_bits())
    );
}

#[tokio::test]
async fn the_hit_rate_has_two_decimals() {
    let bench = bench();
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    for _ in 0..2 {
        assert_eq!(bench.numbers.get(&1), Some(10));
    }
    assert_eq!(bench.stats().hit_rate().to_bits(), 66.67_f64.to_bits());
}

#[tokio::test]
async fn a_batch_counts_each_of_its_keys() {
    let bench = bench();
    bench.numbers.insert(1, 10);
    let load = |keys: Vec<u64>| async move {
        Ok::<_, Down>(keys.into_iter().map(|key| (key, key)).collect())
    };
    bench
        .numbers
        .get_or_load_many(&[1, 2, 3], load)
        .await
        .unwrap();
    let stats = bench.stats();
    assert_eq!(
        (stats.hits, stats.misses, stats.loads, stats.size),
        (1, 2, 1, 3)
    );
}

#[tokio::test]
async fn a_region_that_is_off_counts_bypasses_only() {
    let bench = bench();
    bench.manager.set_all_enabled(false);
    value_of(bench.numbers.get_or_load(1, gives(10))).await;
    let load = |keys: Vec<u64>| async move {
        Ok::<_, Down>(keys.into_iter().map(|key| (key, key)).collect())
    };
    bench
        .numbers
        .get_or_load_many(&[1, 2, 3], load)
        .await
        .unwrap();
    assert_eq!(
        (bench.stats().bypasses, bench.stats().total_requests()),
        (2, 0)
    );
}

#[tokio::test]
async fn a_stale_answer_is_a_miss() {
    let bench = bench_with(
        Policy {
            fail_safe: Some(TTL),
            ..Policy::new(TTL, 10)
        },
        |builder| builder,
    );
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL);
    value_of(bench.numbers.get_or_load(1, fails())).await;
    let stats = bench.stats();
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
async fn a_refresh_is_a_load_and_its_reader_has_a_hit() {
    let bench = bench_with(
        Policy {
            refresh_after: Some(0.5),
            ..Policy::new(TTL, 10)
        },
        |builder| builder,
    );
    bench.numbers.insert(1, 10);
    bench.hand.advance(TTL / 2);
    value_of(bench.numbers.get_or_load(1, gives(11))).await;
    all_idle().await;
    let stats = bench.stats();
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
async fn the_manager_lists_each_region_with_its_policy_and_they_add_up() {
    let bench = bench();
    let others: Numbers = bench.manager.region("others", Policy::new(TTL * 2, 10));
    bench.numbers.insert(1, 10);
    others.insert(1, 10);
    others.insert(2, 20);
    assert_eq!(
        (others.get(&1), others.get(&3), bench.numbers.get(&1)),
        (Some(10), None, Some(10))
    );
    let listed = bench.manager.stats();
    assert_eq!(
        listed
            .iter()
            .map(|(name, policy, _)| (*name, policy.ttl))
            .collect::<Vec<_>>(),
        [("numbers", TTL), ("others", TTL * 2)]
    );
    let mut total = Stats::default();
    for (_, _, stats) in &listed {
        total.add(stats);
    }
    assert_eq!(
        (total.hits, total.misses, total.size, total.weight),
        (2, 1, 3, 3)
    );
    assert_eq!(total.hit_rate().to_bits(), 66.67_f64.to_bits());
}

#[tokio::test]
async fn a_region_made_again_in_another_manager_counts_from_nought() {
    for _ in 0..3 {
        let bench = bench();
        bench.numbers.insert(1, 10);
        assert_eq!(bench.numbers.get(&1), Some(10));
        assert_eq!(bench.stats().hits, 1);
    }
}
